"""The enforced policies are sufficient, and each of them is needed.

    AI_MESH_AUTH_ENV=.local/<name>/stack.env python -m pytest localstack/tests/auth

The tests need the real functions on a local cloud with --auth. Its stack.env has AI_MESH_URL, AI_MESH_TOKEN,
AWS_ENDPOINT_URL and the account's root credentials. Without the file they come from the environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from localstack import arguments, cloud, deployed, post_deploy, template
from localstack.cloud import client

SECONDS = 30


@pytest.fixture(scope="module")
def live() -> Iterator[deployed.Deployed]:
    with pytest.MonkeyPatch.context() as patch:
        if settings := os.environ.get("AI_MESH_AUTH_ENV"):
            for line in Path(settings).read_text().splitlines():
                name, _, value = line.partition("=")
                patch.setenv(name, "".join(shlex.split(value)))
        yield find()


def find() -> deployed.Deployed:
    missing = [name for name in ("AI_MESH_URL", "AI_MESH_TOKEN", "AWS_ENDPOINT_URL") if not os.environ.get(name)]
    if missing:
        pytest.fail(
            f"set {', '.join(missing)} for a running stack with enforced policies (see this module's first lines)"
        )
    for cache in (cloud.client, post_deploy.enforces_policies, deployed._caller):
        cache.cache_clear()
    if not post_deploy.enforces_policies():
        pytest.fail(f"{os.environ['AWS_ENDPOINT_URL']} does not enforce policies: start it with --auth")
    return deployed.Deployed(template.load(arguments.TEMPLATE), "ai-mesh")


def call(path: str, body: dict | None = None) -> tuple[int, dict]:
    request = urllib.request.Request(
        os.environ["AI_MESH_URL"] + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['AI_MESH_TOKEN']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def submit() -> tuple[int, dict]:
    return call("/v1/tasks", {"type": "sentiment", "input": {"text": "What a splendid day."}})


@contextlib.contextmanager
def without(live: deployed.Deployed, role: str, policy: str, sid: str) -> Iterator[None]:
    """Removes one statement of the role until the block ends."""
    name = live.ids[role]
    before = client("iam").get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    reduced = {**before, "Statement": [one for one in before["Statement"] if one["Sid"] != sid]}
    assert len(reduced["Statement"]) == len(before["Statement"]) - 1, f"{role} has no statement {sid}"
    client("iam").put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(reduced))
    try:
        yield
    finally:
        client("iam").put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(before))


def await_log(live: deployed.Deployed, group: str, text: str, since_ms: int) -> str:
    deadline = time.monotonic() + SECONDS
    lines: list[str] = []
    while time.monotonic() < deadline:
        events = client("logs").filter_log_events(logGroupName=live.ids[group], startTime=since_ms)["events"]
        lines = [event["message"] for event in events]
        if found := next((line for line in lines if text in line), None):
            return found
        time.sleep(0.2)
    pytest.fail(f"no {text} in the log of {group}:\n" + "\n".join(lines[-20:]))


def test_the_policies_are_sufficient(live):
    status, task = submit()
    assert status == 202, task
    status, done = call(f"/v1/tasks/{task['id']}?wait=20")
    assert (status, done["status"]) == (200, "completed"), done
    assert done["result"]["label"] == "POSITIVE"


def test_a_worker_without_permission_for_the_table_is_refused(live):
    since = int(time.time() * 1000)
    with without(live, "TextWorkerRole", "text-worker", "Tasks"):
        status, task = submit()
        assert status == 202, task
        assert "dynamodb:UpdateItem" in await_log(live, "TextWorkerLogGroup", "AccessDenied", since)
        assert call(f"/v1/tasks/{task['id']}")[1]["status"] == "pending"


def test_a_reactor_counts_once_it_has_permission_for_its_table(live):
    since = int(time.time() * 1000)
    before = call("/v1/stats")[1]["total"]
    with without(live, "ReactorRole", "reactor", "Stats"):
        status, task = submit()
        assert status == 202, task
        await_log(live, "ReactorLogGroup", "AccessDenied", since)
        assert call("/v1/stats")[1]["total"] == before
    deadline = time.monotonic() + SECONDS
    while (total := call("/v1/stats")[1]["total"]) == before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert total == before + 1


def test_an_api_without_permission_for_the_counters_reports_it_only_in_its_log(live):
    since = int(time.time() * 1000)
    with without(live, "ApiRole", "api", "Stats"):
        responses = [call("/v1/stats"), call("/v1/changes?after=0")]
    assert [status for status, _ in responses] == [503, 503], responses
    assert "AccessDenied" not in json.dumps(responses)
    await_log(live, "ApiLogGroup", "AccessDenied", since)


def test_a_sweeper_without_permission_for_the_index_reports_it_in_its_log(live):
    """A scheduled run has no caller, so the log is the only report."""
    since = int(time.time() * 1000)
    with without(live, "JanitorRole", "janitor", "Overdue"):
        response = client("lambda").invoke(FunctionName=live.ids["JanitorFunction"], Payload=b"{}")
        assert "FunctionError" in response, response["Payload"].read()
    assert "Query" in await_log(live, "JanitorLogGroup", "AccessDenied", since)


def test_the_reactor_may_rebuild_the_counters(live):
    response = client("lambda").invoke(FunctionName=live.ids["ReactorFunction"], Payload=b'{"rebuild": true}')
    counted = json.load(response["Payload"])
    assert "FunctionError" not in response, counted
    assert counted["tenants"] >= 1, counted


@pytest.mark.parametrize(("sid", "action"), [("Tasks", "dynamodb:PutItem"), ("Queues", "sqs:SendMessage")])
def test_an_api_without_write_permission_reports_it_in_its_log_and_not_to_the_caller(live, sid, action):
    since = int(time.time() * 1000)
    with without(live, "ApiRole", "api", sid):
        status, problem = submit()
    assert status in (500, 503), problem
    assert "AccessDenied" not in json.dumps(problem)
    await_log(live, "ApiLogGroup", "AccessDenied", since)


def test_the_functions_credentials_are_their_roles_own(live):
    """The account's root may do everything: if a function ran as root, the other tests would prove nothing."""
    for name in ("Api", "TextWorker", "Reactor"):
        function, role = f"{name}Function", f"{name}Role"
        configuration = client("lambda").get_function_configuration(FunctionName=live.ids[function])
        assert configuration["Role"] == live.attribute(role, "Arn")
