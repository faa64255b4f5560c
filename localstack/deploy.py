"""Deploys infra/template.yaml to a local cloud, and infra/observability.yaml as a second stack.

It uploads the functions, deploys the stack, sets what the local cloud drops, and verifies the result.

    python -m localstack.deploy --artifacts .aws-sam/build --parameter TokenSha256=... [--parameter NAME=VALUE ...]

It prints the stack's outputs and the API's address as JSON. A second run uploads nothing and changes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from localstack import arguments, package, post_deploy, stack, template, verify
from localstack.cloud import local_endpoint
from localstack.deployed import Deployed

# The parameters that must be equal in both stacks: an alarm cannot watch a lane or stream that is off.
SHARED_SWITCHES = ("LargeLanes", "PriorityLanes", "EventStream")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localstack.deploy", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--artifacts", type=Path, required=True, help="has a folder for each function, from `sam build`"
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
    body = template.with_code(read, {name: one.location for name, one in packages.items()})
    detach_alarms(chosen.stack, values, bucket)
    outcome = stack.deploy(chosen.stack, package.upload_template(body, bucket), values)
    deployed = Deployed(read, chosen.stack, given)
    stacked = time.monotonic()
    post_deploy.apply(deployed)
    found = verify.differences(deployed, {name: one.code_sha256 for name, one in packages.items()})
    print(
        f"stack {chosen.stack} {outcome}: {sent} of {len(packages)} functions uploaded in {packaged - started:.1f} s, "
        f"deployed in {stacked - packaged:.1f} s, checked in {time.monotonic() - stacked:.1f} s",
        file=sys.stderr,
    )
    found += deploy_observability(chosen.stack, given, bucket)
    if verify.report(found):
        return 1
    outputs = stack.outputs(chosen.stack)
    # Without the stage: $default may be left out, and a shell would expand its dollar sign.
    url = f"{endpoint}/_aws/execute-api/{outputs['HttpApiId']}"
    print(json.dumps({"outputs": outputs, "url": url}, indent=2))
    return 0


def detach_alarms(watched: str, values: dict[str, str], bucket: str) -> None:
    """Removes the alarms of queues and functions that this deployment removes. CloudFormation refuses to remove a queue
    whose name another stack imports."""
    observability = stack.find(f"{watched}-observability")
    if observability is None:
        return
    current = {one["ParameterKey"]: one["ParameterValue"] for one in observability["Parameters"]}
    remaining = {name: "off" if "off" in (current[name], values[name]) else "on" for name in SHARED_SWITCHES}
    if any(remaining[name] != current[name] for name in SHARED_SWITCHES):
        deploy_observability(watched, remaining, bucket)


def deploy_observability(watched: str, given: dict[str, str], bucket: str) -> list[verify.Difference]:
    """Deploys infra/observability.yaml for the stack, and compares what runs with it."""
    read = template.load(arguments.OBSERVABILITY)
    wanted = {"Stack": watched, **{name: given[name] for name in SHARED_SWITCHES if name in given}}
    name = f"{watched}-observability"
    stack.deploy(name, package.upload_template(json.dumps(read), bucket), template.parameter_values(read, wanted))
    return verify.differences(Deployed(read, name, wanted))


if __name__ == "__main__":
    sys.exit(arguments.run(main))
