"""A local cloud for these tests, on a free port, with the template deployed to it and stubs in place of the functions.

A stub answers every event with success: these tests are about the deployment, not the functions.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from localstack import arguments, cloud, deployed, package, post_deploy, stack, template

ROOT = arguments.TEMPLATE.parent.parent
TOKEN_SHA256 = "a" * 64

STUB = f"""#!{sys.executable} -S
import json, os, urllib.request
invocations = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    event = urllib.request.urlopen(invocations + "next")
    event.read()
    response = json.dumps({{"statusCode": 200, "body": json.dumps(dict(os.environ))}}).encode()
    request_id = event.headers["Lambda-Runtime-Aws-Request-Id"]
    urllib.request.urlopen(invocations + request_id + "/response", data=response)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def local_cloud(state: Path, *options: str, **environment: str) -> Iterator[tuple[int, subprocess.Popen]]:
    """Runs a launcher, and gives its port and its process."""
    port = free_port()
    state.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "localstack.launch", "--port", str(port), "--state", str(state), *options]
    with (state / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        await_ready(port, process, state / "log")
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_ready(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/ready", timeout=5)
            return
        time.sleep(0.05)
    pytest.fail(f"the local cloud did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory) -> Iterator[str]:
    with local_cloud(tmp_path_factory.mktemp("cloud")) as (port, _), pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        # The caches hold clients and responses of another cloud.
        for cache in (cloud.client, post_deploy.enforces_policies, deployed._caller):
            cache.cache_clear()
        yield os.environ["AWS_ENDPOINT_URL"]


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory) -> Path:
    """A stub for each function, in the folders that `sam build` makes."""
    folder = tmp_path_factory.mktemp("artifacts")
    for name in template.functions(template.load(arguments.TEMPLATE)):
        bootstrap = folder / name / "bootstrap"
        bootstrap.parent.mkdir()
        bootstrap.write_text(STUB)
        bootstrap.chmod(0o755)
    return folder


def deploy(name: str, artifacts: Path, **parameters: str) -> deployed.Deployed:
    """Deploys without the post-deploy steps."""
    read = template.load(arguments.TEMPLATE)
    bucket = f"{name}-artifacts"
    package.ensure_bucket(bucket)
    code = {function: package.upload(artifacts / function, bucket).location for function in template.functions(read)}
    given = {"TokenSha256": TOKEN_SHA256, **parameters}
    address = package.upload_template(template.with_code(read, code), bucket)
    stack.deploy(name, address, template.parameter_values(read, given))
    return deployed.Deployed(read, name, given)


@pytest.fixture(scope="session")
def running(endpoint, artifacts) -> deployed.Deployed:
    """A stack as `deploy.py` leaves it."""
    ready = deploy("tests", artifacts)
    post_deploy.apply(ready)
    return ready
