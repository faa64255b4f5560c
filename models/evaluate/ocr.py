"""Measures OCR: draws pages of known text, reads them through the Rust pipeline, and counts the errors.

    pip install -r models/evaluate/requirements.txt
    cargo build --release -p mesh-models --example ocr
    python models/evaluate/ocr.py --reader target/release/examples/ocr --assets .local/assets --work <folder>

The pages are the same on every run, with fonts of pinned packages and a fixed random seed. CER is the number of
characters to insert, delete or replace, over the number of expected characters; WER is the same for words. Line breaks
count as spaces, so that a wrong reading order counts as errors.
"""

import argparse
import importlib.util
import json
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from scoring import distance

FONTS = {
    "DejaVu Sans": ("matplotlib", "mpl-data/fonts/ttf/DejaVuSans.ttf"),
    "DejaVu Serif": ("matplotlib", "mpl-data/fonts/ttf/DejaVuSerif.ttf"),
    "DejaVu Sans Mono": ("matplotlib", "mpl-data/fonts/ttf/DejaVuSansMono.ttf"),
    "STIX": ("matplotlib", "mpl-data/fonts/ttf/STIXGeneral.ttf"),
    "STIX Italic": ("matplotlib", "mpl-data/fonts/ttf/STIXGeneralItalic.ttf"),
    "Roboto": ("font_roboto", "files/Roboto-Regular.ttf"),
    "Roboto Bold": ("font_roboto", "files/Roboto-Bold.ttf"),
    "Caladea": ("font_caladea", "files/Caladea-Regular.ttf"),
    "Source Sans": ("font_source_sans_pro", "files/SourceSansPro-Regular.ttf"),
}
# The seed of the reported pages. Thresholds of the pipeline were chosen on some of the pages of 2025.
SEED = 2026
PLAIN = ("DejaVu Sans", "DejaVu Serif", "STIX", "Roboto", "Caladea", "Source Sans")

# Written for this purpose: prose, numbers, names, code and punctuation like in letters, invoices and manuals.
SENTENCES = """
The harbour was quiet when the first boats came in, and nobody asked where they had been.
Please return the signed form by 14 March 2025 to the office on the second floor.
Invoice no. 2071-B: 12 chairs at $48.50 each, 3 tables at $129.00, total $969.00.
A kettle that whistles too early is as useless as one that never boils.
She counted the steps again: forty-seven up, forty-six down.
If the lamp blinks twice, hold the button for ten seconds and wait for the tone.
Call +44 20 7946 0018 or write to help@example.org before noon.
"Nothing ever happens here," he said, and closed the window against the rain.
Mix 250 g of flour with 2 eggs, a pinch of salt and 125 ml of cold milk.
The committee met on Tuesday; its report (see page 31) was never read.
Trains for Leeds leave at 06:15, 07:45 and 09:30 from platform 4.
It isn't the cold that breaks a pipe, it's the thaw.
Version 3.2.1 fixes 18 bugs and adds support for 64-bit systems.
Grandmother kept her letters in a biscuit tin under the stairs.
Is there any reason to believe that the bridge will hold until spring?
The quick answer is no; the long answer takes an afternoon and a map.
Shares fell by 2.7% on Monday, to 1,845 points, before they rose again.
Every box must carry its label: name, weight, date and number.
Dr. Okafor and Ms. Lindqvist will present their findings in room B-204.
We walked along the canal as far as the old mill and ate our bread there.
Turn off the water & the power before you open the cover!
Three of the five samples weighed less than half an ounce.
The key to the cellar hangs behind the clock, where it has always hung.
Save your work often, since the machine gives no warning.
Children under 12 pay half; groups of ten or more should book ahead.
He painted the door green, then blue, then green again.
Total rainfall in 1998 was 1,204 mm, of which 310 mm fell in November.
Take the A38 to junction 27, then follow the signs for the airport.
No one had told the new clerk that the drawer was locked.
Use a soft cloth; never spray the cleaner directly on the screen.
The second verse is longer than the first and harder to remember.
Between the orchard and the road there used to be a stone wall.
Payment is due within 30 days; late payments bear interest at 8%.
What the map calls a road is in truth a path for goats.
Set the dial to 7, close the lid, and press START.
They sold the piano in July and bought a boat in August.
""".strip().splitlines()


@dataclass
class Page:
    name: str
    condition: str
    picture: Image.Image
    text: str
    suffix: str = "png"
    options: dict = field(default_factory=dict)


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    package, path = FONTS[name]
    root = Path(next(iter(importlib.util.find_spec(package).submodule_search_locations)))
    return ImageFont.truetype(str(root / path), size)


