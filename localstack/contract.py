"""Compares the templates with what deployed stacks already have, so that an update replaces none of their resources.

    python -m localstack.contract            # reports each difference
    python -m localstack.contract --update   # records additions in localstack/tests/template_contract.json

The record has each resource's logical id, type, condition and every property whose change makes CloudFormation replace
the resource, each parameter's type and default, and each output's value and export name. The main template is
recorded after SAM's transform: the ids of aliases, event source mappings and schedules are part of a stack too.

`--update` refuses a removal or a change. To make one on purpose, edit the record by hand, and say in CHANGELOG.md what
operators have to do.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localstack import arguments, template
from localstack.cloud import Failure

RECORD = Path(__file__).parent / "tests/template_contract.json"
TEMPLATES = (arguments.TEMPLATE, arguments.OBSERVABILITY)

# The properties of each type whose change replaces the resource: `createOnlyProperties` of the type's CloudFormation
# schema. Three are here beyond those: a table's attributes and indexes, where a changed key replaces the table or the
# index, and the API's name, by which people find it.
REPLACING = {
    "AWS::ApiGatewayV2::Api": ("Name", "ProtocolType"),
    "AWS::ApiGatewayV2::Integration": ("ApiId",),
    "AWS::ApiGatewayV2::Route": ("ApiId",),
    "AWS::ApiGatewayV2::Stage": ("ApiId", "StageName"),
    "AWS::CloudWatch::Alarm": ("AlarmName",),
    "AWS::CloudWatch::Dashboard": ("DashboardName",),
    "AWS::CodeDeploy::Application": ("ApplicationName", "ComputePlatform"),
    "AWS::CodeDeploy::DeploymentGroup": ("ApplicationName", "DeploymentGroupName"),
    "AWS::DynamoDB::Table": (
        "AttributeDefinitions",
        "GlobalSecondaryIndexes",
        "ImportSourceSpecification",
        "KeySchema",
        "LocalSecondaryIndexes",
        "TableName",
    ),
    "AWS::Events::Rule": ("EventBusName", "Name"),
    "AWS::IAM::Role": ("Path", "RoleName"),
    "AWS::Lambda::Alias": ("FunctionName", "Name"),
    "AWS::Lambda::EventSourceMapping": (
        "EventSourceArn",
        "SelfManagedEventSource",
        "StartingPosition",
        "StartingPositionTimestamp",
    ),
    "AWS::Lambda::Function": ("DurableConfig", "FunctionName", "PackageType", "TenancyConfig"),
    "AWS::Lambda::Permission": (
        "Action",
        "EventSourceToken",
        "FunctionName",
        "FunctionUrlAuthType",
        "InvokedViaFunctionUrl",
        "Principal",
        "PrincipalOrgID",
        "SourceAccount",
        "SourceArn",
    ),
    "AWS::Lambda::Url": ("Qualifier", "TargetFunctionArn"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::S3::Bucket": ("BucketName", "BucketNamePrefix", "BucketNamespace"),
    "AWS::S3::BucketPolicy": ("Bucket",),
    "AWS::SNS::Subscription": ("Endpoint", "Protocol", "Region", "TopicArn"),
    "AWS::SNS::Topic": ("FifoTopic", "TopicName"),
    "AWS::SQS::Queue": ("FifoQueue", "QueueName"),
}

# Each release publishes a new version under a new logical id.
VERSION = "AWS::Lambda::Version"

# What a difference does to a stack that is deployed already, by the part of the template that it is in.
REMOVED = {
    "Parameters": "a deployment that sets it fails",
    "Resources": "an update deletes the deployed resource, and a renamed one starts empty under a new physical name",
    "Outputs": "scripts that read it fail, and a stack that imports its export blocks the update",
}
CHANGED = {
    "Parameters": "stacks that do not set it get another value",
    "Resources": "an update replaces or deletes the deployed resource",
    "Outputs": "scripts that read it get another value, and a stack that imports its export blocks the update",
}

Contract = dict[str, dict[str, dict[str, dict[str, Any]]]]


@dataclasses.dataclass(frozen=True)
class Change:
    text: str
    is_addition: bool = False

    def __str__(self) -> str:
        return self.text


def current() -> Contract:
    """The contract of the templates as they are."""
    return {path.name: _describe(template.load(path)) for path in TEMPLATES}


def recorded(path: Path = RECORD) -> Contract:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {path}: {error}; restore it from version control") from error


def _describe(read: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    parameters = {
        name: {key: declared[key] for key in ("Type", "Default") if key in declared}
        for name, declared in read["Parameters"].items()
    }
    if "Transform" in read:
        # A gradual deployment has every resource of an ordinary one, and those of CodeDeploy.
        read = template.transformed(read, {"Deployment": "Canary10Percent5Minutes", "Release": "contract"})
    resources = {
        name: _resource(resource) for name, resource in read["Resources"].items() if resource["Type"] != VERSION
    }
    outputs = {
        name: {
            **{key: output[key] for key in ("Condition", "Value") if key in output},
            **({"Export": output["Export"]["Name"]} if "Export" in output else {}),
        }
        for name, output in read["Outputs"].items()
    }
    return {"Parameters": parameters, "Resources": resources, "Outputs": outputs}


def _resource(resource: dict[str, Any]) -> dict[str, Any]:
    kind = resource["Type"]
    if kind not in REPLACING:
        raise Failure(f"localstack/contract.py does not know {kind}: add its create-only properties to REPLACING")
    properties = resource.get("Properties", {})
    return {
        **{key: resource[key] for key in ("Type", "Condition") if key in resource},
        **{key: properties[key] for key in REPLACING[kind] if key in properties},
    }


def differences(before: Contract, after: Contract) -> list[Change]:
    """What `after` would do to a stack that was deployed from `before`."""
    return [change for name, part in _union(before, after) for change in _parts(name, *part)]


def _parts(source: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for part, (old, new) in _union(before, after):
        for name, (was, now) in _union(old, new):
            where = f"{source}: {part}.{name}"
            if not was and before and part == "Parameters" and "Default" not in now:
                yield Change(f"{where} is new without a default: an update that does not set it fails. Add a default")
            elif not was:
                yield Change(f"{where} is new: run `python -m localstack.contract --update`", is_addition=True)
            elif not now:
                yield Change(f"{where} is missing: {REMOVED[part]}. Restore the name")
            else:
                for key in sorted(set(was) | set(now)):
                    if was.get(key) != now.get(key):
                        values = f"{json.dumps(was.get(key))} -> {json.dumps(now.get(key))}"
                        yield Change(f"{where}.{key} changed ({values}): {CHANGED[part]}. Restore the value")


def _union(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in sorted(set(before) | set(after)):
        yield name, (before.get(name, {}), after.get(name, {}))


def update(path: Path, contract: Contract) -> None:
    """Records additions; refuses everything else."""
    breaking = [change for change in differences(recorded(path), contract) if not change.is_addition]
    if breaking:
        raise Failure("the record only takes additions:\n" + "\n".join(map(str, breaking)))
    path.write_text(_rendered(contract), encoding="utf-8")


def _rendered(contract: Contract) -> str:
    """JSON with one entry a line, so that a diff shows one line for each resource."""
    def block(indent: str, lines: list[str]) -> str:
        return "{\n" + ",\n".join(f"{indent} {line}" for line in lines) + f"\n{indent}}}"

    def part(entries: dict[str, dict[str, Any]]) -> str:
        return block("  ", [f'"{name}": {json.dumps(entries[name], sort_keys=True)}' for name in sorted(entries)])

    def source(parts: dict[str, dict[str, dict[str, Any]]]) -> str:
        return block(" ", [f'"{name}": {part(parts[name])}' for name in sorted(parts)])

    return block("", [f'"{name}": {source(contract[name])}' for name in sorted(contract)]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localstack.contract", description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="record parameters, resources and outputs that are new")
    chosen = parser.parse_args()
    # The translator warns of settings that only its own service has.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    if chosen.update:
        update(RECORD, current())
    found = differences(recorded(), current())
    for change in found:
        print(f"error: {change}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(arguments.run(main))
