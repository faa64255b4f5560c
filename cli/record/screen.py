"""What a terminal shows after what was written to it, as far as `mesh` writes: text, colours, and what a progress bar
needs of ECMA-48. Anything else is an error, so that a recording never shows less than it should without a word."""

import re

# A control sequence, another control character, or text.
PIECES = re.compile(r"\x1b\[(?P<numbers>[?0-9;]*)(?P<final>[A-Za-z])|(?P<control>[\x00-\x1f])|(?P<text>[^\x00-\x1f]+)")
STYLES = {0: None, 1: "bold", 2: "faint", 31: "red", 32: "green", 33: "yellow"}


class Screen:
    """Rows of (letter, styles), and a cursor."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.cells = [[]]
        self.row = self.column = 0
        self.styles = frozenset()

    def write(self, text):
        at = 0
        while at < len(text):
            piece = PIECES.match(text, at)
            if not piece:
                raise ValueError(f"{text[at:at + 8]!r} is not understood")
            at = piece.end()
            if piece["text"]:
                for letter in piece["text"]:
                    self.put(letter)
            elif piece["final"]:
                self.steer(piece["numbers"], piece["final"])
            else:
                self.control(piece["control"])

    def put(self, letter):
        if self.column == self.columns:
            self.control("\r")
            self.control("\n")
        line = self.cells[self.row]
        line.extend([(" ", frozenset())] * (self.column + 1 - len(line)))
        line[self.column] = (letter, self.styles)
        self.column += 1

    def control(self, letter):
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self.row += 1
            if self.row == len(self.cells):
                self.cells.append([])
            if len(self.cells) > self.rows:
                self.cells.pop(0)
                self.row -= 1
        else:
            raise ValueError(f"{letter!r} is not understood")

    def steer(self, numbers, final):
        if numbers.startswith("?"):
            # Modes: whether the cursor is shown, say.
            return
        values = [int(number or 0) for number in numbers.split(";")]
        if final == "m":
            for value in values:
                style = STYLES[value]
                self.styles = self.styles | {style} if style else frozenset()
        elif final == "K":
            self.cells[self.row] = [] if values[0] == 2 else self.cells[self.row][: self.column]
        elif final == "J" and values[0] == 0:
            self.cells[self.row] = self.cells[self.row][: self.column]
            del self.cells[self.row + 1 :]
        elif final == "A":
            self.row = max(0, self.row - max(1, values[0]))
        elif final == "B":
            self.row = min(len(self.cells) - 1, self.row + max(1, values[0]))
        elif final == "G":
            self.column = max(1, values[0]) - 1
        else:
            raise ValueError(f"ESC [ {numbers} {final} is not understood")

    def lines(self):
        """The rows as tuples, which may be compared and kept."""
        return tuple(tuple(line) for line in self.cells)