def prose(rng: random.Random, characters: int) -> str:
    sentences = []
    while sum(map(len, sentences)) < characters:
        sentences.append(rng.choice(SENTENCES))
    return " ".join(sentences)


def wrap(text: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if face.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def column(draw, lines, face, size, x, y, ink) -> int:
    for line in lines:
        draw.text((x, y), line, font=face, fill=ink)
        y += round(size * 1.45)
    return y


def sheet(rng: random.Random, name: str, size: int, ink=20, paper=250, lines=12, width=None) -> tuple[Image.Image, str]:
    """A page with one column of text."""
    face = font(name, size)
    width = width or min(1400, max(360, size * 34))
    found = wrap(prose(rng, lines * 60), face, width)[:lines]
    picture = Image.new("L", (width + 4 * size, round(size * 1.45) * len(found) + 4 * size), paper)
    column(ImageDraw.Draw(picture), found, face, size, 2 * size, 2 * size, ink)
    return picture, " ".join(found)


def columns(rng: random.Random, name: str, size: int, count: int, heading: bool) -> tuple[Image.Image, str]:
    face, title = font(name, size), font(name, round(size * 1.8))
    width, gutter, margin = size * 18, size * 2, size * 3
    texts = [wrap(prose(rng, 16 * 45), face, width)[: 16 - 2 * i] for i in range(count)]
    head = wrap(rng.choice(SENTENCES), title, count * width + (count - 1) * gutter)[:1] if heading else []
    picture = Image.new("L", (count * width + (count - 1) * gutter + 2 * margin, size * 32), 250)
    draw = ImageDraw.Draw(picture)
    top = column(draw, head, title, round(size * 1.8), margin, margin, 10) + (size if heading else 0)
    for i, lines in enumerate(texts):
        column(draw, lines, face, size, margin + i * (width + gutter), top, 20)
    return picture, " ".join([*head, *(line for lines in texts for line in lines)])


def noisy(picture: Image.Image, rng: random.Random, sigma: float) -> Image.Image:
    values = np.asarray(picture, dtype=np.float32)
    noise = np.random.default_rng(rng.randrange(2**32)).normal(0, sigma, values.shape)
    return Image.fromarray(np.clip(values + noise, 0, 255).astype(np.uint8))


def pages(seed: int = SEED) -> list[Page]:
    rng = random.Random(seed)
    made: list[Page] = []

    def add(condition: str, picture: Image.Image, text: str, suffix: str = "png", **options) -> None:
        made.append(Page(f"{len(made):03}", condition, picture, text, suffix, options))

    for size in (10, 12, 14, 18, 24, 32, 40):
        for name in PLAIN if size < 24 else PLAIN[::2]:
            add(f"{size} px", *sheet(rng, name, size))
    for name in ("DejaVu Sans Mono", "STIX Italic", "Roboto Bold"):
        add("mono, italic, bold", *sheet(rng, name, 18))
    for name in PLAIN:
        picture, text = sheet(rng, name, 18)
        add("noise, sigma 25", noisy(picture, rng, 25), text)
        picture, text = sheet(rng, name, 18)
        add("blur, radius 1.2", picture.filter(ImageFilter.GaussianBlur(1.2)), text)
        add("JPEG, quality 25", *sheet(rng, name, 16), suffix="jpg", quality=25)
        add("contrast 25 %", *sheet(rng, name, 18, ink=150, paper=214))
        add("white on black", *sheet(rng, name, 18, ink=240, paper=12))
    for degrees, name in zip((-4, -2, -1, 1, 2, 4), PLAIN, strict=True):
        picture, text = sheet(rng, name, 20)
        turned = picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=250)
        add("skew of 1 to 4 degrees", turned, text)
    for quarter in (90, 180, 270):
        for name in PLAIN[:4]:
            picture, text = sheet(rng, name, 20)
            add(f"turned by {quarter}", picture.rotate(quarter, expand=True), text)
    for heading in (False, True):
        for name in PLAIN[:3]:
            add("two columns", *columns(rng, name, 18, 2, heading))
    add("two columns", *columns(rng, "Roboto", 15, 3, True))
    for name in PLAIN[:3]:
        picture, text = sheet(rng, name, 42, lines=50, width=2200)
        add("A4 at 300 dpi", noisy(picture, rng, 6), text, suffix="jpg", quality=85)
    return made


