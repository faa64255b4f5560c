"""The type table of an ORT file has canonical bytes, whatever its original order."""

import struct
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import ort_canonical  # noqa: E402

RESOLVER = {
    ":Gather:13": {"T": [(0, 0), (1, 0)], "Tind": [(0, 1)]},
    ":Add:14": {"T": [(0, 0)]},
    "com.microsoft:MatMulIntegerToFloat:1": {"T1": [(0, 0)], "T2": [(0, 1)], "T3": [(1, 0)]},
}
# A file with a resolver only. Its root at 24 has a vtable at 8, and a reference to the resolver at 28.
ROOT, REFERENCE, RESOLVER_AT = 24, 28, 32


def file_of(resolver: ort_canonical.Resolver, padding: int) -> bytes:
    head = bytearray(RESOLVER_AT)
    struct.pack_into("<I4s", head, 0, ROOT, b"ORTM")
    # Four fields. Only the last one is set, 4 bytes into the table.
    struct.pack_into("<6H", head, 8, 12, 8, 0, 0, 0, REFERENCE - ROOT)
    struct.pack_into("<2I", head, ROOT, ROOT - 8, RESOLVER_AT + ort_canonical.TABLE_START - REFERENCE)
    return bytes(head) + ort_canonical.write(resolver) + bytes(padding)


class CanonicalTest(unittest.TestCase):
    def test_written_table_reads_back(self):
        written = file_of(RESOLVER, padding=0)
        self.assertEqual(ort_canonical.Reader(written).resolver(REFERENCE), RESOLVER)

    def test_result_does_not_depend_on_the_original_order(self):
        reversed_ = {name: dict(reversed(types.items())) for name, types in reversed(RESOLVER.items())}
        self.assertEqual(ort_canonical.write(reversed_), ort_canonical.write(RESOLVER))

    def test_following_data_moves_to_the_table_whatever_the_padding(self):
        made = [ort_canonical.close_gap(self.file_with_model(padding), 40) for padding in (4, 12, 268)]
        self.assertEqual(made[0], made[1])
        self.assertEqual(made[0], made[2])
        model = 28 + struct.unpack_from("<I", made[0], 28)[0]
        self.assertEqual(made[0][model:], b"\x04model")

    def file_with_model(self, padding: int) -> bytes:
        """A session at 20 with its vtable at 8, a table that ends at 40, and a model after the padding."""
        head = bytearray(40)
        struct.pack_into("<I4s", head, 0, 20, b"ORTM")
        struct.pack_into("<6H", head, 8, 12, 16, 0, 8, 0, 12)
        struct.pack_into("<4I", head, 20, 12, 0, 40 + padding - 28, 4)
        return bytes(head) + bytes(padding) + b"\x04model"

    def test_table_that_does_not_fit_is_refused(self):
        # In this file the vtables are outside of the extent that the reader records, so the extent is too small.
        with self.assertRaises(ValueError):
            ort_canonical.canonical(file_of(RESOLVER, padding=64))


if __name__ == "__main__":
    unittest.main()
