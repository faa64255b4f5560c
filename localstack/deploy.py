"""Deploys infra/template.yaml to a local cloud: uploads the functions, deploys the stack, mends what the cloud drops,
proves the rest. Beside it, as a stack of its own, infra/observability.yaml.

    python -m localstack.deploy --artifacts .aws-sam/build --parameter TokenSha256=... [--parameter NAME=VALUE ...]

Prints the stack's outputs and the API's address as JSON. The same again uploads nothing and changes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from localstack import arguments, fixups, package, stack, template, verify
from localstack.cloud import local_endpoint
from localstack.deployed import Deployed

# What both stacks must agree on: a lane or stream that is off has nothing to watch.
SWITCHES = ("LargeLanes", "PriorityLanes", "EventStream")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localstack.deploy", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--artifacts", type=Path, required=True, help="holds a folder per function, as `sam build` leaves them"
    )
    arguments.add_stack(parser)
    arguments.add_parameters(parser)
    chosen = parser.parse_args()

    endpoint = local_endpoint()
    read = template.load(chosen.template)
    given = arguments.parameters(chosen)
    values = template.parameter_values(read, given)

    started = time.monotonic()
    bucket = f"{chosen.stack}-artifacts"
    package.ensure_bucket(bucket)
    packages = {name: package.upload(chosen.artifacts / name, bucket) for name in template.functions(read)}
    sent = sum(one.sent for one in packages.values())
    packaged = time.monotonic()
    body = template.with_code(read, {name: one.place for name, one in packages.items()})
    unwatch(chosen.stack, values, bucket)
    outcome = stack.deploy(chosen.stack, package.upload_template(body, bucket), values)
    deployed = Deployed(read, chosen.stack, given)
    stacked = time.monotonic()
    fixups.apply(deployed)
    found = verify.differences(deployed, {name: one.code_sha256 for name, one in packages.items()})
    print(
        f"stack {chosen.stack} {outcome}: {sent} of {len(packages)} functions uploaded in {packaged - started:.1f} s, "
        f"deployed in {stacked - packaged:.1f} s, checked in {time.monotonic() - stacked:.1f} s",
        file=sys.stderr,
    )
    found += observe(chosen.stack, given, bucket)
    if verify.report(found):
        return 1
    outputs = stack.outputs(chosen.stack)
    # Without the stage: $default needs none, and a dollar sign in an address doesn't survive a shell.
    url = f"{endpoint}/_aws/execute-api/{outputs['HttpApiId']}"
    print(json.dumps({"outputs": outputs, "url": url}, indent=2))
    return 0


def unwatch(watched: str, values: dict[str, str], bucket: str) -> None:
    """Takes the alarms off what the stack is about to lose. AWS removes no queue whose name another stack imports."""
    standing = stack.find(f"{watched}-observability")
    if standing is None:
        return
    now = {one["ParameterKey"]: one["ParameterValue"] for one in standing["Parameters"]}
    left = {name: "off" if "off" in (now[name], values[name]) else "on" for name in SWITCHES}
    if any(left[name] != now[name] for name in SWITCHES):
        observe(watched, left, bucket)


def observe(watched: str, given: dict[str, str], bucket: str) -> list[verify.Difference]:
    """Deploys infra/observability.yaml beside the stack, and tells in what it differs."""
    read = template.load(arguments.OBSERVABILITY)
    wanted = {"Stack": watched, **{name: given[name] for name in SWITCHES if name in given}}
    name = f"{watched}-observability"
    stack.deploy(name, package.upload_template(json.dumps(read), bucket), template.parameter_values(read, wanted))
    return verify.differences(Deployed(read, name, wanted))


if __name__ == "__main__":
    sys.exit(arguments.run(main))
