"""Measures the models, section by section, and writes models/QUALITY.md, for `cargo xtask models --evaluate`.

    python models/evaluate/report.py --assets .local/assets --work <folder> [--only SECTION]

The work folder stores the results with the models' versions. With --only, the other sections are read from there. A
section whose models have changed since is left out, and the report says so. models/quality.json stores the figures
without the text. After writing the report, the script fails if a figure is beyond its limit (floors.toml).
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
# After this folder in the search path, since both have an ocr.py.
sys.path.append(str(ROOT / "models"))

import manifest  # noqa: E402

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

OUTPUT = ROOT / "models" / "QUALITY.md"
FIGURES = ROOT / "models" / "quality.json"
LIMITS = Path(__file__).parent / "floors.toml"
# Figures with this name depend on the machine, and are not stored.
MACHINE_DEPENDENT = "real-time factor"


class Section(NamedTuple):
    # The names of models, as in crates/models/src/id.rs, with their assets.
    models: dict[str, str]
    measure: Callable[[Path, Path], tuple[str, dict]]
    # The section's rows of the first table: what was measured, on what, the figure.
    headline: Callable[[dict], list[tuple[str, str, str]]]
    # Items of a Markdown list, with one sentence per line.
    weaknesses: Callable[[dict], list[str]]


def load(name: str):
    """Imports a section's module when it is measured: OCR needs fonts, faces need OpenCV."""
    return importlib.import_module(name)


VARIANTS = ("base", "tiny.en")


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def sentiment_headline(figures: dict) -> list[tuple[str, str, str]]:
    count = figures["sentiment.sentences.held-out.all"]
    kinds = ("movies", "amazon", "tweets", "nyt")
    each = ", ".join(f"{kind} {percent(figures[f'sentiment.label.held-out.{kind}'])}" for kind in kinds)
    right = percent(figures["sentiment.label.held-out.all"])
    return [("Sentiment, label correct", f"{count} held-out sentences ({each})", right)]


def sentiment_weak(figures: dict) -> list[str]:
    kinds = ("movies", "amazon", "tweets", "nyt")
    worst = min(kinds, key=lambda kind: figures[f"sentiment.label.held-out.{kind}"])
    share = percent(figures[f"sentiment.label.held-out.{worst}"])
    return [
        f"Sentiment: the accuracy is lowest on `{worst}`, {share}.\n"
        "  A sentence without an opinion still gets a sign, often with high confidence.\n"
        "  Irony and indirect negation are misclassified.\n"
        "  The model supports English only."
    ]


def text_headline(figures: dict) -> list[tuple[str, str, str]]:
    items, documents = figures["zero_shot.items"], figures["summary.documents"]
    return [
        ("Zero-shot, first label correct", f"{items} texts of five label sets", percent(figures["zero_shot.accuracy"])),
        ("Summary of 3, planted sentences excluded", f"{documents} documents", percent(figures["summary.3.excluded"])),
    ]


def text_weak(figures: dict) -> list[str]:
    sets = {name.split(".")[1]: share for name, share in figures.items() if name.count(".") == 2 and "accuracy" in name}
    worst = min(sets, key=sets.get)
    return [
        f"Zero-shot labels: {percent(1 - figures['zero_shot.accuracy'])} of the first labels are wrong, and "
        f"{percent(1 - sets[worst])} in the set `{worst}`.\n"
        f"  With several labels, {percent(1 - figures['multi_label.recall'])} of those that fit are missing.",
        f"Summaries: {percent(1 - figures['summary.3.clean'])} of those with 3 sentences have one that is off-topic.\n"
        "  A summary consists of the document's own sentences; nothing is rephrased.",
    ]


def faces_headline(figures: dict) -> list[tuple[str, str, str]]:
    scenes = f"{figures['faces.scenes']} composed scenes"
    names = {"centerface": "Faces", "haar": "Faces with OpenCV's Haar cascade"}
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
        f"Faces: the recall is under 90 % in these conditions: {listed}.\n"
        f"  {none} scenes without a face have {false} false boxes.\n"
        "  All scenes show one woman's face: other ages, skin tones, poses, masks and profiles are not measured."
    ]


def ocr_headline(figures: dict) -> list[tuple[str, str, str]]:
    pages, wrong = figures["ocr.pages"], percent(figures["ocr.cer.all"], 2)
    return [("OCR, character error rate (CER)", f"{pages} pages, all but one drawn", wrong)]


def ocr_weak(figures: dict) -> list[str]:
    rates = {name.removeprefix("ocr.cer."): rate for name, rate in figures.items() if name.startswith("ocr.cer.")}
    worst = sorted((name for name in rates if name != "all"), key=rates.get, reverse=True)[:3]
    listed = ", ".join(f"{name} {percent(rates[name], 2)}" for name in worst)
    return [
        f"OCR: the character error rate is highest on {listed}.\n"
        f"  Spaces are lost, so {percent(figures['ocr.wer.all'])} of the words are wrong.\n"
        "  Handwriting, accents and photographs in bad light are not measured."
    ]


