"""Reads weights in CTranslate2's format: `model.bin`, version 6 (OpenNMT/CTranslate2, python/ctranslate2/specs).

All numbers are little-endian. A string is its length with the terminating zero (2 bytes), its bytes, and the zero.

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
        self.position = 0

    def take(self, size: int) -> bytes:
        taken = self.data[self.position : self.position + size]
        if len(taken) != size:
            raise ValueError("the weights are truncated")
        self.position += size
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
    """The variables by name, including aliases."""
    reader = Reader(data)
    version, actual = reader.number("I"), reader.string()
    if (version, actual) != (VERSION, specification):
        raise ValueError(f"weights of {actual} in version {version}, expected {specification} in version {VERSION}")
    reader.number("I")
    variables = {reader.string(): reader.array() for _ in range(reader.number("I"))}
    for _ in range(reader.number("I")):
        alias = reader.string()
        variables[alias] = variables[reader.string()]
    if reader.position != len(data):
        raise ValueError("there is data after the weights")
    return variables
