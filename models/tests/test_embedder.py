"""The embedder builds with the committed ranges, and has the interface that the code expects."""

import sys
import unittest
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parent.parent))

import embedder  # noqa: E402
import minilm  # noqa: E402

WIDE = 4 * minilm.HIDDEN


def random_state() -> dict[str, np.ndarray]:
    """Random weights of the right shapes, for a vocabulary of ten words."""
    random = np.random.default_rng(1)
    shapes = {
        "embeddings.word_embeddings.weight": (10, minilm.HIDDEN),
        "embeddings.position_embeddings.weight": (512, minilm.HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, minilm.HIDDEN),
    }
    linear = {"attention.self.query": 0, "attention.self.key": 0, "attention.self.value": 0}
    linear |= {"attention.output.dense": 0, "intermediate.dense": 1, "output.dense": 2}
    kinds = [(minilm.HIDDEN, minilm.HIDDEN), (WIDE, minilm.HIDDEN), (minilm.HIDDEN, WIDE)]
    norms = ["embeddings"]
    for index in range(minilm.LAYERS):
        key = f"encoder.layer.{index}"
        for name, kind in linear.items():
            shapes[f"{key}.{name}.weight"] = kinds[kind]
            shapes[f"{key}.{name}.bias"] = kinds[kind][:1]
        norms += [f"{key}.attention.output", f"{key}.output"]
    for norm in norms:
        shapes[f"{norm}.LayerNorm.weight"] = shapes[f"{norm}.LayerNorm.bias"] = (minilm.HIDDEN,)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


class EmbedderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.graph = embedder.build(random_state(), embedder.ranges()).graph

    def test_output_is_one_embedding_per_text(self):
        (output,) = self.graph.output
        dims = [dim.dim_param or dim.dim_value for dim in output.type.tensor_type.shape.dim]
        self.assertEqual((output.name, dims), ("embedding", ["batch", 384]))

    def test_every_product_is_quantized_to_seven_bits(self):
        weights = {tensor.name: tensor for tensor in self.graph.initializer}
        products = [node for node in self.graph.node if node.op_type == "MatMulIntegerToFloat"]
        self.assertEqual(len(products), 4 * minilm.LAYERS)
        for node in products:
            with self.subTest(node.name):
                self.assertLessEqual(abs(onnx.numpy_helper.to_array(weights[node.input[1]])).max(), 63)

    def test_factors_are_finite_and_positive(self):
        for name, (factor, scale, _) in embedder.ranges().items():
            with self.subTest(name):
                self.assertTrue(np.isfinite(factor).all() and (factor > 0).all() and scale > 0)


if __name__ == "__main__":
    unittest.main()
