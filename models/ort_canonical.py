"""Puts an ORT-format file into canonical order, so that the same model always gives the same bytes.

Such a file is a FlatBuffer, which ONNX Runtime writes from its end to its start. One of its tables states for each
operator which arguments determine its types, in the order of a hash map with a random seed per process. The padding
after that table depends on the order, and sometimes differs by 8 bytes. The rest is the same in every run. This module
reads the table, rewrites it sorted, and moves the following data to its end. The names are those of ONNX Runtime's
schema, `ort.fbs`.
"""

import struct

# The indices of fields in their tables' vtables.
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
        raise ValueError("the type table of the ORT file does not have the expected layout")
    made = bytearray(model)
    made[start:end] = written.ljust(end - start, b"\0")
    # The resolver's own table follows the two vtables.
    struct.pack_into("<I", made, reference, start + TABLE_START - reference)
    made = close_gap(bytes(made), start + len(written))
    if Reader(made).resolver(reference) != resolver:
        raise ValueError("the rewritten type table does not read back")
    return made


def close_gap(model: bytes, end: int) -> bytes:
    """Moves the data after the type table, which ends at `end`, to the next aligned position.

    That data starts with a vtable or a length, whose first byte is not 0. Of the preceding data, only the session
    refers to it.
    """
    rest = len(model) - len(model[end:].lstrip(b"\0"))
    gap = (rest - end) % ALIGNMENT
    made = bytearray(model)
    reader = Reader(model)
    for field in (SESSION_VERSION, SESSION_MODEL):
        if position := reader.field(reader.unsigned(0), field):
            struct.pack_into("<I", made, position, reader.unsigned(position) - (rest - end - gap))
    made[end:rest] = bytes(gap)
    return bytes(made)


class Reader:
    """Reads the resolver, and records the extent of the file that it occupies."""

    def __init__(self, data: bytes):
        self.data = data
        self.extent = (len(data), 0)

    def unsigned(self, position: int) -> int:
        return struct.unpack_from("<I", self.data, position)[0]

    def field(self, table: int, index: int) -> int:
        """The position of a table's field; 0 if the table has no such field, whose value then is 0."""
        vtable = table - struct.unpack_from("<i", self.data, table)[0]
        size, table_size = struct.unpack_from("<2H", self.data, vtable)
        self.record(table, table + table_size)
        entry = 4 + 2 * index
        offset = struct.unpack_from("<H", self.data, vtable + entry)[0] if entry < size else 0
        return table + offset if offset else 0

    def record(self, start: int, end: int) -> None:
        self.extent = (min(self.extent[0], start), max(self.extent[1], end))

    def target(self, reference: int) -> int:
        return reference + self.unsigned(reference)

    def tables(self, reference: int) -> list[int]:
        vector = self.target(reference)
        count = self.unsigned(vector)
        self.record(vector, vector + 4 + 4 * count)
        return [self.target(vector + 4 + 4 * i) for i in range(count)]

    def string(self, reference: int) -> str:
        start = self.target(reference)
        length = self.unsigned(start)
        self.record(start, start + 4 + length + 1)
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


# One vtable for all tables of two fields (4 bytes each), and one for the table of one field: 8 bytes each with padding.
TWO_FIELDS, ONE_FIELD, TABLE_START = 0, 8, 16
VTABLES = struct.pack("<8H", 8, 12, 4, 8, 6, 8, 4, 0)


def write(resolver: Resolver) -> bytes:
    data = bytearray(VTABLES)
    # References point forward only. Names and arguments are written once, after all references to them.
    leaves: dict[str | tuple[int, int], list[int]] = {}

    def append(content: bytes) -> int:
        position = len(data)
        data.extend(content.ljust(-(-len(content) // 4) * 4, b"\0"))
        return position

    def point(reference: int, position: int) -> None:
        struct.pack_into("<I", data, reference, position - reference)

    def vector(reference: int, count: int) -> int:
        position = append(struct.pack("<I", count) + bytes(4 * count))
        point(reference, position)
        return position + 4

    def named_table(reference: int, name: str) -> int:
        """A table of a name and a vector. Returns the position of the reference to the vector."""
        table = append(struct.pack("<3I", len(data) - TWO_FIELDS, 0, 0))
        point(reference, table)
        leaves.setdefault(name, []).append(table + 4)
        return table + 8

    append(struct.pack("<2I", TABLE_START - ONE_FIELD, 0))
    operators = vector(TABLE_START + 4, len(resolver))
    for i, (operator, types) in enumerate(sorted(resolver.items())):
        parameters = vector(named_table(operators + 4 * i, operator), len(types))
        for j, (parameter, arguments) in enumerate(sorted(types.items())):
            references = vector(named_table(parameters + 4 * j, parameter), len(arguments))
            for k, argument in enumerate(arguments):
                leaves.setdefault(argument, []).append(references + 4 * k)
    for leaf, references in leaves.items():
        if isinstance(leaf, str):
            position = append(struct.pack("<I", len(leaf.encode())) + leaf.encode() + b"\0")
        else:
            position = append(struct.pack("<3I", len(data) - TWO_FIELDS, *leaf))
        for reference in references:
            point(reference, position)
    return bytes(data)
