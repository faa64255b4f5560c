"""What the launcher changes in MiniStack: where it is slower than it need be, or does other than AWS."""

from __future__ import annotations

import inspect
import logging
import os
import re
import threading
import time

from localstack import metrics

# Seconds that an invocation waits for a first log line, where MiniStack waits 0.05. A bootstrap writes its lines
# before it posts its answer, so what is there, is there by then.
FIRST_LINE_WAIT = 0.002

# Seconds between two looks at the tables' streams.
STREAM_WINDOW = 0.2

# An API's address on this cloud, without the slash that a browser would need.
BARE_ADDRESS = re.compile(r"/_aws/execute-api/[0-9A-Za-z]+")


class InternalsChanged(Exception):
    """The installed MiniStack isn't the one that is known here."""


def apply() -> None:
    from ministack import app
    from ministack.core import iam_actions, lambda_runtime
    from ministack.services import apigateway, cloudwatch, lambda_svc

    shorten_log_wait(lambda_runtime)
    send_without_delay(lambda_runtime)
    check_actions_as_aws_does(iam_actions)
    leave_options_to_the_app(apigateway)
    lead_to_the_root(app)
    read_streams_from_their_beginning(lambda_svc)
    read_streams_aside(lambda_svc)
    make_metrics_of_logs(lambda_svc, cloudwatch)
    give_functions_an_address_that_resolves(lambda_svc)


def shorten_log_wait(lambda_runtime) -> None:
    """Takes 50 ms off each invocation that logs nothing."""
    drain = getattr(lambda_runtime.Worker, "_drain_stderr_bounded", None)
    if drain is None:
        raise InternalsChanged("Worker._drain_stderr_bounded is gone")
    parameters = inspect.signature(drain).parameters
    defaults = [name for name, parameter in parameters.items() if parameter.default is not inspect.Parameter.empty]
    if defaults[:1] != ["first_line_wait"] or len(defaults) != len(drain.__defaults__ or ()):
        raise InternalsChanged("Worker._drain_stderr_bounded takes other parameters")
    drain.__defaults__ = (FIRST_LINE_WAIT, *drain.__defaults__[1:])


def send_without_delay(lambda_runtime) -> None:
    """Takes 40 ms off each invocation: headers and body leave in two writes, and Nagle's algorithm holds the second
    back until the first is acknowledged, which the other side delays."""
    build = getattr(lambda_runtime.ProvidedWorker, "_build_handler_class", None)
    if build is None:
        raise InternalsChanged("ProvidedWorker._build_handler_class is gone")

    def build_without_delay(self, *arguments, **keywords):
        handler = build(self, *arguments, **keywords)
        if not hasattr(handler, "disable_nagle_algorithm"):
            raise InternalsChanged("the Runtime API's handler is no longer a socketserver.StreamRequestHandler")
        handler.disable_nagle_algorithm = True
        return handler

    lambda_runtime.ProvidedWorker._build_handler_class = build_without_delay


def check_actions_as_aws_does(iam_actions) -> None:
    """Some calls have no permission of their own on AWS: SQS's SendMessageBatch is allowed by sqs:SendMessage, and
    Bedrock's Converse by bedrock:InvokeModel."""
    extract = getattr(iam_actions, "extract_iam_action", None)
    if extract is None:
        raise InternalsChanged("iam_actions.extract_iam_action is gone")

    def extract_known(service, *arguments, **keywords):
        action = extract(service, *arguments, **keywords)
        if action == "bedrock:Converse":
            return "bedrock:InvokeModel"
        return action.removesuffix("Batch") if service == "sqs" and action else action

    iam_actions.extract_iam_action = extract_known


class Method(str):
    """A request's method that is not taken for OPTIONS, and is written as what it is."""

    def __eq__(self, other: object) -> bool:
        return other != "OPTIONS" and str.__eq__(self, other)

    __hash__ = str.__hash__


def leave_options_to_the_app(apigateway) -> None:
    """Passes OPTIONS on to an API's routes, as AWS does where it has no CORS configuration; MiniStack answers 403."""
    handle = getattr(apigateway, "_handle_execute_in_scope", None)
    if handle is None or list(inspect.signature(handle).parameters)[:4] != ["api_id", "stage", "path", "method"]:
        raise InternalsChanged("apigateway._handle_execute_in_scope takes other parameters")
    apis = apigateway._apis

    async def handle_as_aws_does(api_id, stage, path, method, *arguments, **keywords):
        if not (apis.get(api_id) or {}).get("corsConfiguration"):
            method = Method(method)
        return await handle(api_id, stage, path, method, *arguments, **keywords)

    apigateway._handle_execute_in_scope = handle_as_aws_does


