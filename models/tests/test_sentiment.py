"""The committed sentiment model has the interface and the file that its card promises."""

import hashlib
import json
import unittest
from pathlib import Path

import onnx

SENTIMENT = Path(__file__).parent.parent / "sentiment"


def shape(value: onnx.ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


class SentimentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bytes = (SENTIMENT / "model.onnx").read_bytes()
        cls.graph = onnx.load_model_from_string(cls.bytes).graph
        cls.card = (SENTIMENT / "README.md").read_text(encoding="utf-8")

    def test_batch_and_sequence_are_free(self):
        inputs = {value.name: shape(value) for value in self.graph.input}
        self.assertEqual(inputs, {name: ["batch", "sequence"] for name in ("input_ids", "attention_mask")})
        self.assertEqual({value.name: shape(value) for value in self.graph.output}, {"logit": ["batch"]})

    def test_weights_keep_to_seven_bits(self):
        weights = {tensor.name: tensor for tensor in self.graph.initializer}
        products = [node for node in self.graph.node if node.op_type == "MatMulIntegerToFloat"]
        self.assertEqual(len(products), 24)
        for node in products:
            with self.subTest(node.name):
                self.assertLessEqual(abs(onnx.numpy_helper.to_array(weights[node.input[1]])).max(), 63)

    def test_card_names_the_committed_files(self):
        for name in ("model.onnx", "tokenizer.json"):
            with self.subTest(name):
                self.assertIn(hashlib.sha256((SENTIMENT / name).read_bytes()).hexdigest(), self.card)

    def test_tokenizer_pads_nothing_and_stops_where_the_model_ends(self):
        tokenizer = json.loads((SENTIMENT / "tokenizer.json").read_text(encoding="utf-8"))
        self.assertIsNone(tokenizer["padding"])
        positions = next(tensor for tensor in self.graph.initializer if tensor.name == "positions.table")
        self.assertEqual(tokenizer["truncation"]["max_length"], positions.dims[0])


if __name__ == "__main__":
    unittest.main()
