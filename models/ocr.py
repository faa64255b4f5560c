"""Prepares PP-OCRv4's three networks and its characters for loading.

The package has the networks as they were exported: each weight is an operator, tensors have numbers as names, and the
characters are in the recognizer's metadata. The patched models compute the same values:

    det.onnx        image float32 [batch, 3, height, width], BGR, (value / 255 - 0.5) / 0.5, sides multiples of 32
                    text  float32 [batch, 1, height, width], probability that a pixel is of text
    cls.onnx        image float32 [batch, 3, 48, 192], the same values; 0 to the right of the line
                    turned float32 [batch, 2], probabilities that a line is upright, and upside down
    rec.onnx        image float32 [batch, 3, 48, width], as in cls.onnx
                    classes float32 [batch, width / 8, 6625], probabilities of: blank, the characters, the space
    characters.txt  one character per line, in the order of the classes
"""

import onnx
from onnx import helper

PACKAGED = "rapidocr_onnxruntime/models/"
NETWORKS = {
    "det.onnx": (f"{PACKAGED}ch_PP-OCRv4_det_infer.onnx", "text"),
    "cls.onnx": (f"{PACKAGED}ch_ppocr_mobile_v2.0_cls_infer.onnx", "turned"),
    "rec.onnx": (f"{PACKAGED}ch_PP-OCRv4_rec_infer.onnx", "classes"),
}
DIMENSIONS = {
    "image": ("batch", None, "height", "width"),
    "text": ("batch", None, "height", "width"),
    "turned": ("batch", None),
    "classes": ("batch", "steps", None),
}


def patch(packaged: bytes, output: str) -> bytes:
    model = onnx.load_model_from_string(packaged)
    graph = model.graph
    lift_constants(graph)
    names = {graph.input[0].name: "image", graph.output[0].name: output}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in [*graph.input, *graph.output]:
        value.name = names[value.name]
        for dimension, name in zip(value.type.tensor_type.shape.dim, DIMENSIONS[value.name], strict=True):
            if name:
                dimension.dim_param = name
    if output != "text":
        graph.input[0].type.tensor_type.shape.dim[2].dim_value = 48
    del graph.value_info[:]
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def lift_constants(graph: onnx.GraphProto) -> None:
    """Replaces each Constant operator by an initializer."""
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        tensor = helper.get_attribute_value(node.attribute[0])
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)


def characters(packaged: bytes) -> str:
    model = onnx.load_model_from_string(packaged)
    return next(entry.value for entry in model.metadata_props if entry.key == "character") + "\n"
