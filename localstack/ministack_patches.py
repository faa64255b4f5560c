"""Patches MiniStack where it is unsafe, slower than necessary, or behaves differently from AWS.

Each patch checks that the internals it changes are the ones it was written for, and raises InternalsChanged otherwise.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import threading
import time
import urllib.parse
import weakref

from localstack import metrics, origin_guard
from localstack.function_output import FunctionOutput

# The pause between two reads of the tables' streams.
STREAM_POLL_SECONDS = 0.2


class InternalsChanged(Exception):
    """The installed MiniStack is not the version that the patches were written for."""


def apply() -> None:
    from ministack import app
    from ministack.core import iam_actions, lambda_runtime, router
    from ministack.services import apigateway, cloudwatch, lambda_svc, s3

    guard_origins(app, router, s3)
    guard_runtime_api(lambda_runtime)
    log_all_that_was_written(lambda_runtime)
    disable_nagle(lambda_runtime)
    check_permissions_of_aws(iam_actions)
    forward_options(apigateway)
    redirect_bare_address(app)
    reset_stream_positions(lambda_svc)
    poll_streams_in_thread(lambda_svc)
    publish_embedded_metrics(lambda_svc, cloudwatch)
    make_function_urls_resolvable(lambda_svc)


def guard_origins(app, router, s3) -> None:
    """Refuses web pages and foreign hosts: see origin_guard.py.

    MiniStack serves any host, and allows the pages of all origins."""
    server = getattr(app, "app", None)
    if server is None or "app" not in app.main.__code__.co_names:
        raise InternalsChanged("app.main no longer serves app.app")
    names = ("_bucket_owner_account", "cors_preflight", "cors_response_headers")
    if not hasattr(router, "detect_service") or not all(hasattr(s3, name) for name in names):
        raise InternalsChanged("router.detect_service or the CORS of s3 is missing")

    def serves(request, bucket):
        parameters = urllib.parse.parse_qs(request.query, keep_blank_values=True)
        service = router.detect_service(request.method, request.target, dict(request.headers), parameters)
        return service == "s3" and s3._bucket_owner_account(bucket) is not None

    buckets = origin_guard.Buckets(
        serves,
        lambda request, bucket, key: s3.cors_preflight(bucket, key, dict(request.headers)),
        lambda request, bucket: s3.cors_response_headers(bucket, request.method, dict(request.headers)),
    )
    app.app = origin_guard.OriginGuard(server, int(os.environ["GATEWAY_PORT"]), buckets)


def guard_runtime_api(lambda_runtime) -> None:
    """Refuses web pages at the Runtime API too. It has a port for each environment of a function.

    A page could take a function's events, or answer them."""
    build = getattr(lambda_runtime.ProvidedWorker, "_build_handler_class", None)
    if build is None:
        raise InternalsChanged("ProvidedWorker._build_handler_class is missing")

    def build_guarded(self, *arguments, **keywords):
        handler = build(self, *arguments, **keywords)
        parse = getattr(handler, "parse_request", None)
        if parse is None or not hasattr(handler, "_respond"):
            raise InternalsChanged("the Runtime API's handler is no longer an http.server.BaseHTTPRequestHandler")

        def parse_own(received):
            if not parse(received):
                return False
            headers = tuple((name.lower(), value) for name, value in received.headers.items())
            request = origin_guard.Request(received.command, received.path, "", headers)
            port = received.server.server_address[1]
            problem = origin_guard.host_refusal(request, port) or origin_guard.page_refusal(request, port)
            if problem:
                received.close_connection = True
                received._respond(403, json.dumps({"errorMessage": problem, "errorType": "AccessDenied"}).encode())
            return problem is None

        handler.parse_request = parse_own
        return handler

    lambda_runtime.ProvidedWorker._build_handler_class = build_guarded


