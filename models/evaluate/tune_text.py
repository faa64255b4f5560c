"""Finds the constants of crates/models/src/text/classify.rs: the texts that represent a label, and the logistic curve.

    python models/evaluate/tune_text.py --assets .local/assets

Uses zero_shot.TUNING only, never the data that text.py measures with. Needs numpy.
"""

import argparse
from pathlib import Path

import numpy as np
import pipeline
import zero_shot

# Candidates that represent a label: one text, or the mean of several.
HYPOTHESES = (
    ("{}",),
    ("This text is about {}.",),
    ("This is about {}.",),
    ("It is about {}.",),
    ("This text expresses {}.",),
    ("The topic is {}.",),
    ("Someone talks about {}.",),
    ("This is related to {}.",),
    ("{}", "This text is about {}."),
    ("{}", "This text is about {}.", "Someone talks about {}."),
    ("{}", "This text is about {}.", "This text expresses {}."),
    ("{}", "This text is about {}.", "It is about {}.", "This is about {}."),
)
SHARPNESS = (5, 10, 15, 20, 25, 30, 40)


class Embedder:
    def __init__(self, assets: Path, texts: list[str]):
        unique = list(dict.fromkeys(texts))
        found = pipeline.answers([{"kind": "embed", "texts": [text]} for text in unique], assets)
        self.embeddings = {text: answer["embeddings"][0] for text, answer in zip(unique, found, strict=True)}

    def cosines(self, items: list[zero_shot.Item], hypotheses: tuple[str, ...]) -> list[dict[str, float]]:
        """The cosines of each item's text and every label of its set."""

        def embed(label: str) -> np.ndarray:
            mean = np.mean([self.embeddings[hypothesis.format(label)] for hypothesis in hypotheses], axis=0)
            return mean / np.linalg.norm(mean)

        sets = {name: {label: embed(label) for label in labels} for name, labels in zero_shot.TUNING.items()}
        return [
            {label: float(np.dot(self.embeddings[item.text], at)) for label, at in sets[item.set].items()}
            for item in items
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    options = parser.parse_args()
    single, double = zero_shot.single(zero_shot.TUNING), zero_shot.double(zero_shot.TUNING)
    labels = [label for of_set in zero_shot.TUNING.values() for label in of_set]
    texts = [item.text for item in single + double] + [
        h.format(label) for h in {h for several in HYPOTHESES for h in several} for label in labels
    ]
    embedder = Embedder(options.assets, texts)
    for hypotheses in HYPOTHESES:
        found = embedder.cosines(single, hypotheses)
        right = [max(of, key=of.get) == item.labels[0] for of, item in zip(found, single, strict=True)]
        losses = {sharpness: loss(found, single, sharpness) for sharpness in SHARPNESS}
        best = min(losses, key=losses.get)
        slope, midpoint, balanced = logistic(*pairs(found + embedder.cosines(double, hypotheses), single + double))
        print(
            f"{' + '.join(hypotheses)}: right {100 * np.mean(right):5.1f} %, loss {losses[20]:.3f} at 20, "
            f"{losses[best]:.3f} at {best}; logistic {slope:.1f} x (cosine - {midpoint:.3f}), "
            f"balanced {100 * balanced:.1f} %"
        )


def loss(found: list[dict[str, float]], items: list[zero_shot.Item], sharpness: float) -> float:
    """The mean of -log of the correct label's softmax."""
    values = []
    for cosines, item in zip(found, items, strict=True):
        logits = sharpness * np.array(list(cosines.values()))
        values.append(np.logaddexp.reduce(logits) - sharpness * cosines[item.labels[0]])
    return float(np.mean(values))


def pairs(found: list[dict[str, float]], items: list[zero_shot.Item]) -> tuple[np.ndarray, np.ndarray]:
    cosines = [value for of in found for value in of.values()]
    fits = [label in item.labels for of, item in zip(found, items, strict=True) for label in of]
    return np.array(cosines), np.array(fits)


def logistic(cosines: np.ndarray, fits: np.ndarray) -> tuple[float, float, float]:
    """Slope, midpoint and balanced accuracy at 0.5. Labels that fit and those that do not have equal total weight."""
    weights = np.where(fits, 0.5 / fits.mean(), 0.5 / (1 - fits.mean()))
    slope, offset = 10.0, -2.0
    for _ in range(50):  # Newton's method
        p = 1 / (1 + np.exp(-(slope * cosines + offset)))
        gradient = np.array([(weights * (p - fits) * cosines).sum(), (weights * (p - fits)).sum()])
        w = weights * p * (1 - p)
        hessian = np.array([[(w * cosines**2).sum(), (w * cosines).sum()], [(w * cosines).sum(), w.sum()]])
        slope, offset = np.array([slope, offset]) - np.linalg.solve(hessian, gradient)
    predicted = slope * cosines + offset > 0
    balanced = (predicted[fits].mean() + (~predicted)[~fits].mean()) / 2
    return float(slope), float(-offset / slope), float(balanced)


if __name__ == "__main__":
    main()
