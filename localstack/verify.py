"""Compares what runs with the template, and reports each difference as an error.

    python -m localstack.verify [--template infra/template.yaml] [--stack ai-mesh] [--parameter NAME=VALUE ...]

A local cloud reports a stack as complete, and drops properties that it does not implement. Every property of the
template is therefore compared with what the service itself returns. A property or type that no reader knows is a
difference too, except for the types in `readers.UNREAD`.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterator
from typing import Any

from localstack import arguments, template
from localstack.cloud import client
from localstack.deployed import MASKED, Deployed
from localstack.readers import READERS, UNREAD

ABSENT = "(absent)"

_FUNCTION = "AWS::Serverless::Function"

# A queue's visibility timeout as a multiple of its worker's timeout. A template cannot multiply, so the rule is here.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_FACTOR = 6


@dataclasses.dataclass(frozen=True, order=True)
class Difference:
    resource: str
    property: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.resource}.{self.property}: expected {self.expected}, found {self.actual}"


def differences(deployed: Deployed, code: dict[str, str] | None = None) -> list[Difference]:
    """`code` has the SHA-256 of the code that each function should run, as far as it is known."""
    found = [*_parameters(deployed), *_invariants(deployed)]
    for logical_id, expected in (code or {}).items():
        found += _compare(logical_id, "", {"CodeSha256": expected}, READERS[_FUNCTION](deployed, logical_id))
    for logical_id in deployed.template["Resources"]:
        found += _resource(deployed, logical_id)
    return sorted(set(found))


def _parameters(deployed: Deployed) -> Iterator[Difference]:
    for name, expected in deployed.parameters.items():
        actual = deployed.stack_parameters.get(name, ABSENT)
        if actual not in (expected, MASKED):
            yield Difference("Parameters", name, expected, actual)


def _resource(deployed: Deployed, logical_id: str) -> Iterator[Difference]:
    kind = deployed.type(logical_id)
    if kind in UNREAD:
        return
    if kind not in READERS:
        yield Difference(logical_id, "Type", "a type that localstack/readers.py knows", kind)
        return
    expected = _expected(deployed, logical_id, kind)
    yield from _compare(logical_id, "", expected, READERS[kind](deployed, logical_id))


def _expected(deployed: Deployed, logical_id: str, kind: str) -> dict[str, Any]:
    expected = deployed.properties(logical_id)
    if kind == _FUNCTION:
        # The folder of the code before its upload.
        expected.pop("CodeUri", None)
        # CodeDeploy uses it, and local clouds have no CodeDeploy.
        expected.pop("DeploymentPreference", None)
        if release := expected.pop("AutoPublishCodeSha256", None):
            # SAM appends it, so that versions with equal code differ.
            expected["Description"] += f" {release}"
        expected["Events"] = [{"Enabled": True, **event["Properties"]} for event in expected.pop("Events", {}).values()]
        # If the template reserves no concurrency, the function must not have a reservation either.
        expected.setdefault("ReservedConcurrentExecutions", ABSENT)
        variables = expected["Environment"]["Variables"]
        for name, value in variables.items():
            if value == MASKED:
                variables[name] = _masked(deployed, name)
    return expected


def _masked(deployed: Deployed, variable: str) -> re.Pattern:
    """For a value that CloudFormation hides: the pattern of its parameter, since nothing else can be compared."""
    declared = deployed.template["Parameters"]
    patterns = [
        parameter["AllowedPattern"]
        for name, parameter in declared.items()
        if parameter.get("NoEcho") and deployed.parameters[name] == MASKED and "AllowedPattern" in parameter
    ]
    return re.compile("|".join(patterns) or r".+")


def _invariants(deployed: Deployed) -> Iterator[Difference]:
    queues = {deployed.attribute(name, "Arn"): name for name in deployed.of_type("AWS::SQS::Queue")}
    for name in deployed.of_type(_FUNCTION):
        properties = deployed.properties(name)
        concurrency = 0
        for arn, limit in _queues_of(deployed, name):
            concurrency += limit
            queue = queues[arn]
            visibility = deployed.properties(queue)["VisibilityTimeout"]
            needed = VISIBILITY_FACTOR * int(properties["Timeout"])
            if int(visibility) != needed:
                rule = f"{needed} ({VISIBILITY_FACTOR} times the {properties['Timeout']} s of {name})"
                yield Difference(queue, "VisibilityTimeout", rule, str(visibility))
        reserved = properties.get("ReservedConcurrentExecutions")
        if reserved is not None and int(reserved) < concurrency:
            rule = f"at least {concurrency} (the sum of its queues' MaximumConcurrency)"
            yield Difference(name, "ReservedConcurrentExecutions", rule, str(reserved))
    for name in deployed.of_type("AWS::ApiGatewayV2::Api"):
        routes = [
            route
            for route in deployed.of_type("AWS::ApiGatewayV2::Route")
            if deployed.properties(route)["ApiId"] == deployed.ids[name]
        ]
        running = client("apigatewayv2").get_routes(ApiId=deployed.ids[name])["Items"]
        if len(running) != len(routes):
            keys = ", ".join(sorted(route["RouteKey"] for route in running)) or "none"
            yield Difference(name, "Routes", f"{len(routes)} routes", f"{len(running)} ({keys})")


def _queues_of(deployed: Deployed, function: str) -> Iterator[tuple[str, int]]:
    """The ARN and the maximum concurrency of each queue that invokes the function."""
    for event in deployed.properties(function).get("Events", {}).values():
        if event["Type"] == "SQS":
            settings = event["Properties"]
            yield settings["Queue"], int(settings["ScalingConfig"]["MaximumConcurrency"])
    for name in deployed.of_type("AWS::Lambda::EventSourceMapping"):
        settings = deployed.properties(name)
        if settings["FunctionName"] == deployed.ids[function]:
            yield settings["EventSourceArn"], int(settings["ScalingConfig"]["MaximumConcurrency"])


def _compare(resource: str, path: str, expected: Any, actual: Any) -> Iterator[Difference]:
    """Every value of the template must be equal. A service may return further properties, but not further elements of a
    list: an additional rule or index is a difference."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            yield Difference(resource, path, _show(expected), _show(actual))
            return
        for name, value in expected.items():
            yield from _compare(resource, f"{path}.{name}".lstrip("."), value, actual.get(name, ABSENT))
    elif isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            yield Difference(resource, path, _show(expected), _show(actual))
            return
        for index, (one, other) in enumerate(_pairs(expected, actual)):
            yield from _compare(resource, f"{path}[{index}]", one, other)
    elif isinstance(expected, re.Pattern):
        if not expected.search(str(actual)):
            yield Difference(resource, path, f"a value like {expected.pattern}", _show(actual))
    elif _scalar(expected) != _scalar(actual):
        yield Difference(resource, path, _show(expected), _show(actual))


def _pairs(expected: list, actual: list) -> Iterator[tuple[Any, Any]]:
    """The elements that have no equal, in pairs: services return lists in any order."""
    remaining = list(actual)
    unmatched = []
    for one in expected:
        match = next((other for other in remaining if not list(_compare("", "", one, other))), None)
        if match is None:
            unmatched.append(one)
        else:
            remaining.remove(match)
    yield from zip(unmatched, remaining)


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _show(value: Any) -> str:
    return _scalar(value)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localstack.verify", description=__doc__.splitlines()[0])
    arguments.add_stack(parser)
    arguments.add_parameters(parser)
    chosen = parser.parse_args()
    given = arguments.parameters(chosen)
    deployed = Deployed(template.load(chosen.template), chosen.stack, given or None)
    return report(differences(deployed))


def report(found: list[Difference]) -> int:
    for difference in found:
        print(f"error: {difference}", file=sys.stderr)
    if found:
        print(f"error: {len(found)} differences between the template and the stack: deploy again", file=sys.stderr)
        return 1
    print("the stack matches the template", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(arguments.run(main))
