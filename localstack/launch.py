"""Starts MiniStack, the local cloud, in the foreground, and ends with every function environment that it started.

    python -m localstack.launch --port 4566 --state .local/stack [--auth] [--persist] [--function-env NAME=VALUE ...]

Functions inherit the server's whole environment, so it is started anew with a clean one: nothing of the caller's shell
(a region, a proxy, a real AWS account's keys) gets into a function.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import inspect
import os
import signal
import socket
import sys
import time
from pathlib import Path

VERSION = "1.5.33"
INTERNALS_CHANGED = 3

# Names the only environment that the second start accepts.
CLEAN = "AI_MESH_LOCAL_CLOUD"

# Seconds that an invocation waits for a first log line, where MiniStack waits 0.05. A bootstrap writes its lines
# before it posts its answer, so what is there, is there by then.
FIRST_LINE_WAIT = 0.002

# Seconds between two looks at the tables' streams.
STREAM_WINDOW = 0.25


class InternalsChanged(Exception):
    """The installed MiniStack isn't the one that this launcher knows how to mend."""


def main() -> int:
    arguments = parse(sys.argv[1:])
    if os.environ.get(CLEAN) != str(arguments.port):
        if occupied(arguments.port):
            print(f"error: port {arguments.port} of 127.0.0.1 is in use: choose another", file=sys.stderr)
            return 1
        environment = server_environment(arguments)
        os.execve(sys.executable, [sys.executable, "-m", "localstack.launch", *sys.argv[1:]], environment)
    try:
        return serve()
    except InternalsChanged as changed:
        print(
            f"error: {changed}. localstack/launch.py is written for MiniStack {VERSION}: "
            "install localstack/requirements.txt, or adapt the launcher to the new version",
            file=sys.stderr,
        )
        return INTERNALS_CHANGED


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localstack.launch", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--state", type=Path, required=True, help="folder for all that it writes")
    parser.add_argument("--auth", action="store_true", help="check signatures and IAM policies, as AWS does")
    parser.add_argument("--persist", action="store_true", help="on SIGTERM, save what there is for the next start")
    parser.add_argument(
        "--function-env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable for every function beside the template's (for faults in tests)",
    )
    parser.add_argument(
        "--language-model",
        metavar="URL",
        help="an OpenAI-compatible server (without /v1) that answers in the place of Bedrock's models",
    )
    arguments = parser.parse_args(words)
    for pair in arguments.function_env:
        if "=" not in pair:
            parser.error(f"--function-env takes NAME=VALUE, not {pair!r}")
    return arguments


def occupied(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def server_environment(arguments: argparse.Namespace) -> dict[str, str]:
    """The server's whole environment, and so, under the template's variables, every function's."""
    state = arguments.state.resolve()
    temporary = state / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment |= {
        CLEAN: str(arguments.port),
        # Where `-m localstack.launch` is found, whatever folder this was called from.
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
        "STATE_DIR": str(state / "state"),
        "S3_DATA_DIR": str(state / "s3"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(arguments.port),
        # So that queue addresses in the stack's outputs can be called as they stand.
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{arguments.port}",
        # Under --auth these are the account's root credentials; functions get their roles' own.
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        # Each would bind one more port.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    if arguments.auth:
        environment["AUTH"] = "true"
    if arguments.persist:
        environment |= {"PERSIST_STATE": "1", "S3_PERSIST": "1"}
    if arguments.language_model:
        # What the server can't pass on in time it answers by itself, with a canned text: so it waits longer than the
        # functions do.
        environment |= {
            "MINISTACK_BEDROCK_PROXY_URL": arguments.language_model,
            "MINISTACK_BEDROCK_PROXY_TIMEOUT_SECONDS": "600",
        }
    for pair in arguments.function_env:
        name, _, value = pair.partition("=")
        environment[name] = value
    return environment


def serve() -> int:
    installed = importlib.metadata.version("ministack")
    if installed != VERSION:
        raise InternalsChanged(f"MiniStack {installed} is installed")

    import ministack.app
    from ministack.core import iam_actions, lambda_runtime
    from ministack.services import lambda_svc

    shorten_log_wait(lambda_runtime)
    send_without_delay(lambda_runtime)
    check_actions_as_aws_does(iam_actions)
    read_streams_from_their_beginning(lambda_svc)
    gather_stream_records(lambda_svc)

    # MiniStack takes its own options from the command line.
    sys.argv = ["ministack"]
    try:
        ministack.app.main()
    except KeyboardInterrupt:
        pass
    finally:
        end_environments(lambda_runtime)
    return 0


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


def read_streams_from_their_beginning(lambda_svc) -> None:
    """A restart saves how far each function has read a table's stream, and not the stream: without this a function
    would be told nothing of the new one until it has grown as long as the old one was."""
    restore = getattr(lambda_svc, "_restore_state", None)
    if restore is None or not hasattr(lambda_svc, "_dynamodb_stream_positions"):
        raise InternalsChanged("lambda_svc._restore_state or its stream positions are gone")

    def restore_the_rest(data):
        restore({**data, "dynamodb_stream_positions": {}} if data else data)

    lambda_svc._restore_state = restore_the_rest


def gather_stream_records(lambda_svc) -> None:
    """The server knows no batching window, and calls no worker while a function takes a batch of a stream: so it looks
    at streams four times a second, not after each write."""
    poll = getattr(lambda_svc, "_poll_dynamodb_streams", None)
    if poll is None:
        raise InternalsChanged("lambda_svc._poll_dynamodb_streams is gone")
    looked_at = 0.0

    def poll_now_and_then():
        nonlocal looked_at
        if time.monotonic() - looked_at < STREAM_WINDOW:
            return False
        looked_at = time.monotonic()
        return poll()

    lambda_svc._poll_dynamodb_streams = poll_now_and_then


def end_environments(lambda_runtime) -> None:
    """Ends the bootstraps, which MiniStack leaves running when it stops."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lambda_runtime.reset()


if __name__ == "__main__":
    sys.exit(main())
