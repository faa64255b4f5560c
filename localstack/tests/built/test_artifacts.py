"""The functions' folders from `sam build` are complete, small enough and free of test faults, and the functions start.

    AI_MESH_ARTIFACTS=.aws-sam/build AI_MESH_FAULT_ARTIFACTS=... python -m pytest localstack/tests/built

The second folder has the functions as the fault tests build them.
"""

from __future__ import annotations

import http.server
import os
import re
import resource
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from localstack import package

LIBRARY = "lib/libonnxruntime.so"


def dashboard() -> list[str]:
    """The dashboard's files from `cargo xtask web`: their names contain hashes."""
    folder = (Path(__file__).parents[3] / ".local/web").resolve()
    return sorted(f"web/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*") if path.is_file())


CONTENTS = {
    "ApiFunction": ["bootstrap", *dashboard()],
    "EventStreamFunction": ["bootstrap"],
    "JanitorFunction": ["bootstrap"],
    "LanguageWorkerFunction": ["bootstrap"],
    "ReactorFunction": ["bootstrap"],
    "ImageWorkerFunction": [
        "bootstrap",
        LIBRARY,
        "models/centerface/model.onnx",
        "models/ocr/characters.txt",
        "models/ocr/cls.onnx",
        "models/ocr/det.onnx",
        "models/ocr/rec.onnx",
    ],
    "AudioWorkerFunction": [
        "bootstrap",
        LIBRARY,
        *(
            f"models/whisper/{variant}/{name}"
            for variant in ("base", "tiny.en")
            for name in ("decoder.ort", "encoder.ort", "vocabulary.json")
        ),
    ],
    "TextWorkerFunction": [
        "bootstrap",
        LIBRARY,
        "models/minilm/model.ort",
        "models/minilm/tokenizer.json",
        "models/sentiment/model.ort",
    ],
}

# In bytes. Well below Lambda's 250 MB, since a larger package makes a cold start slower.
UNZIPPED_LIMIT = 200_000_000

# The version in Lambda's provided.al2023.
GLIBC = (2, 34)

# Lambda's limit for the init phase, after which it restarts the function.
INIT_SECONDS = 10

FAULT_SWITCH = b"AI_MESH_FAULTS"


def folder_of(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.fail(f"set {variable} to the folder of the built functions (see this module's first lines)")
    return Path(value).resolve()


@pytest.fixture(scope="module")
def built() -> Path:
    return folder_of("AI_MESH_ARTIFACTS")


@pytest.mark.parametrize("function", CONTENTS)
def test_the_folder_has_the_files_of_the_function_and_no_others(built, function):
    found = [path.relative_to(built / function).as_posix() for path in package.files(built / function)]
    assert found == CONTENTS[function]
    package.check(built / function)


@pytest.mark.parametrize("function", CONTENTS)
def test_the_folder_is_small(built, function, record_property):
    size = sum(path.stat().st_size for path in package.files(built / function))
    record_property("unzipped_bytes", size)
    print(f"{function}: {size / 1e6:.1f} MB unzipped")
    assert size < UNZIPPED_LIMIT


@pytest.mark.parametrize("function", CONTENTS)
def test_it_needs_no_newer_glibc_than_lambdas(built, function):
    programs = [path for path in package.files(built / function) if path.name == "bootstrap" or path.suffix == ".so"]
    for program in programs:
        needed = {tuple(map(int, found)) for found in re.findall(rb"GLIBC_(\d+)\.(\d+)", program.read_bytes())}
        assert max(needed) <= GLIBC, f"{program} needs glibc {max(needed)}"


@pytest.mark.parametrize("function", CONTENTS)
def test_faults_are_in_the_test_build_and_not_in_the_release(built, function):
    assert FAULT_SWITCH in (folder_of("AI_MESH_FAULT_ARTIFACTS") / function / "bootstrap").read_bytes()
    assert FAULT_SWITCH not in (built / function / "bootstrap").read_bytes()


class RuntimeApi(http.server.ThreadingHTTPServer):
    """Lambda's side of a cold start: it sends no event, and records the function's calls."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeApiHandler)
        self.called = threading.Event()
        self.paths: list[str] = []
        self.errors: list[str] = []
        self.finished = threading.Event()


class _RuntimeApiHandler(http.server.BaseHTTPRequestHandler):
    server: RuntimeApi

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.called.set()
        self.server.finished.wait(INIT_SECONDS)

    def do_POST(self) -> None:
        self.server.errors.append(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        self.server.called.set()
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The test reports what matters."""


def forbid_writes() -> None:
    """From here on a signal ends the process when it writes to a file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize("function", CONTENTS)
@pytest.mark.parametrize("before", [None, forbid_writes])
def test_it_starts_from_its_own_folder_and_writes_no_file(built, function, before, running, tmp_path):
    # Outside the repository, so that the function cannot find its files by chance.
    folder = Path(shutil.copytree(built / function, tmp_path / "task"))
    api = RuntimeApi()
    threading.Thread(target=api.serve_forever, daemon=True).start()
    variables = running.properties(function)["Environment"]["Variables"]
    environment = {
        **{name: str(value) for name, value in variables.items()},
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "LAMBDA_TASK_ROOT": str(folder),
        "PATH": os.environ["PATH"],
    }
    process = subprocess.Popen(
        [folder / "bootstrap"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=before,
    )
    try:
        api.called.wait(INIT_SECONDS)
        ended = process.poll()
    finally:
        process.kill()
        output, _ = process.communicate()
        api.finished.set()
        api.shutdown()
        api.server_close()
    assert ended is None, f"it ended with {ended}:\n{output}"
    assert api.errors == [], output
    assert api.paths[:1] == ["/2018-06-01/runtime/invocation/next"], f"it never asked for an event:\n{output}"
