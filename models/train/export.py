"""Builds a trained checkpoint as an ONNX graph in fp32 or int8: MiniLM with one output.

logit  float32 [batch]  sigmoid(logit) is the probability of "positive"
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parent.parent))

import minilm  # noqa: E402


def build(state: dict[str, np.ndarray], ranges: dict[str, minilm.Range] | None = None) -> onnx.ModelProto:
    return minilm.build(
        "sentiment", state, ranges, head, helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch"])
    )


def head(graph: minilm.Graph, state: dict[str, np.ndarray], pooled: str) -> None:
    """Adds one linear unit, in fp32 since it has 384 weights only."""
    unit = graph.add("MatMul", [pooled, graph.weight("head.weight", state["head.weight"].T)], "head.product")
    unit = graph.add("Add", [unit, graph.weight("head.bias", state["head.bias"])], "head")
    graph.add("Squeeze", [unit, "pool.axis"], "logit")
