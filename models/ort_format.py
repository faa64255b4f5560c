"""Optimizes an ONNX file ahead of time and writes it in ORT format, with the same library that functions run.

The library is called through its C interface (onnxruntime_c_api.h). The Python package of the same name supports fewer
Python versions, and would be a second copy of ONNX Runtime that might write different bytes.
"""

import ctypes
import os
from pathlib import Path

API_VERSION = 24
# Indices of functions in the OrtApi structure, which only grows at its end.
GET_ERROR_MESSAGE, CREATE_ENV, CREATE_SESSION, CREATE_SESSION_OPTIONS = 2, 3, 7, 10
SET_OPTIMIZED_MODEL_FILE_PATH, SET_SESSION_GRAPH_OPTIMIZATION_LEVEL = 11, 23
RELEASE_ENV, RELEASE_SESSION, RELEASE_SESSION_OPTIONS, ADD_SESSION_CONFIG_ENTRY = 92, 95, 100, 130
LOG_ERRORS = 3
# "Extended" fuses operators for any processor. The next level lays out weights for the current processor.
ORT_ENABLE_EXTENDED = 2


class ApiBase(ctypes.Structure):
    _fields_ = [
        ("get_api", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)),
        ("get_version", ctypes.CFUNCTYPE(ctypes.c_char_p)),
    ]


class Runtime:
    def __init__(self, library: Path):
        # An attribute, so that the library stays loaded: the functions below are part of it.
        self.library = ctypes.CDLL(str(library))
        self.library.OrtGetApiBase.restype = ctypes.POINTER(ApiBase)
        base = self.library.OrtGetApiBase().contents
        address = base.get_api(API_VERSION)
        if not address:
            raise RuntimeError(f"{library} ({base.get_version().decode()}) has no API version {API_VERSION}")
        self.functions = ctypes.cast(address, ctypes.POINTER(ctypes.c_void_p))

    def call(self, index: int, *arguments) -> None:
        """Calls a function that returns null or an error."""
        status = ctypes.CFUNCTYPE(ctypes.c_void_p, *map(type, arguments))(self.functions[index])(*arguments)
        if status:
            message = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(self.functions[GET_ERROR_MESSAGE])(status)
            raise RuntimeError(message.decode())

    def create(self, index: int, *arguments) -> ctypes.c_void_p:
        """Calls a function that returns a handle through its last argument."""
        handle = ctypes.c_void_p()
        status_and_handle = (*arguments, ctypes.cast(ctypes.byref(handle), ctypes.c_void_p))
        self.call(index, *status_and_handle)
        return handle

    def release(self, index: int, handle: ctypes.c_void_p) -> None:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.functions[index])(handle)

    def write_ort_format(self, source: Path, target: Path) -> None:
        env = self.create(CREATE_ENV, ctypes.c_int(LOG_ERRORS), ctypes.c_char_p(b"build"))
        options = self.create(CREATE_SESSION_OPTIONS)
        self.call(SET_SESSION_GRAPH_OPTIMIZATION_LEVEL, options, ctypes.c_int(ORT_ENABLE_EXTENDED))
        self.call(
            ADD_SESSION_CONFIG_ENTRY, options, ctypes.c_char_p(b"session.save_model_format"), ctypes.c_char_p(b"ORT")
        )
        self.call(SET_OPTIMIZED_MODEL_FILE_PATH, options, ctypes.c_char_p(os.fsencode(target)))
        # Creating a session optimizes the model and writes it.
        session = self.create(CREATE_SESSION, env, ctypes.c_char_p(os.fsencode(source)), options)
        self.release(RELEASE_SESSION, session)
        self.release(RELEASE_SESSION_OPTIONS, options)
        self.release(RELEASE_ENV, env)
