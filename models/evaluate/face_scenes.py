"""Composes scenes with faces in known places: the head of one portrait on other pictures. The same on every run.

Unlike in photographs, the place of each face is known to the pixel, and each scene varies one difficulty. It is one
person's face from the front, so the figures compare sizes, angles and disturbances, not people.
"""

import io
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from scoring import Box

SEED = "ai-mesh-faces-1"
# The face in testdata/astronaut.png, measured by eye from hairline to chin and from cheek to cheek.
FACE = Box(181, 70, 88, 109)
# The head around it, an ellipse with soft edges.
HEAD = Box(146, 8, 160, 192)
SIZES = (24, 32, 48, 64, 96, 160, 240, 400)
DEFAULT_SIZES = (60, 200)
NONE = "no face"
# Conditions that are not part of the totals, since they are not expected of a detector of upright faces.
APART = ("turned by 90 degrees", "turned by 180 degrees")

Change = Callable[[Image.Image], Image.Image]


@dataclass
class Scene:
    condition: str
    picture: Image.Image
    faces: list[Box]


class Portrait:
    def __init__(self, assets: Path):
        photo = Image.open(assets / "testdata/astronaut.png").convert("RGB")
        area = (HEAD.x, HEAD.y, HEAD.x + HEAD.width, HEAD.y + HEAD.height)
        mask = Image.new("L", (HEAD.width, HEAD.height), 0)
        ImageDraw.Draw(mask).ellipse((6, 6, HEAD.width - 7, HEAD.height - 7), fill=255)
        self.head = photo.crop(area)
        self.head.putalpha(mask.filter(ImageFilter.GaussianBlur(3)))

    def place(self, picture: Image.Image, size: float, middle: tuple[float, float], degrees: float) -> Box:
        """Pastes the head with the face's center at `middle` and its height at `size`, rotated counterclockwise."""
        factor = size / FACE.height
        # A square around the face's center, which therefore does not move when the square is rotated.
        x, y = FACE.x + FACE.width / 2 - HEAD.x, FACE.y + FACE.height / 2 - HEAD.y
        half = math.ceil(math.hypot(HEAD.width, HEAD.height))
        square = Image.new("RGBA", (2 * half, 2 * half))
        square.paste(self.head, (round(half - x), round(half - y)))
        square = square.rotate(degrees, Image.Resampling.BICUBIC)
        side = round(2 * half * factor)
        square = square.resize((side, side), Image.Resampling.LANCZOS)
        left, top = round(middle[0] - side / 2), round(middle[1] - side / 2)
        picture.paste(square, (left, top), square)
        # The bounding box of the rotated ellipse in the face's box.
        a, b, angle = FACE.width * factor / 2, FACE.height * factor / 2, math.radians(degrees)
        across = math.hypot(a * math.cos(angle), b * math.sin(angle))
        down = math.hypot(a * math.sin(angle), b * math.cos(angle))
        return Box(left + side / 2 - across, top + side / 2 - down, 2 * across, 2 * down)


def photograph(name: str) -> Callable:
    def draw(random_: random.Random, size: tuple[int, int], assets: Path) -> Image.Image:
        picture = Image.open(assets / "testdata" / name).convert("RGB")
        # A random part of the picture, so that no two scenes are the same.
        share = random_.uniform(0.7, 1)
        width, height = (round(side * share) for side in picture.size)
        x, y = random_.randrange(picture.width - width + 1), random_.randrange(picture.height - height + 1)
        return picture.crop((x, y, x + width, y + height)).resize(size, Image.Resampling.BICUBIC)

    return draw


def clouds(random_: random.Random, size: tuple[int, int], _: Path) -> Image.Image:
    """Soft spots of color at three scales."""
    numbers = np.random.default_rng(random_.randrange(2**32))
    picture = Image.new("RGB", size, (128, 128, 128))
    for cells in (3, 9, 40):
        values = numbers.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        picture = Image.blend(picture, Image.fromarray(values).resize(size, Image.Resampling.BICUBIC), 0.4)
    return picture


def circles(random_: random.Random, size: tuple[int, int], _: Path) -> Image.Image:
    """Round objects with two dots and a line, like clocks, plugs and buttons."""
    picture = Image.new("RGB", size, color(random_, 120, 240))
    draw = ImageDraw.Draw(picture)
    for _number in range(14):
        r = random_.uniform(0.03, 0.13) * min(size)
        x, y = random_.uniform(0, size[0]), random_.uniform(0, size[1])
        fill, outline = color(random_, 60, 255), color(random_, 0, 90)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=outline, width=3)
        for side in (-0.4, 0.4) if random_.random() < 0.6 else ():
            dot = (x + side * r - r / 8, y - r / 3 - r / 8, x + side * r + r / 8, y - r / 3 + r / 8)
            draw.ellipse(dot, fill=(20, 20, 20))
        draw.line((x - r / 3, y + r / 3, x + r / 3, y + r / 3), fill=(20, 20, 20), width=max(1, round(r / 12)))
    return picture


