"""Everything that a process writes is read, by its thread or by who asks for it."""

from __future__ import annotations

import os
import queue
import threading

from localstack.function_output import READ_BYTES, FunctionOutput


def read_all(written: bytes, max_lines: int = 0) -> list[str]:
    """What the thread reads."""
    lines: queue.Queue = queue.Queue(maxsize=max_lines)
    reader, writer = os.pipe()
    output = FunctionOutput(os.fdopen(reader, "rb"), lines)
    thread = threading.Thread(target=output.read_to_end)
    thread.start()
    try:
        while written:
            written = written[os.write(writer, written) :]
    finally:
        os.close(writer)
    thread.join(10)
    assert not thread.is_alive() and not output.read_available(), "the pipe is closed"
    return list(lines.queue)


def test_a_thread_reads_until_the_process_ends():
    assert read_all(b"") == []
    assert read_all("one\n\ntwo\xff \u00e9".encode()) == ["one", "", "two\u00ff \u00e9"]
    assert read_all(b"not UTF-8: \xff\n") == ["not UTF-8: \ufffd"]


def test_lines_longer_than_the_pipe_stay_whole():
    lines = [letter * (3 * READ_BYTES) for letter in "ab"]
    assert read_all("\n".join(lines).encode()) == lines


def test_the_oldest_lines_are_dropped_before_a_process_blocks():
    assert read_all(b"1\n2\n3\n4\n", max_lines=2) == ["3", "4"]


def test_two_threads_read_at_once():
    lines: queue.Queue = queue.Queue()
    reader, writer = os.pipe()
    output = FunctionOutput(os.fdopen(reader, "rb"), lines)
    thread = threading.Thread(target=output.read_to_end)
    thread.start()
    numbers = [str(number) for number in range(1000)]
    try:
        for number in numbers:
            os.write(writer, f"{number}\n".encode())
            assert output.read_available()
            assert lines.get_nowait() == number
    finally:
        os.close(writer)
        thread.join(10)
    assert not thread.is_alive() and lines.empty()
