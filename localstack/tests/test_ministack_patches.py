"""The patches make MiniStack behave as AWS does, and refuse a version whose internals changed."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
import types

import pytest

from localstack import ministack_patches
from localstack.function_output import FunctionOutput


def test_the_runtime_api_sends_without_delay():
    from ministack.core import lambda_runtime

    ministack_patches.disable_nagle(lambda_runtime)
    worker = object.__new__(lambda_runtime.ProvidedWorker)
    assert worker._build_handler_class(1, None).disable_nagle_algorithm is True


@pytest.mark.parametrize("name", ["_drain_stderr", "_drain_stderr_bounded"])
def test_an_invocation_logs_all_that_its_process_wrote(monkeypatch, name):
    from ministack.core import lambda_runtime

    for method in ("_pump_output", "_drain_stderr", "_drain_stderr_bounded"):
        monkeypatch.setattr(lambda_runtime.ProvidedWorker, method, getattr(lambda_runtime.ProvidedWorker, method))
    ministack_patches.log_all_that_was_written(lambda_runtime)
    worker = object.__new__(lambda_runtime.ProvidedWorker)
    worker._stderr_queue = queue.Queue()
    # The thread that reads the pipe gets no time.
    monkeypatch.setattr(FunctionOutput, "read_to_end", lambda output: None)
    reader, writer = os.pipe()
    try:
        worker._pump_output(os.fdopen(reader, "rb"), worker._stderr_queue)
        os.write(writer, b"first\nsecond\r\nthi")
        assert getattr(worker, name)() == "first\nsecond"
        os.write(writer, b"rd\nlast")
    finally:
        os.close(writer)
    assert getattr(worker, name)() == "third\nlast"
    assert getattr(worker, name)() == ""


def test_a_call_needs_the_permission_that_aws_checks(monkeypatch):
    from ministack.core import iam_actions

    monkeypatch.setattr(iam_actions, "extract_iam_action", iam_actions.extract_iam_action)
    ministack_patches.check_permissions_of_aws(iam_actions)

    def action(service: str, target: str, path: str = "/") -> str:
        return iam_actions.extract_iam_action(service, "POST", path, {"x-amz-target": target}, b"{}", {})

    assert action("sqs", "AmazonSQS.SendMessageBatch") == "sqs:SendMessage"
    assert action("sqs", "AmazonSQS.SendMessage") == "sqs:SendMessage"
    assert action("dynamodb", "DynamoDB_20120810.BatchGetItem") == "dynamodb:BatchGetItem"
    assert action("bedrock-runtime", "", "/model/some.model-v1%3A0/converse") == "bedrock:InvokeModel"


def test_options_requests_are_forwarded(monkeypatch):
    from ministack.services import apigateway

    seen = []

    async def handle(api_id, stage, path, method, *_):
        seen.append((api_id, method == "OPTIONS", f"{method}"))

    monkeypatch.setattr(apigateway, "_handle_execute_in_scope", handle)
    monkeypatch.setattr(apigateway, "_apis", {"plain": {}, "own": {"corsConfiguration": {"allowOrigins": ["*"]}}})
    ministack_patches.forward_options(apigateway)
    for api in ("plain", "own"):
        asyncio.run(apigateway._handle_execute_in_scope(api, "$default", "/", "OPTIONS", {}, b"", {}))
    assert seen == [("plain", False, "OPTIONS"), ("own", True, "OPTIONS")]


def test_a_bare_address_redirects_to_the_root(monkeypatch):
    from ministack import app

    async def handle(host, path, method):
        return path

    monkeypatch.setattr(app, "_handle_execute_api_request", handle)
    ministack_patches.redirect_bare_address(app)

    def response(path: str, method: str = "GET") -> object:
        return asyncio.run(app._handle_execute_api_request("localhost", path, method))

    assert response("/_aws/execute-api/abc1") == (308, {"Location": "/_aws/execute-api/abc1/"}, b"")
    assert response("/_aws/execute-api/abc1/") == "/_aws/execute-api/abc1/"
    assert response("/_aws/execute-api/abc1", "POST") == "/_aws/execute-api/abc1"


def test_a_restart_drops_stream_positions_and_nothing_else(monkeypatch):
    from ministack.services import lambda_svc

    # The server stores positions by account, region and mapping.
    key = ("000000000000", "us-east-1", "of-a-test")
    positions, others = lambda_svc._dynamodb_stream_positions, lambda_svc._kinesis_positions
    saved = {name: type(positions)() for name in ("dynamodb_stream_positions", "kinesis_positions")}
    for of_kind in saved.values():
        of_kind.set_scoped(*key, 700)
    monkeypatch.setattr(lambda_svc, "_restore_state", lambda_svc._restore_state)
    ministack_patches.reset_stream_positions(lambda_svc)
    try:
        lambda_svc.load_persisted_state(saved)
        assert positions.get_scoped(*key) is None
        assert others.get_scoped(*key) == 700
    finally:
        others.pop_scoped(*key, None)


def test_streams_are_polled_in_a_thread_that_survives_a_failure(monkeypatch):
    polls = []
    twice = threading.Event()

    def poll():
        polls.append(threading.current_thread().name)
        if len(polls) == 2:
            twice.set()
        raise RuntimeError("as the server's own loop would log")

    server = types.SimpleNamespace(_poll_dynamodb_streams=poll, _dynamodb_stream_positions_lock=None)
    monkeypatch.setattr(ministack_patches, "STREAM_POLL_SECONDS", 0.01)
    ministack_patches.poll_streams_in_thread(server)
    assert [server._poll_dynamodb_streams() for _ in range(3)] == [False] * 3
    assert twice.wait(10) and set(polls) == {"streams"}


def test_a_function_url_is_an_address_of_the_local_cloud(monkeypatch):
    from ministack.services import lambda_svc

    for name in ("_create_function_url_config", "_function_url_id"):
        monkeypatch.setattr(lambda_svc, name, getattr(lambda_svc, name))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setitem(lambda_svc._functions, "stream", {"config": {}, "aliases": {}})
    ministack_patches.make_function_urls_resolvable(lambda_svc)
    status, _, body = lambda_svc._create_function_url_config("stream", {"InvokeMode": "RESPONSE_STREAM"}, None)
    address = json.loads(body)["FunctionUrl"]
    assert status == 201 and address.startswith("http://127.0.0.1:1/_aws/lambda-url/") and address.endswith("/")
    found = lambda_svc.resolve_function_url(lambda_svc._function_url_id(address))
    assert found is not None and found[2] == "stream"
    again, _, _ = lambda_svc._create_function_url_config("stream", {}, None)
    assert again == 409, "an error response is unchanged"


def test_changed_internals_are_named():
    class Worker:
        def _pump_output(self, another):
            """Has other parameters than the patch expects."""

    changed = types.SimpleNamespace(ProvidedWorker=Worker)
    with pytest.raises(ministack_patches.InternalsChanged, match="has other parameters"):
        ministack_patches.log_all_that_was_written(changed)
    with pytest.raises(ministack_patches.InternalsChanged, match="_build_handler_class is missing"):
        ministack_patches.disable_nagle(changed)
    with pytest.raises(ministack_patches.InternalsChanged, match="extract_iam_action is missing"):
        ministack_patches.check_permissions_of_aws(changed)
    with pytest.raises(ministack_patches.InternalsChanged, match="_handle_execute_api_request has other"):
        ministack_patches.redirect_bare_address(changed)
    with pytest.raises(ministack_patches.InternalsChanged, match="stream positions are missing"):
        ministack_patches.reset_stream_positions(changed)
    with pytest.raises(ministack_patches.InternalsChanged, match="_poll_dynamodb_streams or the lock"):
        ministack_patches.poll_streams_in_thread(changed)
    with pytest.raises(ministack_patches.InternalsChanged, match="stores function URLs elsewhere"):
        ministack_patches.make_function_urls_resolvable(changed)
