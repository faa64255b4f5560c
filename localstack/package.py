"""Zips a function's folder and uploads it, once per content."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import stat
import zipfile
from pathlib import Path

from botocore.exceptions import ClientError

from localstack.cloud import Failure, client, local_endpoint

# Lambda's limit for a function's unzipped code.
UNZIPPED_LIMIT = 250 * 1024 * 1024

# Zip knows no time before this; any fixed one makes equal contents give equal bytes.
_TIME = (1980, 1, 1, 0, 0, 0)

# Of the uploaded object, so that what is there needn't be zipped again to know it.
_CODE_SHA256 = "code-sha256"


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def check(folder: Path) -> None:
    """What Lambda would refuse, refused here with a reason."""
    bootstrap = folder / "bootstrap"
    if not bootstrap.is_file():
        raise Failure(f"{bootstrap} is missing: build the functions first (`sam build`, or make in functions/)")
    if not bootstrap.stat().st_mode & stat.S_IXUSR:
        raise Failure(f"{bootstrap} is not executable")
    size = sum(path.stat().st_size for path in files(folder))
    if size > UNZIPPED_LIMIT:
        raise Failure(f"{folder} is {size} bytes unzipped; Lambda takes {UNZIPPED_LIMIT}")


def content_hash(folder: Path) -> str:
    """Depends on names, contents and which files are executable; not on times or owners."""
    whole = hashlib.sha256()
    for path in files(folder):
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256") if hasattr(hashlib, "file_digest") else _digest(content)
        executable = bool(path.stat().st_mode & stat.S_IXUSR)
        whole.update(f"{path.relative_to(folder).as_posix()}\0{executable}\0{digest.hexdigest()}\n".encode())
    return whole.hexdigest()


def _digest(content: io.BufferedReader):
    # Python 3.10 has no hashlib.file_digest.
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return digest


def zipped(folder: Path) -> bytes:
    """Stored, not compressed: it travels over the loopback interface, where compressing costs more than it saves."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _TIME)
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


@dataclasses.dataclass(frozen=True)
class Package:
    place: dict[str, str]
    # As Lambda tells it of the code that it runs: SHA-256 of the zip, in base64.
    code_sha256: str
    sent: bool


def upload(folder: Path, bucket: str) -> Package:
    """Puts the folder into the bucket, if it isn't there already."""
    check(folder)
    place = {"Bucket": bucket, "Key": f"{folder.name}/{content_hash(folder)}.zip"}
    try:
        standing = client("s3").head_object(**place)
        return Package(place, standing["Metadata"][_CODE_SHA256], sent=False)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
    content = zipped(folder)
    code_sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    client("s3").put_object(**place, Body=content, Metadata={_CODE_SHA256: code_sha256})
    return Package(place, code_sha256, sent=True)


def upload_template(body: str, bucket: str) -> str:
    """Puts the template into the bucket, and gives its address: in the request itself it may have no more than 51,200
    bytes."""
    key = f"template/{hashlib.sha256(body.encode()).hexdigest()}.json"
    client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())
    return f"{local_endpoint()}/{bucket}/{key}"


def ensure_bucket(name: str) -> None:
    try:
        client("s3").head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        client("s3").create_bucket(Bucket=name)
