"""Whisper's packaged weights are read correctly and quantized within bounds."""

import struct
import sys
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import ct2  # noqa: E402
import whisper  # noqa: E402


def string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def variable(name: str, kind: int, values: np.ndarray) -> bytes:
    sizes = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
    return string(name) + sizes + struct.pack("<BI", kind, values.nbytes) + values.tobytes()


HALF = np.arange(6, dtype=np.float16).reshape(2, 3)
HEAD = struct.pack("<I", 6) + string("WhisperSpec") + struct.pack("<I", 3)
WEIGHTS = (
    HEAD
    + struct.pack("<I", 2)
    + variable("decoder/weight", 4, HALF)
    + variable("decoder/heads", 2, np.array(8, np.int16))
    + struct.pack("<I", 1)
    + string("decoder/projection")
    + string("decoder/weight")
)


class WeightsTest(unittest.TestCase):
    def test_variables_and_aliases_are_read(self):
        found = ct2.read(WEIGHTS, "WhisperSpec")
        np.testing.assert_array_equal(found["decoder/weight"], HALF)
        np.testing.assert_array_equal(found["decoder/projection"], HALF)
        self.assertEqual(int(found["decoder/heads"]), 8)

    def test_truncated_weights_and_other_specifications_are_refused(self):
        for weights in (WEIGHTS[:-30], WEIGHTS + b"\0"):
            with self.assertRaises(ValueError):
                ct2.read(weights, "WhisperSpec")
        with self.assertRaisesRegex(ValueError, "WhisperSpec in version 6, expected BertSpec"):
            ct2.read(WEIGHTS, "BertSpec")


class QuantizationTest(unittest.TestCase):
    def test_each_row_has_its_own_scale(self):
        matrix = np.array([[1.0, -2.0, 0.5], [100.0, 0.0, -50.0], [0.0, 0.0, 0.0]])
        rounded, scales = whisper.quantized(matrix, 63)
        self.assertEqual(np.abs(rounded).max(), 63)
        self.assertTrue((np.abs(rounded * scales[:, None] - matrix) <= scales[:, None] / 2 + 1e-6).all())


class VocabularyTest(unittest.TestCase):
    def test_languages_that_do_not_follow_the_start_are_refused(self):
        specials = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|transcribe|>", "<|nocaptions|>"]
        tokens = [*map(str, range(whisper.MULTILINGUAL_END)), *specials, "<|notimestamps|>", "<|0.00|>"]
        first = whisper.MULTILINGUAL_END + 2
        for order, valid in (([first, first + 1], True), ([first + 1, first], False)):
            config = f'{{"lang_ids": {order}, "suppress_ids": [], "suppress_ids_begin": []}}'.encode()
            packaged = "\n".join(tokens).encode()
            if valid:
                self.assertIn(b'"languages":["en","de"]', whisper.vocabulary(config, packaged))
            else:
                with self.assertRaises(ValueError):
                    whisper.vocabulary(config, packaged)


if __name__ == "__main__":
    unittest.main()
