"""Measures sentiment: the accuracy on rated sentences that were not trained on, by kind of text, through the pipeline.

    python models/evaluate/sentiment.py --assets .local/assets --work <folder>

The fp32 weights are not in the repository. Their figures are quoted from the model card, if it is of these weights.
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path

import pipeline

sys.path.insert(0, str(Path(__file__).parent.parent / "train"))

import data  # noqa: E402

CARD = Path(__file__).parent.parent / "sentiment" / "README.md"
PARTS = ("held-out", "dev")
ALL = "all"


def section(assets: Path, work: Path) -> tuple[str, dict[str, float]]:
    """The section as Markdown, and its figures by name, as shares of 1."""
    parts = data.split(data.sentences(data.fetch("vaderSentiment", work)))
    quoted = card(CARD.read_text(encoding="utf-8"), CARD.with_name("model.onnx").read_bytes())
    figures: dict[str, float] = {}
    for part in PARTS:
        answers = pipeline.answers([{"kind": "sentiment", "text": s.text} for s in parts[part]], assets)
        figures |= accuracies(part, parts[part], answers)
    figures |= {f"sentiment.fp32.{part}.{corpus}": share for (part, corpus), share in quoted.items() if part in PARTS}
    return markdown(figures), figures


def accuracies(part: str, sentences: list[data.Sentence], answers: list[dict]) -> dict[str, float]:
    """The accuracy of the label, over the clear ratings. NEUTRAL is always wrong, since none of these is neutral."""
    figures: dict[str, float] = {}
    for corpus in (ALL, *data.CORPORA):
        of = [(s, a["label"]) for s, a in zip(sentences, answers, strict=True) if corpus in (ALL, s.corpus)]
        clear = [(s.rating > 0, label) for s, label in of if s.is_clear]
        decided = [(positive, label) for positive, label in clear if label != "NEUTRAL"]
        right = sum(label == ("POSITIVE" if positive else "NEGATIVE") for positive, label in decided)
        name = f"{part}.{corpus}"
        figures[f"sentiment.sentences.{name}"] = len(clear)
        figures[f"sentiment.label.{name}"] = right / len(clear)
        figures[f"sentiment.decided.{name}"] = right / len(decided)
        figures[f"sentiment.neutral.{name}"] = 1 - len(decided) / len(clear)
    return figures


def card(text: str, model: bytes) -> dict[tuple[str, str], float]:
    """The accuracies of fp32 in the model card, by part and corpus, as shares of 1."""
    if hashlib.sha256(model).hexdigest() not in text:
        raise SystemExit(f"{CARD} is of other weights than model.onnx: write the new figures and sha256 into it first")
    rows = [[cell.strip(" *") for cell in line.strip("| ").split("|")] for line in text.splitlines() if "|" in line]
    header = next((row for row in rows if row[:2] == ["part", "corpus"]), None)
    if header is None or "fp32" not in header:
        raise SystemExit(f"{CARD} has no table with the columns part, corpus and fp32")
    column = header.index("fp32")
    found = {}
    for row in rows:
        if len(row) == len(header) and (share := re.fullmatch(r"([\d.]+) %", row[column])):
            found[row[0], row[1]] = float(share[1]) / 100
    return found


def markdown(figures: dict[str, float]) -> str:
    def percent(name: str) -> str:
        return f"{100 * figures[name]:.2f} %" if name in figures else "–"

    rows = [
        f"| {part} | {corpus} | {figures[f'sentiment.sentences.{part}.{corpus}']} "
        f"| {percent(f'sentiment.label.{part}.{corpus}')} | {percent(f'sentiment.decided.{part}.{corpus}')} "
        f"| {percent(f'sentiment.neutral.{part}.{corpus}')} | {percent(f'sentiment.fp32.{part}.{corpus}')} |"
        for part in PARTS
        for corpus in (ALL, *data.CORPORA)
    ]
    return f"""## Sentiment

`models/evaluate/sentiment.py` measures the int8 model through the pipeline.
It uses the sentences with clear ratings: the mean of people's ratings is over 0.5 from the middle, \
on a scale of -4 to 4.
A label is correct if its sign is that of the raters.
NEUTRAL is never correct: "correct" counts it as an error, and "correct when decided" leaves it out.
The accuracy of fp32 is quoted from [the model card](sentiment/README.md), by sign only.
By sign, int8 is close to fp32, and between its two columns here.
Held-out sentences were used neither for training nor for choosing; dev was used to choose the run.

| part | texts | sentences | correct | correct when decided | NEUTRAL | fp32 by sign (card) |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(rows)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="the folder for the package of the rated sentences")
    options = parser.parse_args()
    print(section(options.assets, options.work)[0], end="")


if __name__ == "__main__":
    main()
