"""Generates labeled texts for zero-shot classification, deterministically, from statements written for this purpose.

A statement never contains a word of its set's labels. Each is in two frames on another subject (breakfast, a train, a
phone), which suggest other labels. TUNING was used to choose the constants in crates/models/src/text/classify.rs. TEST
shares no label with it, and is used for measuring only.
"""

import random
import re
from typing import NamedTuple

from zero_shot_statements import TEST, TUNING

SEED = "ai-mesh-zero-shot-1"
FRAMES = (
    "{}.",
    "Over breakfast my brother told me that {}.",
    "On the train home I read that {}.",
    "It rained all day, but what I remember is that {}.",
    "My phone buzzed while I was brushing my teeth: {}.",
    "After the party a neighbour wrote to us that {}.",
    "Someone at the office mentioned that {}, and then we all went back to work.",
    "{}; I noted it between two meetings.",
)
FRAMES_EACH = 2

Statements = dict[str, dict[str, list[str]]]


class Item(NamedTuple):
    set: str
    text: str
    # One label in single-label texts, two in multi-label texts.
    labels: tuple[str, ...]


def single(statements: Statements) -> list[Item]:
    """The texts of each statement in FRAMES_EACH different frames."""
    random_ = random.Random(SEED)
    return [
        Item(name, framed(frame, statement), (label,))
        for name, labels in statements.items()
        for label, of_label in labels.items()
        for statement in of_label
        for frame in random_.sample(FRAMES, FRAMES_EACH)
    ]


def double(statements: Statements) -> list[Item]:
    """The texts of each statement followed by one of another label, chosen at random."""
    random_ = random.Random(SEED)
    items = []
    for name, labels in statements.items():
        for label, of_label in labels.items():
            for statement in of_label:
                other = random_.choice([found for found in labels if found != label])
                second = random_.choice(labels[other])
                items.append(Item(name, f"{framed('{}.', statement)} {framed('{}.', second)}", (label, other)))
    return items


def framed(frame: str, statement: str) -> str:
    text = frame.format(statement)
    return text[0].upper() + text[1:]


def check(statements: Statements) -> None:
    """Checks that no statement contains a word of a label of its set, or such a word with up to three more letters."""
    for name, labels in statements.items():
        stems = [word.removesuffix("s") for label in labels for word in label.split()]
        label_words = re.compile(rf"\b({'|'.join(map(re.escape, stems))})\w{{0,3}}\b", re.IGNORECASE)
        for statement in sum(labels.values(), []):
            if found := label_words.search(statement):
                raise SystemExit(f"{name}: {statement!r} contains a label by {found[0]!r}: rephrase the statement")


check(TEST)
check(TUNING)
