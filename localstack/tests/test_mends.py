"""What is changed in MiniStack does what AWS does, and says so when it no longer can."""

from __future__ import annotations

import asyncio
import json
import threading
import types

import pytest

from localstack import mends


def test_the_runtime_api_sends_at_once_and_waits_for_no_log():
    from ministack.core import lambda_runtime

    mends.shorten_log_wait(lambda_runtime)
    mends.send_without_delay(lambda_runtime)
    worker = object.__new__(lambda_runtime.ProvidedWorker)
    assert worker._build_handler_class(1, None).disable_nagle_algorithm is True
    assert lambda_runtime.Worker._drain_stderr_bounded.__defaults__[0] == mends.FIRST_LINE_WAIT


def test_a_call_asks_for_the_permission_that_aws_knows(monkeypatch):
    from ministack.core import iam_actions

    monkeypatch.setattr(iam_actions, "extract_iam_action", iam_actions.extract_iam_action)
    mends.check_actions_as_aws_does(iam_actions)

    def action(service: str, target: str, path: str = "/") -> str:
        return iam_actions.extract_iam_action(service, "POST", path, {"x-amz-target": target}, b"{}", {})

    assert action("sqs", "AmazonSQS.SendMessageBatch") == "sqs:SendMessage"
    assert action("sqs", "AmazonSQS.SendMessage") == "sqs:SendMessage"
    assert action("dynamodb", "DynamoDB_20120810.BatchGetItem") == "dynamodb:BatchGetItem"
    assert action("bedrock-runtime", "", "/model/some.model-v1%3A0/converse") == "bedrock:InvokeModel"


def test_options_are_left_to_the_app(monkeypatch):
    from ministack.services import apigateway

    seen = []

    async def handle(api_id, stage, path, method, *_):
        seen.append((api_id, method == "OPTIONS", f"{method}"))

    monkeypatch.setattr(apigateway, "_handle_execute_in_scope", handle)
    monkeypatch.setattr(apigateway, "_apis", {"plain": {}, "own": {"corsConfiguration": {"allowOrigins": ["*"]}}})
    mends.leave_options_to_the_app(apigateway)
    for api in ("plain", "own"):
        asyncio.run(apigateway._handle_execute_in_scope(api, "$default", "/", "OPTIONS", {}, b"", {}))
    assert seen == [("plain", False, "OPTIONS"), ("own", True, "OPTIONS")]


def test_a_bare_address_leads_to_the_root(monkeypatch):
    from ministack import app

    async def handle(host, path, method):
        return path

    monkeypatch.setattr(app, "_handle_execute_api_request", handle)
    mends.lead_to_the_root(app)

    def answer(path: str, method: str = "GET") -> object:
        return asyncio.run(app._handle_execute_api_request("localhost", path, method))

    assert answer("/_aws/execute-api/abc1") == (308, {"Location": "/_aws/execute-api/abc1/"}, b"")
    assert answer("/_aws/execute-api/abc1/") == "/_aws/execute-api/abc1/"
    assert answer("/_aws/execute-api/abc1", "POST") == "/_aws/execute-api/abc1"


def test_a_restart_forgets_how_far_a_stream_was_read_and_nothing_else(monkeypatch):
    from ministack.services import lambda_svc

    # As the server keeps them: by account, region and mapping.
    key = ("000000000000", "us-east-1", "of-a-test")
    positions, others = lambda_svc._dynamodb_stream_positions, lambda_svc._kinesis_positions
    saved = {
        name: type(positions)() for name in ("dynamodb_stream_positions", "kinesis_positions")
    }
    for of in saved.values():
        of.set_scoped(*key, 700)
    monkeypatch.setattr(lambda_svc, "_restore_state", lambda_svc._restore_state)
    mends.read_streams_from_their_beginning(lambda_svc)
    try:
        lambda_svc.load_persisted_state(saved)
        assert positions.get_scoped(*key) is None
        assert others.get_scoped(*key) == 700
    finally:
        others.pop_scoped(*key, None)


def test_streams_are_read_aside_and_a_failure_ends_nothing(monkeypatch):
    looks = []
    twice = threading.Event()

    def poll():
        looks.append(threading.current_thread().name)
        if len(looks) == 2:
            twice.set()
        raise RuntimeError("as the server's own loop would log")

    server = types.SimpleNamespace(_poll_dynamodb_streams=poll, _dynamodb_stream_positions_lock=None)
    monkeypatch.setattr(mends, "STREAM_WINDOW", 0.01)
    mends.read_streams_aside(server)
    assert [server._poll_dynamodb_streams() for _ in range(3)] == [False] * 3
    assert twice.wait(10) and set(looks) == {"streams"}


def test_a_functions_address_is_one_that_the_local_cloud_answers(monkeypatch):
    from ministack.services import lambda_svc

    for name in ("_create_function_url_config", "_function_url_id"):
        monkeypatch.setattr(lambda_svc, name, getattr(lambda_svc, name))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setitem(lambda_svc._functions, "stream", {"config": {}, "aliases": {}})
    mends.give_functions_an_address_that_resolves(lambda_svc)
    status, _, body = lambda_svc._create_function_url_config("stream", {"InvokeMode": "RESPONSE_STREAM"}, None)
    address = json.loads(body)["FunctionUrl"]
    assert status == 201 and address.startswith("http://127.0.0.1:1/_aws/lambda-url/") and address.endswith("/")
    found = lambda_svc.resolve_function_url(lambda_svc._function_url_id(address))
    assert found is not None and found[2] == "stream"
    again, _, _ = lambda_svc._create_function_url_config("stream", {}, None)
    assert again == 409, "a refusal is passed on as it is"


def test_changed_internals_are_named():
    class Worker:
        def _drain_stderr_bounded(self, another=1):
            """Takes other parameters than the launcher knows."""

    changed = types.SimpleNamespace(Worker=Worker, ProvidedWorker=object)
    with pytest.raises(mends.InternalsChanged, match="takes other parameters"):
        mends.shorten_log_wait(changed)
    with pytest.raises(mends.InternalsChanged, match="_build_handler_class is gone"):
        mends.send_without_delay(changed)
    with pytest.raises(mends.InternalsChanged, match="extract_iam_action is gone"):
        mends.check_actions_as_aws_does(changed)
    with pytest.raises(mends.InternalsChanged, match="_handle_execute_api_request takes other"):
        mends.lead_to_the_root(changed)
    with pytest.raises(mends.InternalsChanged, match="stream positions are gone"):
        mends.read_streams_from_their_beginning(changed)
    with pytest.raises(mends.InternalsChanged, match="_poll_dynamodb_streams or the lock"):
        mends.read_streams_aside(changed)
    with pytest.raises(mends.InternalsChanged, match="keeps function URLs elsewhere"):
        mends.give_functions_an_address_that_resolves(changed)