def samples(folder: Path) -> None:
    """Draws the two small pages for the tests of crates/models, in 16 shades of gray."""
    face, title = font("DejaVu Sans", 20), font("DejaVu Serif", 32)
    lines = Image.new("L", (560, 240), 255)
    column(ImageDraw.Draw(lines), wrap(" ".join(SENTENCES[1:5]), face, 500)[:6], face, 20, 30, 30, 0)
    columns = Image.new("L", (760, 330), 255)
    draw = ImageDraw.Draw(columns)
    draw.text((30, 24), "Notes from a quiet harbour town", font=title, fill=0)
    for x, start in ((30, 0), (400, 22)):
        column(draw, wrap(" ".join(SENTENCES[start : start + 5]), face, 320)[:7], face, 20, x, 100, 0)
    for name, picture in (("lines", lines), ("columns", columns)):
        picture.quantize(16).save(folder / f"{name}.png", optimize=True)


@dataclass
class Score:
    pages: int = 0
    characters: int = 0
    errors: int = 0
    errors_without_spaces: int = 0
    words: int = 0
    wrong_words: int = 0
    seconds: float = 0.0

    def add(self, found: str, expected: str, seconds: float) -> None:
        found, expected = " ".join(found.split()), " ".join(expected.split())
        self.pages += 1
        self.characters += len(expected)
        self.errors += distance(found, expected)
        self.errors_without_spaces += distance(found.replace(" ", ""), expected.replace(" ", ""))
        self.words += len(expected.split())
        self.wrong_words += distance(found.split(), expected.split())
        self.seconds += seconds


PHOTO_TEXT = """Region-based segmentation
Let us first determine markers of the coins and the background. These markers are pixels that we can label
unambiguously as either object or background. Here, the markers are found at the two extreme parts of the
histogram of grey values:
>>> markers = np.zeros_like(coins)"""


def read(reader: Path, assets: Path, files: list[Path]) -> tuple[list[dict], str]:
    done = subprocess.run([reader, assets, *files], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.strip()


def measure(reader: Path, assets: Path, work: Path, only: str = "") -> tuple[dict[str, Score], str, list]:
    work.mkdir(parents=True, exist_ok=True)
    chosen = [page for page in pages() if only in page.condition]
    files = []
    for page in chosen:
        files.append(work / f"{page.name}.{page.suffix}")
        page.picture.save(files[-1], **page.options)
    texts, conditions = [page.text for page in chosen], [page.condition for page in chosen]
    if only in "photo of a page":
        files.append(assets / "testdata/page.png")
        texts.append(PHOTO_TEXT)
        conditions.append("photo of a page")
    answers, log = read(reader, assets, files)
    scores: dict[str, Score] = {}
    for condition, text, answer in zip(conditions, texts, answers, strict=True):
        for key in (condition, "all"):
            scores.setdefault(key, Score()).add(answer["page"]["text"], text, answer["seconds"])
    scores["all"] = scores.pop("all")
    return scores, log, list(zip(files, conditions, texts, answers, strict=True))


def section(reader: Path, assets: Path, work: Path) -> tuple[str, dict[str, float]]:
    """The section as Markdown, and its figures by name, as shares of 1."""
    scores, log, _ = measure(reader, assets, work)
    figures: dict[str, float] = {"ocr.pages": scores["all"].pages}
    for name, score in scores.items():
        figures[f"ocr.cer.{name}"] = score.errors / score.characters
        figures[f"ocr.wer.{name}"] = score.wrong_words / score.words
    rows = [
        f"| {name} | {score.pages} | {percent(score.errors, score.characters)} "
        f"| {percent(score.errors_without_spaces, score.characters)} "
        f"| {percent(score.wrong_words, score.words)} | {score.seconds / score.pages:.2f} |"
        for name, score in scores.items()
    ]
    text = "\n".join([
        "## OCR",
        "",
        "PP-OCRv4 is measured on pages that `models/evaluate/ocr.py` draws, and on a photo of a page.",
        "CER is the percentage of wrong characters, WER that of wrong words.",
        "The times are for one page on one thread of the measuring machine.",
        "The pipeline's thresholds were chosen on other pages of the same fonts and sentences, and on the photo "
        "itself.",
        "",
        "| pages | count | CER % | without spaces | WER % | s per page |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *rows,
        "",
        *(f"{line[0].upper()}{line[1:]}." for line in log.splitlines()),
        "",
    ])
    return text, figures


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", type=Path)
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--samples", type=Path, help="only draw the pages for the tests, into this folder")
    options = parser.parse_args()
    if options.samples:
        samples(options.samples)
        return 0
    if not (options.reader and options.assets and options.work):
        parser.error("--reader, --assets and --work are required unless --samples is given")
    print(section(options.reader, options.assets, options.work)[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
