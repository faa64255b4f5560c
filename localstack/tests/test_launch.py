"""The launcher starts with a clean environment on the loopback interface, leaves no process behind, and refuses a
MiniStack version that its patches were not written for."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from localstack import cloud, deployed, launch, post_deploy
from localstack.tests.conftest import ROOT, deploy, free_port, local_cloud


@pytest.fixture
def second_cloud(tmp_path, artifacts, monkeypatch):
    """A second cloud beside the session's, started with variables that a shell may have."""
    shell = {"SOME_SECRET": "of the shell", "AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "real"}
    caches = (cloud.client, post_deploy.enforces_policies, deployed._caller)
    with local_cloud(tmp_path / "state", "--function-env", "FAULTS=on", **shell) as (port, process):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        for cache in caches:
            cache.cache_clear()
        yield port, process, deploy("second", artifacts)
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()


def call(port: int, stack: deployed.Deployed) -> dict[str, str]:
    """The environment of the function, which the stub returns."""
    url = f"http://127.0.0.1:{port}/_aws/execute-api/{stack.ids['HttpApi']}/anything"
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] + [
        int(word)
        for task in Path(f"/proc/{pid}/task").iterdir()
        if task.name != str(pid)
        for word in (task / "children").read_text().split()
    ]


def test_functions_get_their_own_environment_and_not_the_shells(second_cloud):
    port, _, stack = second_cloud
    environment = call(port, stack)
    assert not {"SOME_SECRET", "AWS_PROFILE"} & set(environment)
    assert environment.get("AWS_SESSION_TOKEN", "") != "real"
    assert environment["FAULTS"] == "on"
    assert environment["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{port}"
    assert environment["TASKS_TABLE"] == stack.ids["TasksTable"]


def test_stopping_it_stops_the_functions(second_cloud):
    port, process, stack = second_cloud
    call(port, stack)
    started = children(process.pid)
    assert started, "no bootstrap runs, so the test proves nothing"
    process.terminate()
    assert process.wait(15) == 0
    deadline = time.monotonic() + 5
    while (remaining := [pid for pid in started if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert remaining == []


def test_it_listens_on_the_loopback_interface_only(second_cloud):
    _, process, _ = second_cloud
    inodes = {
        os.readlink(entry)[len("socket:[") : -1]
        for entry in Path(f"/proc/{process.pid}/fd").iterdir()
        if os.path.islink(entry) and os.readlink(entry).startswith("socket:[")
    }
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1].split(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes]
    assert listening and set(listening) == {"0100007F"}


def test_a_port_in_use_is_refused_with_an_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "localstack.launch", "--port", str(port), "--state", str(tmp_path)]
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use" in refused.stderr


class LanguageModel(http.server.BaseHTTPRequestHandler):
    """Answers each request with its path and its number of messages."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message = {"role": "assistant", "content": f"{self.path} {len(request['messages'])}"}
        usage = {"prompt_tokens": 7, "completion_tokens": 3}
        body = json.dumps({"choices": [{"message": message}], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_the_language_model_replaces_bedrocks(tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), LanguageModel) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with local_cloud(tmp_path, "--language-model", f"http://127.0.0.1:{server.server_port}") as (port, _):
            body = {"system": [{"text": "Be brief."}], "messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/model/small/converse",
                data=json.dumps(body).encode(),
                headers={
                    "content-type": "application/json",
                    "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/bedrock/aws4_request",
                },
            )
            response = json.load(urllib.request.urlopen(request, timeout=10))
        server.shutdown()
    assert response["output"]["message"]["content"] == [{"text": "/v1/chat/completions 2"}]
    assert (response["usage"]["inputTokens"], response["usage"]["outputTokens"]) == (7, 3)


def test_another_version_is_refused_with_an_error(monkeypatch, capsys):
    port = free_port()
    monkeypatch.setattr(launch, "VERSION", "0.0.1")
    monkeypatch.setenv(launch.CLEAN, str(port))
    monkeypatch.setattr(sys, "argv", ["launch", "--port", str(port), "--state", "unused"])
    assert launch.main() == launch.INTERNALS_CHANGED
    assert "written for MiniStack 0.0.1" in capsys.readouterr().err
