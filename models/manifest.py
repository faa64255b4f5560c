"""Reads manifest.toml: the packages to download, and the assets to build from them."""

from pathlib import Path
from typing import NamedTuple

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


class Package(NamedTuple):
    name: str
    version: str
    file: str
    sha256: str
    licence: str
    use: str


class Asset(NamedTuple):
    path: str
    sha256: str
    licence: str
    functions: list[str]
    source: str
    quality: str


class Manifest(NamedTuple):
    packages: list[Package]
    assets: list[Asset]


def read(path: Path) -> Manifest:
    contents = tomllib.loads(path.read_text(encoding="utf-8"))
    return Manifest(
        [Package(**fields) for fields in contents["package"]],
        # The field is `from` in the file, which is a keyword in Python.
        [Asset(source=fields.pop("from"), **fields) for fields in contents["asset"]],
    )
