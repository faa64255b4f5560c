"""Statements with labels, to measure zero-shot classification with: written by us, put together deterministically.

A statement never holds a word of its set's labels. Each comes in two frames, which speak of something else (breakfast,
a train, a phone) and so draw towards other labels. TUNING chooses the constants in crates/models/src/text/classify.rs
and shares no label with TEST, which only shows what they are worth.
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
    # One for single-label, two for multi-label.
    labels: tuple[str, ...]


def single(statements: Statements) -> list[Item]:
    """Each statement in FRAMES_EACH different frames."""
    random_ = random.Random(SEED)
    return [
        Item(name, framed(frame, statement), (label,))
        for name, labels in statements.items()
        for label, all_of_it in labels.items()
        for statement in all_of_it
        for frame in random_.sample(FRAMES, FRAMES_EACH)
    ]


def double(statements: Statements) -> list[Item]:
    """Each statement followed by one of another label, drawn at random."""
    random_ = random.Random(SEED)
    items = []
    for name, labels in statements.items():
        for label, all_of_it in labels.items():
            for statement in all_of_it:
                other = random_.choice([found for found in labels if found != label])
                second = random_.choice(labels[other])
                items.append(Item(name, f"{framed('{}.', statement)} {framed('{}.', second)}", (label, other)))
    return items


def framed(frame: str, statement: str) -> str:
    text = frame.format(statement)
    return text[0].upper() + text[1:]


def check(statements: Statements) -> None:
    """No statement gives a label of its set away, by a word of the label or one with up to three letters more."""
    for name, labels in statements.items():
        stems = [word.removesuffix("s") for label in labels for word in label.split()]
        given_away = re.compile(rf"\b({'|'.join(map(re.escape, stems))})\w{{0,3}}\b", re.IGNORECASE)
        for statement in sum(labels.values(), []):
            if found := given_away.search(statement):
                raise SystemExit(f"{name}: {statement!r} gives a label away with {found[0]!r}")


check(TEST)
check(TUNING)