def lead_to_the_root(app) -> None:
    """Sends a browser that asks for an API's bare address on to its root, which MiniStack knows by the slash alone. On
    AWS the root is a host's, where a browser puts the slash itself."""
    handle = getattr(app, "_handle_execute_api_request", None)
    if handle is None or list(inspect.signature(handle).parameters)[:3] != ["host", "path", "method"]:
        raise InternalsChanged("app._handle_execute_api_request takes other parameters")

    async def handle_the_bare_address(host, path, method, *arguments, **keywords):
        if method in ("GET", "HEAD") and BARE_ADDRESS.fullmatch(path):
            return 308, {"Location": f"{path}/"}, b""
        return await handle(host, path, method, *arguments, **keywords)

    app._handle_execute_api_request = handle_the_bare_address


def read_streams_from_their_beginning(lambda_svc) -> None:
    """A restart saves how far each function has read a table's stream, and not the stream: without this a function
    would be told nothing of the new one until it has grown as long as the old one was."""
    restore = getattr(lambda_svc, "_restore_state", None)
    if restore is None or not hasattr(lambda_svc, "_dynamodb_stream_positions"):
        raise InternalsChanged("lambda_svc._restore_state or its stream positions are gone")

    def restore_the_rest(data):
        restore({**data, "dynamodb_stream_positions": {}} if data else data)

    lambda_svc._restore_state = restore_the_rest


def make_metrics_of_logs(lambda_svc, cloudwatch) -> None:
    """Records the metrics that functions write into their logs, which MiniStack leaves there."""
    emit, record = getattr(lambda_svc, "_emit_lambda_logs", None), getattr(cloudwatch, "record_metric", None)
    if emit is None or record is None:
        raise InternalsChanged("lambda_svc._emit_lambda_logs or cloudwatch.record_metric is gone")

    def emit_and_record(func, request_id, log_text, *arguments, **keywords):
        for line in (log_text or "").splitlines():
            for datum in metrics.embedded(line):
                record(*datum)
        return emit(func, request_id, log_text, *arguments, **keywords)

    lambda_svc._emit_lambda_logs = emit_and_record


def read_streams_aside(lambda_svc) -> None:
    """Reads tables' streams in a thread of their own: MiniStack's one asks queues and streams in turn, and calls no
    worker while another function takes a batch of a stream. Records are gathered for a moment, since the server knows
    no batching window."""
    poll = getattr(lambda_svc, "_poll_dynamodb_streams", None)
    if poll is None or not hasattr(lambda_svc, "_dynamodb_stream_positions_lock"):
        raise InternalsChanged("lambda_svc._poll_dynamodb_streams or the lock of its positions is gone")

    def follow() -> None:
        while True:
            try:
                poll()
            except Exception:
                # What the server itself does of it: the next look may succeed.
                logging.getLogger("lambda").exception("the streams could not be read")
            time.sleep(STREAM_WINDOW)

    started = threading.Event()

    def leave_to_the_other_thread() -> bool:
        if not started.is_set():
            started.set()
            threading.Thread(target=follow, daemon=True, name="streams").start()
        return False

    lambda_svc._poll_dynamodb_streams = leave_to_the_other_thread


def give_functions_an_address_that_resolves(lambda_svc) -> None:
    """A function's URL names a host of AWS, which nobody here resolves; MiniStack answers under a path too."""
    create, find = (getattr(lambda_svc, name, None) for name in ("_create_function_url_config", "_function_url_id"))
    if create is None or find is None or not hasattr(lambda_svc, "_function_urls"):
        raise InternalsChanged("lambda_svc keeps function URLs elsewhere")
    path = "/_aws/lambda-url/"

    def create_here(function, data, qualifier):
        status, headers, body = create(function, data, qualifier)
        if status >= 400:
            return status, headers, body
        config = lambda_svc._function_urls[lambda_svc._url_config_key(function, qualifier)]
        config["FunctionUrl"] = f"{os.environ['AWS_ENDPOINT_URL']}{path}{find(config['FunctionUrl'])}/"
        return lambda_svc.json_response(config, status=status)

    def find_here(address):
        return address.split(path, 1)[1].split("/", 1)[0] if path in address else find(address)

    lambda_svc._create_function_url_config = create_here
    lambda_svc._function_url_id = find_here
