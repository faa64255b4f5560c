"""Generates documents with planted sentences: nine on one subject, and three from other subjects at random places.

TUNING was used to choose the weight of relevance in crates/models/src/text/summarize.rs. TEST shares no subject with
it.
"""

import random
from typing import NamedTuple

from summary_documents import SUBJECTS

SEED = "ai-mesh-summaries-1"
ON_TOPIC, PLANTED = 9, 3
DOCUMENTS_EACH = 8
TUNING = ("bread", "chess", "library", "tram")
TEST = tuple(subject for subject in SUBJECTS if subject not in TUNING)


class Document(NamedTuple):
    text: str
    planted: set[str]


def documents(subjects: tuple[str, ...]) -> list[Document]:
    return [document(subject, number, subjects) for subject in subjects for number in range(DOCUMENTS_EACH)]


def document(subject: str, number: int, subjects: tuple[str, ...]) -> Document:
    random_ = random.Random(f"{SEED}:{subject}:{number}")
    # One of the ten sentences is left out, so that the documents on a subject differ.
    left_out = random_.randrange(len(SUBJECTS[subject]))
    sentences = [sentence for i, sentence in enumerate(SUBJECTS[subject]) if i != left_out][:ON_TOPIC]
    others = random_.sample([other for other in subjects if other != subject], PLANTED)
    planted = [random_.choice(SUBJECTS[other]) for other in others]
    for sentence in planted:
        # At any place, including the first.
        sentences.insert(random_.randrange(len(sentences) + 1), sentence)
    return Document(" ".join(sentences), set(planted))
