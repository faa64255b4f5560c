"""Starts MiniStack, the local cloud, in the foreground, and stops every function process when it ends.

    python -m localstack.launch --port 4566 --state .local/stack [--auth] [--persist] [--function-env NAME=VALUE ...]

Functions inherit the server's whole environment. The launcher therefore starts itself again with a clean one, so that
nothing of the caller's shell (a region, a proxy, a real AWS account's keys) reaches a function.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import signal
import socket
import sys
from pathlib import Path

from localstack import ministack_patches
from localstack.ministack_patches import InternalsChanged

VERSION = "1.5.33"
INTERNALS_CHANGED = 3

# Set in the clean environment: tells the second start that it is the second.
CLEAN = "AI_MESH_LOCAL_CLOUD"


def main() -> int:
    arguments = parse(sys.argv[1:])
    if os.environ.get(CLEAN) != str(arguments.port):
        if occupied(arguments.port):
            print(f"error: port {arguments.port} of 127.0.0.1 is in use: choose another port", file=sys.stderr)
            return 1
        environment = server_environment(arguments)
        os.execve(sys.executable, [sys.executable, "-m", "localstack.launch", *sys.argv[1:]], environment)
    try:
        return serve()
    except InternalsChanged as changed:
        print(
            f"error: {changed}. localstack/ministack_patches.py is written for MiniStack {VERSION}: "
            "install localstack/requirements.txt, or adapt the patches",
            file=sys.stderr,
        )
        return INTERNALS_CHANGED


def parse(command_line: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localstack.launch", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--state", type=Path, required=True, help="folder for all files that it writes")
    parser.add_argument("--auth", action="store_true", help="check signatures and IAM policies, as AWS does")
    parser.add_argument("--persist", action="store_true", help="save all resources on SIGTERM for the next start")
    parser.add_argument(
        "--function-env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable for every function, in addition to the template's (for faults in tests)",
    )
    parser.add_argument(
        "--language-model",
        metavar="URL",
        help="address, without /v1, of an OpenAI-compatible server to use instead of Bedrock",
    )
    arguments = parser.parse_args(command_line)
    for pair in arguments.function_env:
        if "=" not in pair:
            parser.error(f"invalid --function-env {pair!r}: expected NAME=VALUE")
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
    """The server's whole environment. Every function inherits it; the template's variables take precedence."""
    state = arguments.state.resolve()
    temporary = state / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment |= {
        CLEAN: str(arguments.port),
        # `-m localstack.launch` is found from any working directory.
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
        "STATE_DIR": str(state / "state"),
        "S3_DATA_DIR": str(state / "s3"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(arguments.port),
        # Makes the queue addresses in the stack's outputs callable.
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{arguments.port}",
        # With --auth these are the account's root credentials; each function gets those of its role.
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        # Each of these services would bind another port.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    if arguments.auth:
        environment["AUTH"] = "true"
    if arguments.persist:
        environment |= {"PERSIST_STATE": "1", "S3_PERSIST": "1"}
    if arguments.language_model:
        # After this time MiniStack answers with a canned text of its own. It must be longer than the functions wait.
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

    ministack_patches.apply()

    # MiniStack parses the command line too.
    sys.argv = ["ministack"]
    try:
        ministack.app.main()
    except KeyboardInterrupt:
        pass
    finally:
        stop_functions(lambda_runtime)
    return 0


def stop_functions(lambda_runtime) -> None:
    """Stops the bootstrap processes. MiniStack leaves them running when it stops."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lambda_runtime.reset()


if __name__ == "__main__":
    sys.exit(main())
