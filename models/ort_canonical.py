"""Puts an ORT-format file into one fixed order, so that the same model always gives the same bytes.

ONNX Runtime ends such a file (a FlatBuffer, written from its end to its start) with a table that says for each operator
which argument decides on which type, in the order of a hash map that is seeded anew in every process. Nothing else
differs between two runs but, now and then, by 8 bytes, the padding behind that table: it depends on the order. This
module reads the table, writes it in place, sorted, and moves what follows up to it. The schema is ONNX Runtime's
`ort.fbs`; the tables' names below are those in it.
"""

import struct

# Positions of fields in their tables' vtables.
SESSION_VERSION, SESSION_MODEL = 0, 1
SESSION_RESOLVER, RESOLVER_ENTRIES, ENTRY_NAME, ENTRY_VALUES, ARGUMENT_TYPE, ARGUMENT_INDEX = 3, 0, 0, 1, 0, 1
# The strictest alignment in the file, in bytes.
ALIGNMENT = 8
# The resolver: {operator: {type parameter: [(0 = input or 1 = output, index)]}}
Resolver = dict[str, dict[str, list[tuple[int, int]]]]


def canonical(model: bytes) -> bytes:
    reader = Reader(model)
    session = reader.unsigned(0)
    reference = reader.field(session, SESSION_RESOLVER)
    resolver = reader.resolver(reference)
    start, end = reader.extent
    written = write(resolver)
    if start % 4 or len(written) > end - start:
        raise ValueError("the type table of this ORT file is laid out otherwise than expected")
    made = bytearray(model)
    made[start:end] = written.ljust(end - start, b"\0")
    # The resolver's own table follows the two vtables.
    struct.pack_into("<I", made, reference, start + TABLE_START - reference)
    made = closed(bytes(made), start + len(written))
    if Reader(made).resolver(reference) != resolver:
        raise ValueError("the rewritten type table does not read back")
    return made


def closed(model: bytes, end: int) -> bytes:
    """Moves what follows the type table, which ends here, up to it, but for what alignment needs.

    It starts with a vtable or a length, whose first byte is not 0. Before it, only the session refers to it.
    """
    rest = len(model) - len(model[end:].lstrip(b"\0"))
    gap = (rest - end) % ALIGNMENT
    made = bytearray(model)
    reader = Reader(model)
    for field in (SESSION_VERSION, SESSION_MODEL):
        if place := reader.field(reader.unsigned(0), field):
            struct.pack_into("<I", made, place, reader.unsigned(place) - (rest - end - gap))
    made[end:rest] = bytes(gap)
    return bytes(made)


class Reader:
    """Reads the resolver and notes the stretch of the file that it takes."""

    def __init__(self, data: bytes):
        self.data = data
        self.extent = (len(data), 0)

    def unsigned(self, position: int) -> int:
        return struct.unpack_from("<I", self.data, position)[0]

    def field(self, table: int, index: int) -> int:
        """Where a table keeps a field; 0 if it has none, which stands for the default value 0."""
        vtable = table - struct.unpack_from("<i", self.data, table)[0]
        size, table_size = struct.unpack_from("<2H", self.data, vtable)
        self.note(table, table + table_size)
        place = 4 + 2 * index
        offset = struct.unpack_from("<H", self.data, vtable + place)[0] if place < size else 0
        return table + offset if offset else 0

    def note(self, start: int, end: int) -> None:
        self.extent = (min(self.extent[0], start), max(self.extent[1], end))

    def target(self, reference: int) -> int:
        return reference + self.unsigned(reference)

    def tables(self, reference: int) -> list[int]:
        vector = self.target(reference)
        count = self.unsigned(vector)
        self.note(vector, vector + 4 + 4 * count)
        return [self.target(vector + 4 + 4 * i) for i in range(count)]

    def string(self, reference: int) -> str:
        start = self.target(reference)
        length = self.unsigned(start)
        self.note(start, start + 4 + length + 1)
        return self.data[start + 4 : start + 4 + length].decode()

    def resolver(self, reference: int) -> Resolver:
        self.extent = (len(self.data), 0)
        found: Resolver = {}
        for entry in self.tables(self.field(self.target(reference), RESOLVER_ENTRIES)):
            types = found.setdefault(self.string(self.field(entry, ENTRY_NAME)), {})
            for parameter in self.tables(self.field(entry, ENTRY_VALUES)):
                arguments = self.tables(self.field(parameter, ENTRY_VALUES))
                types[self.string(self.field(parameter, ENTRY_NAME))] = [self.argument(a) for a in arguments]
        return found

    def argument(self, table: int) -> tuple[int, int]:
        kind, index = self.field(table, ARGUMENT_TYPE), self.field(table, ARGUMENT_INDEX)
        return (self.data[kind] if kind else 0, self.unsigned(index) if index else 0)


# One vtable serves every table of two fields (4 bytes each), one the table of one field. Each is 8 bytes with padding.
TWO_FIELDS, ONE_FIELD, TABLE_START = 0, 8, 16
VTABLES = struct.pack("<8H", 8, 12, 4, 8, 6, 8, 4, 0)


def write(resolver: Resolver) -> bytes:
    data = bytearray(VTABLES)
    # References point forwards only: names and arguments, each written once, come after all that refer to them.
    leaves: dict[str | tuple[int, int], list[int]] = {}

    def place(content: bytes) -> int:
        position = len(data)
        data.extend(content.ljust(-(-len(content) // 4) * 4, b"\0"))
        return position

    def point(reference: int, position: int) -> None:
        struct.pack_into("<I", data, reference, position - reference)

    def vector(reference: int, count: int) -> int:
        position = place(struct.pack("<I", count) + bytes(4 * count))
        point(reference, position)
        return position + 4

    def named_table(reference: int, name: str) -> int:
        """A table of a name and a vector to come; returns the place of the reference to the vector."""
        table = place(struct.pack("<3I", len(data) - TWO_FIELDS, 0, 0))
        point(reference, table)
        leaves.setdefault(name, []).append(table + 4)
        return table + 8

    place(struct.pack("<2I", TABLE_START - ONE_FIELD, 0))
    operators = vector(TABLE_START + 4, len(resolver))
    for i, (operator, types) in enumerate(sorted(resolver.items())):
        parameters = vector(named_table(operators + 4 * i, operator), len(types))
        for j, (parameter, arguments) in enumerate(sorted(types.items())):
            references = vector(named_table(parameters + 4 * j, parameter), len(arguments))
            for k, argument in enumerate(arguments):
                leaves.setdefault(argument, []).append(references + 4 * k)
    for leaf, references in leaves.items():
        if isinstance(leaf, str):
            position = place(struct.pack("<I", len(leaf.encode())) + leaf.encode() + b"\0")
        else:
            position = place(struct.pack("<3I", len(data) - TWO_FIELDS, *leaf))
        for reference in references:
            point(reference, position)
    return bytes(data)
