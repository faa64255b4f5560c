"""Zips a function's folder, and uploads it unless the same content was uploaded before."""

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

# Lambda's limit for a function's unzipped code, in bytes.
UNZIPPED_LIMIT = 250 * 1024 * 1024

# A fixed time, so that equal contents give equal bytes. It is the earliest that the zip format can express.
_TIME = (1980, 1, 1, 0, 0, 0)

# Metadata of the uploaded object, so that the hash is known without zipping the folder again.
_CODE_SHA256 = "code-sha256"


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def check(folder: Path) -> None:
    """Refuses, with a reason, what Lambda would refuse."""
    bootstrap = folder / "bootstrap"
    if not bootstrap.is_file():
        raise Failure(f"{bootstrap} is missing: build the functions first (`sam build`)")
    if not bootstrap.stat().st_mode & stat.S_IXUSR:
        raise Failure(f"{bootstrap} is not executable: build the function again (`sam build`)")
    size = sum(path.stat().st_size for path in files(folder))
    if size > UNZIPPED_LIMIT:
        raise Failure(f"{folder} is too large: it has {size} bytes unzipped, and Lambda takes {UNZIPPED_LIMIT}")


def content_hash(folder: Path) -> str:
    """A hash of names, contents and executable bits. Times and owners do not change it."""
    total = hashlib.sha256()
    for path in files(folder):
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256") if hasattr(hashlib, "file_digest") else _digest(content)
        executable = bool(path.stat().st_mode & stat.S_IXUSR)
        total.update(f"{path.relative_to(folder).as_posix()}\0{executable}\0{digest.hexdigest()}\n".encode())
    return total.hexdigest()


def _digest(content: io.BufferedReader):
    # Python 3.10 has no hashlib.file_digest.
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return digest


def zipped(folder: Path) -> bytes:
    """The folder as a zip without compression, which would take longer than it saves on the loopback interface."""
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
    location: dict[str, str]
    # SHA-256 of the zip in base64, as Lambda reports it of the code that it runs.
    code_sha256: str
    sent: bool


def upload(folder: Path, bucket: str) -> Package:
    """Uploads the folder to the bucket unless it is there already."""
    check(folder)
    location = {"Bucket": bucket, "Key": f"{folder.name}/{content_hash(folder)}.zip"}
    try:
        existing = client("s3").head_object(**location)
        return Package(location, existing["Metadata"][_CODE_SHA256], sent=False)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
    content = zipped(folder)
    code_sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    client("s3").put_object(**location, Body=content, Metadata={_CODE_SHA256: code_sha256})
    return Package(location, code_sha256, sent=True)


def upload_template(body: str, bucket: str) -> str:
    """Uploads the template to the bucket and returns its address: a request may contain at most 51,200 bytes of it."""
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