def speech_headline(figures: dict) -> list[tuple[str, str, str]]:
    on = f"{figures['speech.utterances']} utterances of espeak-ng; recordings of people"
    return [
        (
            f"Speech, word error rate (WER), {variant}",
            on,
            f"{percent(figures[f'speech.{variant}.synthetic'])}; {percent(figures[f'speech.{variant}.people'])}",
        )
        for variant in VARIANTS
    ]


def speech_weak(figures: dict) -> list[str]:
    listed = ", ".join(f"{variant} {percent(figures[f'speech.{variant}.noise 10 dB'])}" for variant in VARIANTS)
    return [
        f"Speech: under white noise 10 dB below the voice, the word error rate is {listed}.\n"
        "  Two recordings of people are too few for a precise figure.\n"
        "  Accents, several speakers and other languages are not measured."
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
    """The versions of the models by name, as in results: the first 12 digits of the file's sha256."""
    pinned = {asset.path: asset.sha256 for asset in manifest.read(ROOT / "models/manifest.toml").assets}
    return {name: pinned[path][:12] for name, path in section.models.items()}


def measure(name: str, assets: Path, work: Path) -> None:
    section, started = SECTIONS[name], time.monotonic()
    print(f"measuring {name}", flush=True)
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    text, figures = section.measure(assets, folder)
    result = {"models": versions(section), "text": text, "figures": figures}
    (work / f"{name}.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"{name} took {time.monotonic() - started:.0f} s", flush=True)


def load_results(work: Path) -> tuple[dict[str, dict], list[str]]:
    """The stored results of the current models by section, and the sections without one."""
    results, missing = {}, []
    for name, section in SECTIONS.items():
        path = work / f"{name}.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        if found and found["models"] == versions(section):
            results[name] = found
        else:
            missing.append(name)
    return results, missing


def violations(figures: dict[str, float]) -> list[str]:
    """The figures beyond their limits, each with its limit."""
    limits = tomllib.loads(LIMITS.read_text(encoding="utf-8"))
    low = [f"{name} is {figures[name]:.4f}, minimum {limit}" for name, limit in limits["min"].items()
           if figures[name] < limit]
    high = [f"{name} is {figures[name]:.4f}, maximum {limit}" for name, limit in limits["max"].items()
            if figures[name] > limit]
    return low + high


def machine_independent(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items() if MACHINE_DEPENDENT not in name}


def models_of_row(title: str, models: dict[str, str]) -> str:
    """The models of a row: the section's, or the one of the row's variant. The Haar cascade is not one of them."""
    variant = title.rsplit(", ", 1)[-1]
    if "Haar" in title:
        return "–"
    chosen = {name: version for name, version in models.items() if variant not in VARIANTS or name.endswith(variant)}
    return ", ".join(f"`{model}@{version}`" for model, version in chosen.items())


def compose(results: dict[str, dict], missing: list[str]) -> str:
    rows, weak = [], []
    for name, found in results.items():
        headline = SECTIONS[name].headline(found["figures"])
        rows += [(*row, models_of_row(row[0], found["models"])) for row in headline]
        weak += SECTIONS[name].weaknesses(found["figures"])
    lines = [
        "# Model quality",
        "",
        "`cargo xtask models --evaluate` writes this page, with the scripts in `evaluate/`.",
        "Each figure was measured with the pipelines that the workers run, on generated or published data that is the "
        "same on every run.",
        "Times depend on the machine and its load; the other figures hardly do.",
        "",
        "| measured | on | figure | model |",
        "| --- | --- | ---: | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *([f"Not measured with the current models: {', '.join(missing)}.", ""] if missing else []),
        "## Known weaknesses",
        "",
        *(f"- {line}" for line in weak),
        "",
    ]
    return "\n".join([*lines, *(found["text"].strip() + "\n" for found in results.values())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", choices=SECTIONS)
    options = parser.parse_args()
    for name in [options.only] if options.only else SECTIONS:
        measure(name, options.assets.resolve(), options.work.resolve())
    results, missing = load_results(options.work)
    OUTPUT.write_text(compose(results, missing), encoding="utf-8")
    figures = {
        name: {"models": found["models"], "figures": machine_independent(found["figures"])}
        for name, found in results.items()
    }
    FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if missing:
        raise SystemExit(f"not measured with the current models: {', '.join(missing)}; run the script without --only")
    if beyond := violations({name: value for found in results.values() for name, value in found["figures"].items()}):
        raise SystemExit("beyond the limits of models/evaluate/floors.toml: " + "; ".join(beyond))


if __name__ == "__main__":
    main()
