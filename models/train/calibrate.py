"""Finds the ranges of the activations for int8, by running the fp32 model over training sentences.

The ranges are fixed, not computed in each run. So the other texts of a batch do not change a text's output, and a run
need not search for extremes. A few of MiniLM's channels have much larger ranges than the others. Therefore each channel
is scaled by a power of its own range (and the weights by the inverse), as in SmoothQuant (Xiao et al., 2023,
arXiv:2211.10438), so that these few do not reduce the resolution of all.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

import data

sys.path.insert(0, str(Path(__file__).parent.parent))

from minilm import Range  # noqa: E402

# SmoothQuant's alpha: 1 equalizes activations only, 0 weights only. Tried on dev: 0.5, 0.75 and 1.
SMOOTHING = 0.75
# Every tenth training sentence is used, alone and in texts of ten sentences each.
EVERY = 10


def calibrate(model: onnx.ModelProto, inputs: list[str], tokenizer: Tokenizer) -> dict[str, Range]:
    """The ranges of a model that minilm.build() built in fp32, by the name of the activation."""
    products = [node for node in model.graph.node if node.op_type == "MatMul" and node.name.startswith("layer")]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    columns: dict[str, np.ndarray] = {}
    for node in products:
        weight = np.abs(numpy_helper.to_array(weights[node.input[1]])).max(axis=1)
        columns[node.input[0]] = np.maximum(weight, columns.get(node.input[0], 0))
    lowest, highest = extremes(model, list(columns), inputs, tokenizer)
    return {name: spread(lowest[name], highest[name], weight) for name, weight in columns.items()}


def texts(sentences: list[data.Sentence]) -> list[str]:
    short = [s.text for s in sentences[::EVERY]]
    return short + [" ".join(short[i : i + 10]) for i in range(0, len(short), 10)]


def extremes(model: onnx.ModelProto, names: list[str], inputs: list[str], tokenizer: Tokenizer) -> tuple[dict, dict]:
    """The minimum and the maximum of each channel of the named activations."""
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    lowest = dict.fromkeys(names, np.float32(0))
    highest = dict.fromkeys(names, np.float32(0))
    for text in inputs:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        values = session.run(names, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        for name, found in zip(names, values, strict=True):
            lowest[name] = np.minimum(lowest[name], found.min(axis=(0, 1)))
            highest[name] = np.maximum(highest[name], found.max(axis=(0, 1)))
    return lowest, highest


def spread(lowest: np.ndarray, highest: np.ndarray, weight: np.ndarray) -> Range:
    reach = np.maximum(-lowest, highest) + 1e-6
    return fit(lowest, highest, (weight ** (1 - SMOOTHING) / reach**SMOOTHING).astype(np.float32))


def fit(lowest: np.ndarray, highest: np.ndarray, factor: np.ndarray) -> Range:
    low, high = (lowest * factor).min(), (highest * factor).max()
    scale = np.float32((high - low) / 255)
    return Range(factor, scale, np.uint8(np.rint(-low / scale)))
