"""Measures the models, section by section, and writes models/QUALITY.md. `cargo xtask models --evaluate` calls it.

    python models/evaluate/report.py --assets .local/assets --work <folder> [--only SECTION]

What was measured is kept in the work folder together with the models' sha256. With --only the other sections are taken
from there; one whose models have changed since is left out, and the report says so. The figures alone are kept beside
the report, in models/quality.json. Ends with an error, once the report is written, if a figure misses its floor
(floors.toml).
"""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
# Behind this folder: both have an ocr.py.
sys.path.append(str(ROOT / "models"))

import manifest  # noqa: E402

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

OUTPUT = ROOT / "models" / "QUALITY.md"
FIGURES = ROOT / "models" / "quality.json"
FLOORS = Path(__file__).parent / "floors.toml"
# They say more of the machine than of the model.
NOT_KEPT = "real-time factor"


class Section(NamedTuple):
    # Names of models as crates/models/src/id.rs has them, and the assets that they are.
    models: dict[str, str]
    measure: Callable[[Path, Path], tuple[str, dict]]
    # Rows of the first table: what was measured, on what, the figure.
    headline: Callable[[dict], list[tuple[str, str, str]]]
    weaknesses: Callable[[dict], list[str]]


def load(name: str):
    """Only when it is measured: OCR needs fonts, faces OpenCV."""
    return importlib.import_module(name)


VARIANTS = ("base", "tiny.en")


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def sentiment_headline(figures: dict) -> list[tuple[str, str, str]]:
    count = figures["sentiment.sentences.held-out.all"]
    kinds = ("movies", "amazon", "tweets", "nyt")
    each = ", ".join(f"{kind} {percent(figures[f'sentiment.label.held-out.{kind}'])}" for kind in kinds)
    right = percent(figures["sentiment.label.held-out.all"])
    return [("Sentiment, label right", f"{count} held-out sentences ({each})", right)]


def sentiment_weak(figures: dict) -> list[str]:
    kinds = ("movies", "amazon", "tweets", "nyt")
    worst = min(kinds, key=lambda kind: figures[f"sentiment.label.held-out.{kind}"])
    share = percent(figures[f"sentiment.label.held-out.{worst}"])
    return [
        f"Sentiment is weakest on the texts `{worst}`: {share} right. A sentence without an opinion still gets a sign, "
        "often with confidence; irony and roundabout negation are misread; English only."
    ]


def text_headline(figures: dict) -> list[tuple[str, str, str]]:
    items, documents = figures["zero_shot.items"], figures["summary.documents"]
    return [
        ("Zero-shot, first label right", f"{items} texts of five label sets", percent(figures["zero_shot.accuracy"])),
        ("Summary of 3, planted ones kept out", f"{documents} documents", percent(figures["summary.3.kept_out"])),
    ]


def text_weak(figures: dict) -> list[str]:
    sets = {name.split(".")[1]: share for name, share in figures.items() if name.count(".") == 2 and "accuracy" in name}
    worst = min(sets, key=sets.get)
    return [
        f"Zero-shot labels by embeddings: {percent(1 - figures['zero_shot.accuracy'])} of the first labels are wrong, "
        f"and of the set `{worst}` {percent(1 - sets[worst])}. Of several labels, "
        f"{percent(1 - figures['multi_label.recall'])} of those that fit are not given.",
        f"{percent(1 - figures['summary.3.clean'])} of the summaries of 3 sentences hold one that is foreign to the "
        "document. A summary is made of the document's own sentences; nothing is rephrased.",
    ]


def faces_headline(figures: dict) -> list[tuple[str, str, str]]:
    scenes = f"{figures['faces.scenes']} composed scenes"
    names = {"centerface": "Faces", "haar": "The same with OpenCV's Haar cascade"}
    return [
        (
            f"{title}, precision and recall",
            scenes,
            f"{percent(figures[f'faces.{name}.precision'])}, {percent(figures[f'faces.{name}.recall'])}",
        )
        for name, title in names.items()
    ]


def faces_weak(figures: dict) -> list[str]:
    prefix = "faces.centerface.recall."
    recalls = {name.removeprefix(prefix): share for name, share in figures.items() if name.startswith(prefix)}
    low = {name: share for name, share in recalls.items() if share < 0.9 and name != "all"}
    listed = ", ".join(f"{name} {percent(share)}" for name, share in low.items()) or "none"
    none, false = figures["faces.none"], figures["faces.centerface.false_where_none"]
    return [
        f"Faces: conditions with a recall under 90 %: {listed}. In {none} scenes without a face there were {false} "
        "false boxes. All scenes show one woman's face; other ages, skins, poses, masks and profiles are not measured."
    ]


def ocr_headline(figures: dict) -> list[tuple[str, str, str]]:
    pages, wrong = figures["ocr.pages"], percent(figures["ocr.cer.all"], 2)
    return [("OCR, characters wrong (CER)", f"{pages} pages, drawn but for one", wrong)]


def ocr_weak(figures: dict) -> list[str]:
    rates = {name.removeprefix("ocr.cer."): rate for name, rate in figures.items() if name.startswith("ocr.cer.")}
    worst = sorted((name for name in rates if name != "all"), key=rates.get, reverse=True)[:3]
    listed = ", ".join(f"{name} {percent(rates[name], 2)}" for name in worst)
    return [
        f"OCR errs most on: {listed} of the characters. It loses spaces, so that {percent(figures['ocr.wer.all'])} of "
        "the words are wrong. Handwriting, accents and photographs in bad light are not measured."
    ]


