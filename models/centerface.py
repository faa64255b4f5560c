"""Adapts the CenterFace detector to images of any size.

The package has the network as it was exported: for ten images of 32 x 32, with every weight as an input (which prevents
constant folding), with normalizations that are not fused with their convolutions, and with numbers as names of outputs.
The patched model computes the same values:

    image      float32 [batch, 3, height, width]          RGB, 0 to 255, sides multiples of 32
    heatmap    float32 [batch, 1, height / 4, width / 4]   probability of a face centered in the cell
    scale      float32 [batch, 2, height / 4, width / 4]   natural logarithm of height and of width, in cells
    offset     float32 [batch, 2, height / 4, width / 4]   of the center from the cell's middle, y then x, in cells
    landmarks  float32 [batch, 10, height / 4, width / 4]  five (y, x) pairs from the box's upper left, in box sides
"""

import numpy as np
import onnx
from onnx import numpy_helper

NAMES = {"input.1": "image", "537": "heatmap", "538": "scale", "539": "offset", "540": "landmarks"}


def patch(packaged: bytes) -> bytes:
    model = onnx.load_model_from_string(packaged)
    graph = model.graph
    fold_normalizations(graph)
    drop_weight_inputs(graph)
    rename(graph)
    for value in [*graph.input, *graph.output]:
        sides = ("height", "width") if value.name == "image" else ("rows", "columns")
        for index, name in ((0, "batch"), (2, sides[0]), (3, sides[1])):
            value.type.tensor_type.shape.dim[index].dim_param = name
    # The inferred shapes are those for 32 x 32.
    del graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def fold_normalizations(graph: onnx.GraphProto) -> None:
    """Fuses each batch normalization with the transposed convolution before it, which thereby gets a bias."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    producers = {node.output[0]: node for node in graph.node}
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        deconvolution = producers[norm.input[0]]
        epsilon = next(a.f for a in norm.attribute if a.name == "epsilon")
        # In float64 and rounded once, so that the result does not depend on the processor.
        names = [deconvolution.input[1], *norm.input[1:]]
        kernel, gamma, beta, mean, variance = (numpy_helper.to_array(weights[n]).astype(np.float64) for n in names)
        factor = gamma / np.sqrt(variance + epsilon)
        # A transposed convolution's kernel is [in, out, height, width].
        folded = numpy_helper.from_array((kernel * factor[:, None, None]).astype(np.float32), deconvolution.input[1])
        weights[deconvolution.input[1]].CopyFrom(folded)
        bias = numpy_helper.from_array((beta - mean * factor).astype(np.float32), f"{deconvolution.output[0]}.bias")
        graph.initializer.append(bias)
        deconvolution.input.append(bias.name)
        deconvolution.output[0] = norm.output[0]
        graph.node.remove(norm)


def drop_weight_inputs(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    remaining = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(remaining)
    images = [value for value in graph.input if value.name in NAMES]
    del graph.input[:]
    graph.input.extend(images)


def rename(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        node.input[:] = [NAMES.get(name, name) for name in node.input]
        node.output[:] = [NAMES.get(name, name) for name in node.output]
    for value in [*graph.input, *graph.output]:
        value.name = NAMES[value.name]