def log_all_that_was_written(lambda_runtime) -> None:
    """Logs with an invocation all that the process wrote before it responded or ended, and waits for nothing.

    MiniStack waits 50 ms for a first line and 5 ms for each further one. A line that its reading thread brings later is
    logged with the next invocation of the same process, or never."""
    worker = lambda_runtime.ProvidedWorker
    for name, expected in (
        ("_pump_output", ["self", "stream", "log_queue"]),
        ("_drain_stderr", ["self"]),
        ("_drain_stderr_bounded", ["self", "first_line_wait", "idle_confirm", "hard_cap"]),
    ):
        method = getattr(worker, name, None)
        if method is None or list(inspect.signature(method).parameters) != expected:
            raise InternalsChanged(f"ProvidedWorker.{name} is missing or has other parameters")
    drain = worker._drain_stderr
    outputs = weakref.WeakKeyDictionary()

    def pump(self, stream, log_queue):
        outputs[log_queue] = output = FunctionOutput(stream, log_queue)
        output.read_to_end()

    def drain_all(self, *_waits, **_named_waits):
        if output := outputs.get(self._stderr_queue):
            output.read_available()
        return drain(self)

    worker._pump_output = pump
    worker._drain_stderr = worker._drain_stderr_bounded = drain_all


def disable_nagle(lambda_runtime) -> None:
    """Saves 40 ms for each invocation.

    MiniStack sends headers and body in two writes, and Nagle's algorithm delays the second until the other side
    acknowledges the first."""
    build = getattr(lambda_runtime.ProvidedWorker, "_build_handler_class", None)
    if build is None:
        raise InternalsChanged("ProvidedWorker._build_handler_class is missing")

    def build_without_delay(self, *arguments, **keywords):
        handler = build(self, *arguments, **keywords)
        if not hasattr(handler, "disable_nagle_algorithm"):
            raise InternalsChanged("the Runtime API's handler is no longer a socketserver.StreamRequestHandler")
        handler.disable_nagle_algorithm = True
        return handler

    lambda_runtime.ProvidedWorker._build_handler_class = build_without_delay


def check_permissions_of_aws(iam_actions) -> None:
    """Maps calls to the permissions that AWS checks: sqs:SendMessage for SendMessageBatch, bedrock:InvokeModel for
    Converse.

    MiniStack checks permissions for both that AWS does not have."""
    extract = getattr(iam_actions, "extract_iam_action", None)
    if extract is None:
        raise InternalsChanged("iam_actions.extract_iam_action is missing")

    def extract_known(service, *arguments, **keywords):
        action = extract(service, *arguments, **keywords)
        if action == "bedrock:Converse":
            return "bedrock:InvokeModel"
        return action.removesuffix("Batch") if service == "sqs" and action else action

    iam_actions.extract_iam_action = extract_known


class ForwardedMethod(str):
    """A request's method that never equals OPTIONS, but is written unchanged."""

    def __eq__(self, other: object) -> bool:
        return other != "OPTIONS" and str.__eq__(self, other)

    __hash__ = str.__hash__


def forward_options(apigateway) -> None:
    """Forwards OPTIONS to an API's routes, as AWS does for an API without a CORS configuration.

    MiniStack answers 403."""
    handle = getattr(apigateway, "_handle_execute_in_scope", None)
    if handle is None or list(inspect.signature(handle).parameters)[:4] != ["api_id", "stage", "path", "method"]:
        raise InternalsChanged("apigateway._handle_execute_in_scope has other parameters")
    apis = apigateway._apis

    async def handle_as_aws_does(api_id, stage, path, method, *arguments, **keywords):
        if not (apis.get(api_id) or {}).get("corsConfiguration"):
            method = ForwardedMethod(method)
        return await handle(api_id, stage, path, method, *arguments, **keywords)

    apigateway._handle_execute_in_scope = handle_as_aws_does


def redirect_bare_address(app) -> None:
    """Redirects a browser from an API's bare address to its root, which MiniStack serves with a final slash only.

    On AWS an API has a host of its own, and browsers add the slash."""
    handle = getattr(app, "_handle_execute_api_request", None)
    if handle is None or list(inspect.signature(handle).parameters)[:3] != ["host", "path", "method"]:
        raise InternalsChanged("app._handle_execute_api_request has other parameters")

    async def handle_bare_address(host, path, method, *arguments, **keywords):
        if method in ("GET", "HEAD") and origin_guard.BARE_API_ADDRESS.fullmatch(path):
            return 308, {"Location": f"{path}/"}, b""
        return await handle(host, path, method, *arguments, **keywords)

    app._handle_execute_api_request = handle_bare_address


