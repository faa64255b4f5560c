"""Reads weights in CTranslate2's format: `model.bin`, version 6 (OpenNMT/CTranslate2, python/ctranslate2/specs).

All little-endian. A string is its length with the closing zero (2 bytes), its bytes and the zero.

    version (4 bytes), name of the specification (string), its revision (4), number of variables (4)
    each variable: name (string), rank (1), sizes (4 each), type (1), bytes (4), the data
    number of aliases (4); each: alias (string), name of the variable (string)
"""

import struct

import numpy as np

VERSION = 6
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


class Reader:
    def __init__(self, data: bytes):
        self.data = data
        self.place = 0

    def take(self, size: int) -> bytes:
        taken = self.data[self.place : self.place + size]
        if len(taken) != size:
            raise ValueError("the weights are cut short")
        self.place += size
        return taken

    def number(self, kind: str) -> int:
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0]

    def string(self) -> str:
        return self.take(self.number("H")).rstrip(b"\0").decode()

    def array(self) -> np.ndarray:
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind = TYPES[self.number("B")]
        return np.frombuffer(self.take(self.number("I")), kind).reshape(shape)


def read(data: bytes, specification: str) -> dict[str, np.ndarray]:
    """The variables by name, aliases too."""
    reader = Reader(data)
    version, found = reader.number("I"), reader.string()
    if (version, found) != (VERSION, specification):
        raise ValueError(f"these are weights of {found} in version {version}, not {specification} in {VERSION}")
    reader.number("I")
    variables = {reader.string(): reader.array() for _ in range(reader.number("I"))}
    for _ in range(reader.number("I")):
        alias = reader.string()
        variables[alias] = variables[reader.string()]
    if reader.place != len(data):
        raise ValueError("there is more behind the weights")
    return variables