def speech_headline(figures: dict) -> list[tuple[str, str, str]]:
    on = f"{figures['speech.utterances']} utterances of espeak-ng; recordings of people"
    return [
        (
            f"Speech, words wrong (WER), {variant}",
            on,
            f"{percent(figures[f'speech.{variant}.synthetic'])}; {percent(figures[f'speech.{variant}.people'])}",
        )
        for variant in VARIANTS
    ]


def speech_weak(figures: dict) -> list[str]:
    listed = ", ".join(f"{variant} {percent(figures[f'speech.{variant}.noise 10 dB'])}" for variant in VARIANTS)
    return [
        f"Speech under white noise 10 dB below the voice: {listed} of the words wrong. Two recordings of people are "
        "too few to say more than that it works; accents, several speakers and other languages are not measured."
    ]


SECTIONS = {
    "sentiment": Section(
        {"minilm-sentiment": "models/sentiment/model.ort"},
        lambda assets, work: load("sentiment").section(assets, work.parent / "packages"),
        sentiment_headline,
        sentiment_weak,
    ),
    "text": Section(
        {"all-MiniLM-L6-v2": "models/minilm/model.ort"},
        lambda assets, work: load("text").section(assets),
        text_headline,
        text_weak,
    ),
    "faces": Section(
        {"centerface": "models/centerface/model.onnx"},
        lambda assets, work: load("faces").section(assets, work),
        faces_headline,
        faces_weak,
    ),
    "ocr": Section(
        {"pp-ocrv4": "models/ocr/rec.onnx"},
        lambda assets, work: load("ocr").section(ROOT / "target/debug/examples/ocr", assets, work),
        ocr_headline,
        ocr_weak,
    ),
    "speech": Section(
        {"whisper-base": "models/whisper/base/decoder.ort", "whisper-tiny.en": "models/whisper/tiny.en/decoder.ort"},
        lambda assets, work: load("speech").section(assets, work),
        speech_headline,
        speech_weak,
    ),
}


def versions(section: Section) -> dict[str, str]:
    """The models by name with the version that results carry: the first 12 digits of the file's sha256."""
    pinned = {asset.path: asset.sha256 for asset in manifest.read(ROOT / "models/manifest.toml").assets}
    return {name: pinned[path][:12] for name, path in section.models.items()}


def measure(name: str, assets: Path, work: Path) -> None:
    section, started = SECTIONS[name], time.monotonic()
    print(f"measuring {name}", flush=True)
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    text, figures = section.measure(assets, folder)
    kept = {"models": versions(section), "text": text, "figures": figures}
    (work / f"{name}.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(f"{name} took {time.monotonic() - started:.0f} s", flush=True)


def measured(work: Path) -> tuple[dict[str, dict], list[str]]:
    """What was measured with the models as they are now, by section, and the sections that were not."""
    kept, missing = {}, []
    for name, section in SECTIONS.items():
        path = work / f"{name}.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        if found and found["models"] == versions(section):
            kept[name] = found
        else:
            missing.append(name)
    return kept, missing


def below(figures: dict[str, float]) -> list[str]:
    """The figures that miss their floors, each with it."""
    floors = tomllib.loads(FLOORS.read_text(encoding="utf-8"))
    low = [f"{name} is {figures[name]:.4f}, at least {least}" for name, least in floors["least"].items()
           if figures[name] < least]
    high = [f"{name} is {figures[name]:.4f}, at most {most}" for name, most in floors["most"].items()
            if figures[name] > most]
    return low + high


def lasting(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items() if NOT_KEPT not in name}


def of_row(title: str, models: dict[str, str]) -> str:
    """The models that a row is of: the section's, or that of the row's variant; a cascade is none of ours."""
    variant = title.rsplit(", ", 1)[-1]
    if "Haar" in title:
        return "–"
    chosen = {name: version for name, version in models.items() if variant not in VARIANTS or name.endswith(variant)}
    return ", ".join(f"`{model}@{version}`" for model, version in chosen.items())


def compose(kept: dict[str, dict], missing: list[str]) -> str:
    rows, weak = [], []
    for name, found in kept.items():
        headline = SECTIONS[name].headline(found["figures"])
        rows += [(*row, of_row(row[0], found["models"])) for row in headline]
        weak += SECTIONS[name].weaknesses(found["figures"])
    lines = [
        "# What the models are worth",
        "",
        "Written by `cargo xtask models --evaluate`, by the scripts in `evaluate/`. Each figure was measured with the "
        "pipelines that the workers run, on made or published data that comes out the same on every run. Times depend "
        "on the machine and on what else it does; the other figures hardly.",
        "",
        "| measured | on | figure | model |",
        "| --- | --- | ---: | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *([f"Not measured with the models as they are now: {', '.join(missing)}.", ""] if missing else []),
        "## Known weaknesses",
        "",
        *(f"- {line}" for line in weak),
        "",
    ]
    return "\n".join([*lines, *(found["text"].strip() + "\n" for found in kept.values())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", choices=SECTIONS)
    options = parser.parse_args()
    for name in [options.only] if options.only else SECTIONS:
        measure(name, options.assets.resolve(), options.work.resolve())
    kept, missing = measured(options.work)
    OUTPUT.write_text(compose(kept, missing), encoding="utf-8")
    figures = {name: {"models": found["models"], "figures": lasting(found["figures"])} for name, found in kept.items()}
    FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if missing:
        raise SystemExit(f"not measured with the models as they are now: {', '.join(missing)}")
    if misses := below({name: value for found in kept.values() for name, value in found["figures"].items()}):
        raise SystemExit("below the floors of models/evaluate/floors.toml: " + "; ".join(misses))


if __name__ == "__main__":
    main()
