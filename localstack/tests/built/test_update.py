"""An update of a stack loses no task in flight, even when it deletes the queues of the tasks.

    AI_MESH_ARTIFACTS=.aws-sam/build python -m pytest localstack/tests/built/test_update.py

The test starts its own cloud with enforced policies, and deploys to it as `cargo xtask up --cloud` does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from localstack import arguments, cloud, deployed, post_deploy, template
from localstack.cloud import client
from localstack.tests.conftest import ROOT, local_cloud

TOKEN = "the token of this test"

# Much longer than any step takes on an idle machine. A test waits this long only if a task is lost.
SECONDS = 90

# So short that the sweeper requeues the tasks of a deleted queue while the test waits, as in tests/stack.toml.
PARAMETERS = {
    "TokenSha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
    "WorkerTimeoutSeconds": "6",
    "VisibilityTimeoutSeconds": "36",
    "RetryBaseSeconds": "1",
    "RetryCapSeconds": "2",
    "LeaseSeconds": "3",
    "DueAfterSeconds": "2",
    "TextConcurrency": "2",
    "LargeConcurrency": "2",
}

LANES = ("TextLarge", "TextHigh", "TextLow")

SMALL = "What a splendid little machine this is."
# More than 200 words, so it goes to the large lane.
LARGE = " ".join([SMALL] * 40)


class Stack:
    """A deployed stack, and the ids of the tasks that it accepted."""

    def __init__(self, artifacts: Path) -> None:
        self._artifacts = artifacts
        self._url = ""
        self.accepted: list[str] = []

    def deploy(self, **changed: str) -> None:
        """Deploys, and fails if the stack then differs from the template."""
        command = [sys.executable, "-m", "localstack.deploy", "--artifacts", str(self._artifacts)]
        for name, value in {**PARAMETERS, **changed}.items():
            command += ["--parameter", f"{name}={value}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2 * SECONDS)
        assert done.returncode == 0, done.stderr
        self._url = json.loads(done.stdout)["url"]
        self.deployed = deployed.Deployed(template.load(arguments.TEMPLATE), "ai-mesh")

    def submit(self, small: int, high: int, low: int, large: int) -> None:
        """Submits this many tasks. Repeats the request with the same key until each is accepted, since calls of a
        function may fail during its update."""
        texts = [(SMALL, "normal")] * small + [(SMALL, "high")] * high + [(SMALL, "low")] * low
        texts += [(LARGE, "normal")] * large
        tasks = [{"type": "sentiment", "input": {"text": text}, "priority": lane} for text, lane in texts]
        request = urllib.request.Request(
            f"{self._url}/v1/tasks/batch",
            data=json.dumps({"tasks": tasks}).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": str(uuid.uuid4())},
        )
        deadline = time.monotonic() + SECONDS
        response: object = None
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                response = self._send(request)
                if isinstance(response, list) and all(entry["status"] == 202 for entry in response):
                    self.accepted += [entry["task"]["id"] for entry in response]
                    return
        pytest.fail(f"{len(tasks)} tasks were not accepted within {SECONDS} s: {response}")

    @staticmethod
    def _send(request: urllib.request.Request) -> object:
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:
                return json.load(response)["results"]
        except urllib.error.HTTPError as error:
            assert error.code >= 500 or error.code == 409, error.read()
            return error.code

    @contextlib.contextmanager
    def submitting(self) -> Iterator[None]:
        """Submits without a pause until the block ends."""
        finished, failures = threading.Event(), []

        def submit_repeatedly() -> None:
            try:
                while not finished.is_set():
                    self.submit(small=2, high=1, low=1, large=1)
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=submit_repeatedly)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()
        assert failures == []

    def pause(self, lane: str) -> None:
        """Leaves the lane's messages in its queue."""
        client("lambda").update_event_source_mapping(UUID=self.deployed.ids[f"{lane}Messages"], Enabled=False)

    def waiting(self, lane: str) -> int:
        url, names = self.deployed.ids[f"{lane}Queue"], ["ApproximateNumberOfMessages"]
        return int(client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]])

    def statuses(self) -> Counter[str]:
        """The number of accepted tasks by their status in the table."""
        pages = client("dynamodb").get_paginator("scan").paginate(
            TableName=self.deployed.ids["TasksTable"], ConsistentRead=True
        )
        items = [item for page in pages for item in page["Items"] if "status" in item]
        statuses = {item["id"]["S"]: item["status"]["S"] for item in items}
        return Counter(statuses.get(task, "lost") for task in self.accepted)

    def all_complete(self) -> None:
        """Invokes the sweeper until every task is completed, since its schedule is a minute."""
        deadline = time.monotonic() + SECONDS
        while (statuses := self.statuses()) != {"completed": len(self.accepted)}:
            assert time.monotonic() < deadline, f"not all tasks are completed after {SECONDS} s: {statuses}"
            response = client("lambda").invoke(
                FunctionName=self.deployed.ids["JanitorFunction"], Payload=b'{"detail-type": "Scheduled Event"}'
            )
            assert "FunctionError" not in response, response["Payload"].read()


@pytest.fixture
def stack(tmp_path) -> Iterator[Stack]:
    artifacts = os.environ.get("AI_MESH_ARTIFACTS")
    if not artifacts:
        pytest.fail("set AI_MESH_ARTIFACTS to the folder of the built functions (see this module's first lines)")
    caches = (cloud.client, post_deploy.enforces_policies, deployed._caller)
    with local_cloud(tmp_path / "cloud", "--auth") as (port, _), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        for cache in caches:
            cache.cache_clear()
        yield Stack(Path(artifacts).resolve())
    for cache in caches:
        cache.cache_clear()


def test_an_update_that_takes_queues_away_loses_no_task(stack):
    stack.deploy()
    for lane in LANES:
        stack.pause(lane)
    stack.submit(small=100, high=40, low=40, large=20)
    held = {lane: stack.waiting(lane) for lane in LANES}
    assert held == {"TextLarge": 20, "TextHigh": 40, "TextLow": 40}
    deleted = [stack.deployed.ids[f"{lane}Queue"] for lane in LANES]

    changed = {"TextConcurrency": "4", "RetentionDays": "7", "LogLevel": "warn", "MaxAttempts": "4"}
    with stack.submitting():
        stack.deploy(PriorityLanes="off", LargeLanes="off", **changed)
    remaining = client("sqs").list_queues().get("QueueUrls", [])
    assert not set(deleted) & set(remaining), remaining
    stack.all_complete()

    # The other direction: tasks use the new lanes, and those in the remaining lane are not lost either.
    stack.submit(small=50, high=20, low=20, large=10)
    with stack.submitting():
        stack.deploy()
    stack.submit(small=0, high=5, low=5, large=5)
    stack.all_complete()
    print(f"{len(stack.accepted)} tasks were accepted, and all completed")
