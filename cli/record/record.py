"""Records a terminal session of `mesh` against a running stack, and writes it as an SVG that moves by itself.

    set -a; . .local/stack.env; set +a
    cargo build -p mesh && python3 cli/record/record.py target/debug/mesh docs/images/mesh.svg

The commands are run for real, in a terminal of fixed size; only their being typed is made up, and long waits are cut
short. Python's standard library is all it needs.
"""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from screen import Screen
from svg import film

COLUMNS, ROWS = 100, 30
# Seconds: a letter's typing, the pause before a command and after its answer, the longest wait that is shown.
LETTER, BEFORE, AFTER, LONGEST = 0.035, 0.5, 1.8, 0.7
REVIEWS = [
    "A warm and funny film, I would see it again tomorrow.",
    "Two hours of my life that I will not get back.",
    "The plot is thin, and yet the actors carry it.",
    "Splendid music, wonderful pictures.",
    "Dull, loud and much too long.",
]


class Session:
    """A screen, and what it looked like at which second."""

    def __init__(self, folder, program):
        self.folder = folder
        self.screen = Screen(COLUMNS, ROWS)
        self.now = 0.0
        self.frames = []
        path = f"{Path(program).resolve().parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "TERM": "xterm-256color", "HOME": str(folder)}
        self.environment.pop("NO_COLOR", None)

    def show(self, text, seconds):
        self.screen.write(text)
        self.now += seconds
        self.frames.append((self.now, self.screen.lines()))

    def command(self, line):
        self.show("\r\n" if self.frames else "", 0)
        self.show("\x1b[1;32m$\x1b[0m ", BEFORE)
        for letter in line:
            self.show(letter, LETTER)
        self.show("\r\n", BEFORE)
        self.run(line)
        self.now += AFTER

    def run(self, line):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        child = subprocess.Popen(
            ["sh", "-c", line],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
        )
        os.close(theirs)
        last = time.monotonic()
        while True:
            select.select([ours], [], [])
            try:
                data = os.read(ours, 65536)
            except OSError:
                # Linux ends a terminal whose last user has gone with an error.
                break
            if not data:
                break
            passed, last = time.monotonic() - last, time.monotonic()
            self.show(data.decode("utf-8", "replace"), min(passed, LONGEST))
        os.close(ours)
        if child.wait() != 0:
            sys.exit(f"{line} ended with {child.returncode}")

    def answer(self, line):
        """What a command prints that is not shown."""
        done = subprocess.run(line, shell=True, cwd=self.folder, env=self.environment, check=True, capture_output=True)
        return done.stdout.decode()


def main():
    if len(sys.argv) != 3 or "AI_MESH_URL" not in os.environ:
        sys.exit(__doc__)
    program, to = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        # Other numbers each time: the same file would give the tasks of the recording before.
        first = int(time.time()) % 1_000_000
        rows = (f'{n},"{REVIEWS[n % len(REVIEWS)]}"\n' for n in range(first, first + 300))
        Path(folder, "reviews.csv").write_text("metadata.review,text\n" + "".join(rows))
        session = Session(folder, program)
        session.command('mesh submit sentiment --text "I loved every minute of it." --wait')
        session.command("mesh batch reviews.csv --type sentiment")
        session.command("mesh list --limit 5")
        newest = json.loads(session.answer("mesh list --limit 1 --json"))["id"]
        session.command(f"mesh inspect {newest}")
    Path(to).write_text(film(session.frames, COLUMNS, ROWS))
    print(f"{to}: {session.now:.0f} s, {Path(to).stat().st_size} bytes")


if __name__ == "__main__":
    main()
