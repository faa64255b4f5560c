"""Creates or updates a stack through CloudFormation, and says why when that fails."""

from __future__ import annotations

import time

from botocore.exceptions import ClientError

from localstack.cloud import Failure, client

_DEADLINE_SECONDS = 120
_POLL_SECONDS = 0.05
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]

# A stack in one of these never had a working state: all that can be done with it is to delete it.
_STILLBORN = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}


def deploy(name: str, template_url: str, parameters: dict[str, str]) -> str:
    """Makes the stack be what the template says. Gives "created", "updated" or "unchanged"."""
    standing = find(name)
    if standing and standing["StackStatus"] in _STILLBORN:
        client("cloudformation").delete_stack(StackName=name)
        _wait(name, gone=True)
        standing = None
    request = {
        "StackName": name,
        "TemplateURL": template_url,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": _CAPABILITIES,
    }
    try:
        if standing:
            client("cloudformation").update_stack(**request)
        else:
            client("cloudformation").create_stack(**request)
    except ClientError as error:
        message = error.response["Error"].get("Message", "")
        if standing and "No updates are to be performed" in message:
            return "unchanged"
        raise Failure(f"CloudFormation refused the stack {name}: {message}") from error
    status = _wait(name)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise Failure(f"the stack {name} ended as {status}:\n{failed_events(name)}")
    return "updated" if standing else "created"


def find(name: str) -> dict | None:
    try:
        return client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise


def outputs(name: str) -> dict[str, str]:
    standing = find(name)
    if standing is None:
        raise Failure(f"there is no stack {name}")
    return {output["OutputKey"]: output["OutputValue"] for output in standing.get("Outputs", [])}


def resources(name: str) -> dict[str, str]:
    """Physical id of each resource, by its logical id."""
    pages = client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
    }


def failed_events(name: str) -> str:
    events = client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    lines = [
        f"  {event['LogicalResourceId']} ({event.get('ResourceType', '?')}): {event['ResourceStatus']}"
        f" {event.get('ResourceStatusReason', '')}".rstrip()
        for event in reversed(events)
        if "FAILED" in event["ResourceStatus"] or "ROLLBACK" in event["ResourceStatus"]
    ]
    return "\n".join(lines) or "  (its events name no failure)"


def _wait(name: str, gone: bool = False) -> str:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        standing = find(name)
        if standing is None:
            if gone:
                return "DELETE_COMPLETE"
            raise Failure(f"the stack {name} vanished while it was being deployed")
        if not standing["StackStatus"].endswith("_IN_PROGRESS"):
            return standing["StackStatus"]
        time.sleep(_POLL_SECONDS)
    raise Failure(f"the stack {name} was not done after {_DEADLINE_SECONDS} s:\n{failed_events(name)}")
