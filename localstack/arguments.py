"""Command-line options that several commands of this folder have."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from localstack.cloud import Failure

INFRA = Path(__file__).resolve().parent.parent / "infra"
TEMPLATE = INFRA / "template.yaml"
# A second stack, with the alarms and the dashboard of the first.
OBSERVABILITY = INFRA / "observability.yaml"


def add_stack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--template", type=Path, default=TEMPLATE, help="the SAM template (infra/template.yaml)")
    parser.add_argument("--stack", default="ai-mesh", help="the stack's name (ai-mesh)")


def add_parameters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the template"
    )


def parameters(chosen: argparse.Namespace) -> dict[str, str]:
    values = {}
    for pair in chosen.parameter:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Failure(f"invalid --parameter {pair!r}: expected NAME=VALUE")
        values[name] = value
    return values


def run(command: Callable[[], int]) -> int:
    """Runs a command, and prints an expected error as one line."""
    try:
        return command()
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
    except (BotoCoreError, ClientError, OSError) as error:
        print(f"error: the cloud refused the call or did not answer: {error}", file=sys.stderr)
    return 1
