"""A film of a terminal as one SVG: the frames stand side by side, and a style sheet moves one after the other into
view. Who wants no motion, or can't have it, sees the last frame."""

from html import escape
from itertools import groupby

CELL, LINE, EDGE = 8.4, 18, 16
# What changes within so many seconds is one frame.
SHORTEST = 0.1
# The last frame stays.
REST = 6.0
STYLE = """text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d8dee9;white-space:pre}
.bold{font-weight:bold}.faint{fill:#8a93a5}.red{fill:#f07178}.green{fill:#a3d977}.yellow{fill:#ffcb6b}
"""


def line_of(cells):
    """A line's text, a piece for each style. Its length is given, so that every font keeps the columns."""
    pieces, column = [], 0
    for styles, group in groupby(cells, lambda cell: cell[1]):
        text = "".join(letter for letter, _ in group)
        if text.strip():
            name = f' class="{" ".join(sorted(styles))}"' if styles else ""
            place = f'x="{column * CELL:.1f}" textLength="{len(text) * CELL:.1f}"'
            pieces.append(f"<text {place}{name}>{escape(text, quote=False)}</text>")
        column += len(text)
    return "".join(pieces)


def merged(frames):
    """The frames that are shown, each from its second on."""
    kept = []
    for seconds, lines in frames:
        if kept and (lines == kept[-1][1] or seconds - kept[-1][0] < SHORTEST):
            kept[-1] = (kept[-1][0], lines)
        else:
            kept.append((seconds, lines))
    return kept


def film(frames, columns, rows):
    """The SVG of (second, lines) frames."""
    width, height = columns * CELL + 2 * EDGE, rows * LINE + 2 * EDGE
    frames = merged(frames)
    names, shown = {}, []
    for number, (_, lines) in enumerate(frames):
        uses = []
        for row, cells in enumerate(lines):
            text = line_of(cells)
            if text:
                name = names.setdefault(text, f"l{len(names)}")
                uses.append(f'<use href="#{name}" y="{(row + 1) * LINE - 4}"/>')
        shown.append(f'<g transform="translate({number * width:.0f})">{"".join(uses)}</g>')
    whole = frames[-1][0] + REST
    steps = (f"{at / whole:.3%}{{transform:translateX({-n * width:.0f}px)}}" for n, (at, _) in enumerate(frames))
    last = f"transform:translateX({-(len(frames) - 1) * width:.0f}px)"
    style = (
        f"{STYLE}.film{{{last}}}\n@keyframes play{{0%{{transform:translateX(0)}}{''.join(steps)}100%{{{last}}}}}\n"
        f"@media(prefers-reduced-motion:no-preference){{.film{{animation:play {whole:.1f}s step-end infinite}}}}"
    )
    defs = "".join(f'<g id="{name}">{text}</g>' for text, name in names.items())
    view = f'width="{width:.0f}" height="{height:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {view} viewBox="0 0 {width:.0f} {height:.0f}">'
        f"<title>A terminal: mesh submits a text and a batch, lists tasks and inspects one</title>"
        f"<style>{style}</style><defs>{defs}</defs>"
        f'<rect {view} rx="8" fill="#1e222a"/>'
        f'<svg x="{EDGE}" y="{EDGE}" width="{width - 2 * EDGE:.0f}" height="{height - 2 * EDGE:.0f}">'
        f'<g class="film">{"".join(shown)}</g></svg></svg>\n'
    )
