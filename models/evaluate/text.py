"""Measures the text pipelines: zero-shot labels and extractive summaries.

    python models/evaluate/text.py --assets .local/assets

Prints the section of models/QUALITY.md. zero_shot.py and summaries.py generate the data, the same on every run.
"""

import argparse
from pathlib import Path

import pipeline
import summaries
import zero_shot

SENTENCES = (2, 3, 4)


def section(assets: Path) -> tuple[str, dict[str, float]]:
    """The section as Markdown, and its figures by name."""
    figures = {**single_label(assets), **multi_label(assets), **planted(assets)}
    return markdown(figures), figures


def single_label(assets: Path) -> dict[str, float]:
    items = zero_shot.single(zero_shot.TEST)
    found = classify(items, False, assets)
    right = [max(scores, key=scores.get) == item.labels[0] for item, scores in zip(items, found, strict=True)]
    figures = {"zero_shot.items": len(items), "zero_shot.accuracy": share(right)}
    for name in zero_shot.TEST:
        of_set = [of for item, of in zip(items, right, strict=True) if item.set == name]
        figures[f"zero_shot.{name}.items"] = len(of_set)
        figures[f"zero_shot.{name}.accuracy"] = share(of_set)
    return figures


def multi_label(assets: Path) -> dict[str, float]:
    """Measures texts with one label and with two together. A label is predicted when its score is over a half."""
    items = zero_shot.single(zero_shot.TEST) + zero_shot.double(zero_shot.TEST)
    found = classify(items, True, assets)
    pairs = [
        (label in item.labels, score > 0.5)
        for item, scores in zip(items, found, strict=True)
        for label, score in scores.items()
    ]
    return {
        "multi_label.items": len(items),
        "multi_label.recall": share([predicted for fits, predicted in pairs if fits]),
        "multi_label.specificity": share([not predicted for fits, predicted in pairs if not fits]),
    }


def classify(items: list[zero_shot.Item], multi_label: bool, assets: Path) -> list[dict[str, float]]:
    requests = [
        {"kind": "classify", "text": item.text, "labels": list(zero_shot.TEST[item.set]), "multi_label": multi_label}
        for item in items
    ]
    return [dict(zip(a["labels"], a["scores"], strict=True)) for a in pipeline.answers(requests, assets)]


def planted(assets: Path) -> dict[str, float]:
    """The share of planted sentences that a summary excludes."""
    documents = summaries.documents(summaries.TEST)
    figures: dict[str, float] = {"summary.documents": len(documents)}
    for count in SENTENCES:
        requests = [{"kind": "summarize", "text": of.text, "max_sentences": count} for of in documents]
        found = pipeline.answers(requests, assets)
        pairs = list(zip(documents, found, strict=True))
        # A sentence that the splitter breaks is in no summary, and would count as excluded.
        if any(len(answer["sentences"]) != count for answer in found):
            raise SystemExit(f"a summary does not have {count} sentences: check if the splitter breaks one")
        excluded = [sentence not in answer["sentences"] for document, answer in pairs for sentence in document.planted]
        clean = [document.planted.isdisjoint(answer["sentences"]) for document, answer in pairs]
        figures[f"summary.{count}.excluded"] = share(excluded)
        figures[f"summary.{count}.clean"] = share(clean)
        leading = zip(documents, pipeline.answers([sentence_list(of) for of in documents], assets), strict=True)
        lead = [sentence not in answer["sentences"][:count] for of, answer in leading for sentence in of.planted]
        figures[f"summary.{count}.lead_excluded"] = share(lead)
    return figures


def sentence_list(document: summaries.Document) -> dict:
    """A request whose answer is all of the document's sentences."""
    return {"kind": "summarize", "text": document.text, "ratio": 1.0}


def share(values: list[bool]) -> float:
    return sum(values) / len(values)


def markdown(figures: dict[str, float]) -> str:
    def percent(name: str) -> str:
        return f"{100 * figures[name]:.1f} %"

    lines = [
        "## Texts",
        "",
        "The [model card](sentiment/README.md) compares sentiment in int8 and fp32 for each kind of text; "
        "`manifest.toml` compares embeddings.",
        "",
        f"**Zero-shot labels**: {figures['zero_shot.items']} texts of five label sets (`evaluate/zero_shot.py`).",
        "A text does not contain its label, and is framed by a statement on another subject.",
        "With a single label, the share of texts whose first label is correct:",
        "",
        "| set | labels | texts | correct | by chance |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, labels in zero_shot.TEST.items():
        of_set = f"zero_shot.{name}"
        chance = f"{100 / len(labels):.1f} %"
        lines.append(
            f"| {name} | {len(labels)} | {figures[f'{of_set}.items']} | {percent(f'{of_set}.accuracy')} | {chance} |"
        )
    lines += [
        f"| all | | {figures['zero_shot.items']} | **{percent('zero_shot.accuracy')}** | |",
        "",
        f"With several labels ({figures['multi_label.items']} texts, a third of them with two subjects), "
        f"{percent('multi_label.recall')} of the labels that fit score over a half, and "
        f"{percent('multi_label.specificity')} of the others under it.",
        "",
        f"**Summaries**: {figures['summary.documents']} documents of nine sentences on one subject and three planted "
        "sentences from others (`evaluate/summaries.py`):",
        "",
        "| sentences in the summary | planted ones excluded | summaries without any | baseline: the first sentences |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for count in SENTENCES:
        of = f"summary.{count}"
        lines.append(
            f"| {count} | {percent(f'{of}.excluded')} | {percent(f'{of}.clean')} | {percent(f'{of}.lead_excluded')} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    text, _ = section(parser.parse_args().assets)
    print(text, end="")


if __name__ == "__main__":
    main()
