"""Equal folders make equal packages, and packages that Lambda would refuse are refused before the upload."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from localstack import package
from localstack.cloud import Failure, client


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "Function"
    (made / "lib").mkdir(parents=True)
    (made / "bootstrap").write_bytes(b"program")
    (made / "bootstrap").chmod(0o755)
    (made / "lib" / "library.so").write_bytes(b"library")
    return made


def test_times_do_not_change_the_package_but_content_and_mode_do(folder):
    first, digest = package.zipped(folder), package.content_hash(folder)
    os.utime(folder / "bootstrap", (0, 0))
    assert (package.zipped(folder), package.content_hash(folder)) == (first, digest)

    (folder / "lib" / "library.so").chmod(0o755)
    executable = package.content_hash(folder)
    assert executable != digest
    (folder / "lib" / "library.so").write_bytes(b"another")
    assert package.content_hash(folder) != executable


def test_the_bootstrap_stays_executable(folder):
    archive = zipfile.ZipFile(io.BytesIO(package.zipped(folder)))
    modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert modes == {"bootstrap": 0o755, "lib/library.so": 0o644}


def test_equal_content_is_uploaded_once(endpoint, folder):
    package.ensure_bucket("packages")
    first, again = package.upload(folder, "packages"), package.upload(folder, "packages")
    assert (first.sent, again.sent) == (True, False)
    assert (again.location, again.code_sha256) == (first.location, first.code_sha256)
    assert client("s3").get_object(**first.location)["Body"].read() == package.zipped(folder)


def test_a_folder_without_a_program_is_refused(folder):
    (folder / "bootstrap").chmod(0o644)
    with pytest.raises(Failure, match="is not executable"):
        package.check(folder)
    (folder / "bootstrap").unlink()
    with pytest.raises(Failure, match="build the functions first"):
        package.check(folder)


def test_a_folder_beyond_lambdas_limit_is_refused(folder):
    with (folder / "model").open("wb") as model:
        model.truncate(package.UNZIPPED_LIMIT)
    with pytest.raises(Failure, match="Lambda takes 262144000"):
        package.check(folder)
