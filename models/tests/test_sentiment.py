"""The committed sentiment model has the interface and the sha256 in its model card."""

import hashlib
import sys
import unittest
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).parent.parent))

import minilm  # noqa: E402

SENTIMENT = Path(__file__).parent.parent / "sentiment"


def shape(value: onnx.ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


class SentimentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bytes = (SENTIMENT / "model.onnx").read_bytes()
        cls.graph = onnx.load_model_from_string(cls.bytes).graph
        cls.card = (SENTIMENT / "README.md").read_text(encoding="utf-8")

    def test_batch_and_sequence_are_dynamic(self):
        inputs = {value.name: shape(value) for value in self.graph.input}
        self.assertEqual(inputs, {name: ["batch", "sequence"] for name in ("input_ids", "attention_mask")})
        self.assertEqual({value.name: shape(value) for value in self.graph.output}, {"logit": ["batch"]})

    def test_weights_have_seven_bits(self):
        weights = {tensor.name: tensor for tensor in self.graph.initializer}
        products = [node for node in self.graph.node if node.op_type == "MatMulIntegerToFloat"]
        self.assertEqual(len(products), 24)
        for node in products:
            with self.subTest(node.name):
                self.assertLessEqual(abs(onnx.numpy_helper.to_array(weights[node.input[1]])).max(), 63)

    def test_card_names_the_committed_file(self):
        self.assertIn(hashlib.sha256(self.bytes).hexdigest(), self.card)

    def test_positions_are_those_of_the_shared_tokenizer(self):
        positions = next(tensor for tensor in self.graph.initializer if tensor.name == "positions.table")
        self.assertEqual(positions.dims[0], minilm.MAX_TOKENS)


if __name__ == "__main__":
    unittest.main()
