"""What the commands of this folder share on their command lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from localstack.cloud import Failure

INFRA = Path(__file__).resolve().parent.parent / "infra"
TEMPLATE = INFRA / "template.yaml"
# Watches the stack of the one above, from a stack of its own.
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
            raise Failure(f"--parameter takes NAME=VALUE, not {pair!r}")
        values[name] = value
    return values


def run(command: Callable[[], int]) -> int:
    """Runs a command; what it can't do becomes one readable sentence."""
    try:
        return command()
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
    except (BotoCoreError, ClientError, OSError) as error:
        print(f"error: the cloud refused or didn't answer: {error}", file=sys.stderr)
    return 1