def skin(random_: random.Random, size: tuple[int, int], _: Path) -> Image.Image:
    """Ovals in skin colors below ovals in hair colors, without facial features."""
    picture = Image.new("RGB", size, color(random_, 40, 220))
    draw = ImageDraw.Draw(picture)
    for _number in range(8):
        tone = random_.uniform(0.35, 1)
        r = random_.uniform(0.04, 0.18) * min(size)
        x, y = random_.uniform(0, size[0]), random_.uniform(0, size[1])
        draw.ellipse((x - 1.2 * r, y - 1.7 * r, x + 1.2 * r, y + r), fill=color(random_, 20, 90))
        fill = (round(235 * tone), round(190 * tone), round(160 * tone))
        draw.ellipse((x - r, y - 1.3 * r, x + r, y + 1.3 * r), fill=fill)
    return picture.filter(ImageFilter.GaussianBlur(min(size) / 300))


def stripes(random_: random.Random, size: tuple[int, int], _: Path) -> Image.Image:
    picture = Image.new("RGB", size, color(random_, 100, 255))
    draw = ImageDraw.Draw(picture)
    step = random_.randrange(12, 50)
    for x in range(-size[1], size[0], step):
        draw.line((x, 0, x + random_.randrange(size[1]), size[1]), fill=color(random_, 0, 200), width=step // 3)
    return picture


def color(random_: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return tuple(random_.randrange(low, high) for _ in range(3))


GROUNDS = (photograph("chelsea.png"), photograph("page.png"), clouds, circles, skin, stripes)


def noise(picture: Image.Image) -> Image.Image:
    values = np.random.default_rng(picture.width).normal(0, 20, (picture.height, picture.width, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + values, 0, 255).astype(np.uint8))


def jpeg(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=15)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


CHANGES: dict[str, Change] = {
    "dark, a quarter of the light": lambda picture: ImageEnhance.Brightness(picture).enhance(0.25),
    "bright, 1.8 times the light": lambda picture: ImageEnhance.Brightness(picture).enhance(1.8),
    "contrast 30 %": lambda picture: ImageEnhance.Contrast(picture).enhance(0.3),
    "noise, sigma 20": noise,
    "blur, radius 3": lambda picture: picture.filter(ImageFilter.GaussianBlur(3)),
    "JPEG, quality 15": jpeg,
}


def scenes(assets: Path) -> list[Scene]:
    random_ = random.Random(SEED)
    portrait = Portrait(assets)
    made: list[Scene] = []

    def add(condition: str, sizes: list[float], degrees: float = 0, canvas=(640, 480), change: Change | None = None):
        ground = GROUNDS[len(made) % len(GROUNDS)]
        picture = ground(random_, canvas, assets)
        # Each head has a column of its own, so that none covers another.
        column = canvas[0] / max(len(sizes), 1)
        boxes = []
        for number, size in enumerate(sizes):
            reach = min(0.95 * size, column / 2, canvas[1] / 2)
            x = random_.uniform(number * column + reach, (number + 1) * column - reach)
            y = random_.uniform(reach, canvas[1] - reach)
            turn = degrees * random_.choice((-1, 1))
            boxes.append(portrait.place(picture, size, (x, y), turn))
        made.append(Scene(condition, change(picture) if change else picture, boxes))

    for size in SIZES:
        for _ in range(6):
            add(f"{size} px high", [size], canvas=(640, 480) if size < 200 else (1024, 800))
    for _ in range(6):
        add("32 px in 1920 x 1440", [32], canvas=(1920, 1440))
    for degrees in (10, 20, 30, 45):
        for _ in range(6):
            add(f"tilted by {degrees} degrees", [random_.uniform(*DEFAULT_SIZES)], degrees)
    for name, change in CHANGES.items():
        for _ in range(6):
            add(name, [random_.uniform(*DEFAULT_SIZES)], change=change)
    for count in (2, 3, 4, 5, 6, 8):
        for _ in range(2):
            add("2 to 8 faces", [random_.uniform(28, 0.45 * 960 / count) for _ in range(count)], canvas=(960, 600))
    for _ in range(8 * len(GROUNDS)):
        add(NONE, [])
    for name, degrees in zip(APART, (90, 180), strict=True):
        for _ in range(6):
            add(name, [random_.uniform(*DEFAULT_SIZES)], degrees)
    return made
