"""What a function's process writes, line by line."""

from __future__ import annotations

import os
import queue
import select
import threading
from typing import BinaryIO

READ_BYTES = 65536


class FunctionOutput:
    """The pipe to which a process writes its log.

    A thread of its own reads it all the time, since the process blocks on a full pipe. Who wants all that the process
    has written until now does not wait for that thread, but reads the rest itself."""

    def __init__(self, stream: BinaryIO, lines: queue.Queue) -> None:
        self._stream = stream
        self._lines = lines
        self._unfinished = b""
        self._is_open = True
        # Held from the look at the pipe until its lines are in the queue.
        self._lock = threading.Lock()
        self._poll = self._new_poll()

    def _new_poll(self) -> select.poll:
        poll = select.poll()
        poll.register(self._stream.fileno(), select.POLLIN)
        return poll

    def read_to_end(self) -> None:
        """Reads until the process and its children have closed the pipe."""
        # Two threads must not use one object.
        poll = self._new_poll()
        with self._stream:
            while self.read_available():
                poll.poll()

    def read_available(self) -> bool:
        """Puts all lines that are in the pipe into the queue. Whether more may come."""
        with self._lock:
            while self._is_open and self._poll.poll(0):
                written = os.read(self._stream.fileno(), READ_BYTES)
                *lines, self._unfinished = (self._unfinished + written).split(b"\n")
                if not written:
                    lines = [self._unfinished] if self._unfinished else []
                    self._is_open = False
                for line in lines:
                    self._add(line.decode(errors="replace").rstrip("\r"))
            return self._is_open

    def _add(self, line: str) -> None:
        while True:
            try:
                return self._lines.put_nowait(line)
            except queue.Full:
                # The oldest line is dropped: a reader that waits would block the process.
                try:
                    self._lines.get_nowait()
                except queue.Empty:
                    pass
