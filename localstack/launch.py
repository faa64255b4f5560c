"""Starts MiniStack, the local cloud, in the foreground, and ends with every function environment that it started.

    python -m localstack.launch --port 4566 --state .local/stack [--auth] [--persist] [--function-env NAME=VALUE ...]

Functions inherit the server's whole environment, so it is started anew with a clean one: nothing of the caller's shell
(a region, a proxy, a real AWS account's keys) gets into a function.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import signal
import socket
import sys
from pathlib import Path

from localstack import mends
from localstack.mends import InternalsChanged

VERSION = "1.5.33"
INTERNALS_CHANGED = 3

# Names the only environment that the second start accepts.
CLEAN = "AI_MESH_LOCAL_CLOUD"


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
            f"error: {changed}. localstack/mends.py is written for MiniStack {VERSION}: "
            "install localstack/requirements.txt, or adapt it to the new version",
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
    from ministack.core import lambda_runtime

    mends.apply()

    # MiniStack takes its own options from the command line.
    sys.argv = ["ministack"]
    try:
        ministack.app.main()
    except KeyboardInterrupt:
        pass
    finally:
        end_environments(lambda_runtime)
    return 0


def end_environments(lambda_runtime) -> None:
    """Ends the bootstraps, which MiniStack leaves running when it stops."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lambda_runtime.reset()


if __name__ == "__main__":
    sys.exit(main())