def reset_stream_positions(lambda_svc) -> None:
    """Drops the saved stream positions at a restart.

    MiniStack saves the positions but not the streams: a function would miss the new stream's records until the stream
    is as long as the old one."""
    restore = getattr(lambda_svc, "_restore_state", None)
    if restore is None or not hasattr(lambda_svc, "_dynamodb_stream_positions"):
        raise InternalsChanged("lambda_svc._restore_state or its stream positions are missing")

    def restore_without_positions(data):
        restore({**data, "dynamodb_stream_positions": {}} if data else data)

    lambda_svc._restore_state = restore_without_positions


def publish_embedded_metrics(lambda_svc, cloudwatch) -> None:
    """Publishes the metrics that functions write to their logs in the embedded metric format.

    MiniStack ignores them."""
    emit, record = getattr(lambda_svc, "_emit_lambda_logs", None), getattr(cloudwatch, "record_metric", None)
    if emit is None or record is None:
        raise InternalsChanged("lambda_svc._emit_lambda_logs or cloudwatch.record_metric is missing")

    def emit_and_publish(func, request_id, log_text, *arguments, **keywords):
        for line in (log_text or "").splitlines():
            for datum in metrics.embedded(line):
                record(*datum)
        return emit(func, request_id, log_text, *arguments, **keywords)

    lambda_svc._emit_lambda_logs = emit_and_publish


def poll_streams_in_thread(lambda_svc) -> None:
    """Polls the tables' streams in a separate thread.

    MiniStack polls queues and streams in one thread, and starts no worker while a function processes a batch of a
    stream. The pause between polls collects records into batches, since MiniStack has no batching window."""
    poll = getattr(lambda_svc, "_poll_dynamodb_streams", None)
    if poll is None or not hasattr(lambda_svc, "_dynamodb_stream_positions_lock"):
        raise InternalsChanged("lambda_svc._poll_dynamodb_streams or the lock of its positions is missing")

    def poll_repeatedly() -> None:
        while True:
            try:
                poll()
            except Exception:
                # MiniStack's own loop logs and continues too: the next poll may succeed.
                logging.getLogger("lambda").exception("polling the streams failed")
            time.sleep(STREAM_POLL_SECONDS)

    started = threading.Event()

    def start_thread_once() -> bool:
        if not started.is_set():
            started.set()
            threading.Thread(target=poll_repeatedly, daemon=True, name="streams").start()
        return False

    lambda_svc._poll_dynamodb_streams = start_thread_once


def make_function_urls_resolvable(lambda_svc) -> None:
    """Gives function URLs under a path of the local cloud.

    MiniStack reports a host of AWS, which does not resolve here. It serves the path too."""
    create, find = (getattr(lambda_svc, name, None) for name in ("_create_function_url_config", "_function_url_id"))
    if create is None or find is None or not hasattr(lambda_svc, "_function_urls"):
        raise InternalsChanged("lambda_svc stores function URLs elsewhere")
    path = "/_aws/lambda-url/"

    def create_with_path(function, data, qualifier):
        status, headers, body = create(function, data, qualifier)
        if status >= 400:
            return status, headers, body
        config = lambda_svc._function_urls[lambda_svc._url_config_key(function, qualifier)]
        config["FunctionUrl"] = f"{os.environ['AWS_ENDPOINT_URL']}{path}{find(config['FunctionUrl'])}/"
        return lambda_svc.json_response(config, status=status)

    def find_by_path(address):
        return address.split(path, 1)[1].split("/", 1)[0] if path in address else find(address)

    lambda_svc._create_function_url_config = create_with_path
    lambda_svc._function_url_id = find_by_path
