"""Creates or updates a stack through CloudFormation, and reports why a deployment failed."""

from __future__ import annotations

import time

from botocore.exceptions import ClientError

from localstack.cloud import Failure, client

_DEADLINE_SECONDS = 120
_POLL_SECONDS = 0.05
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]

# A stack in one of these states was never created completely, and can only be deleted.
_NEVER_CREATED = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}


def deploy(name: str, template_url: str, parameters: dict[str, str]) -> str:
    """Creates the stack, or updates it to the template. Returns "created", "updated" or "unchanged"."""
    existing = find(name)
    if existing and existing["StackStatus"] in _NEVER_CREATED:
        client("cloudformation").delete_stack(StackName=name)
        _wait(name, deleted=True)
        existing = None
    request = {
        "StackName": name,
        "TemplateURL": template_url,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": _CAPABILITIES,
    }
    try:
        if existing:
            client("cloudformation").update_stack(**request)
        else:
            client("cloudformation").create_stack(**request)
    except ClientError as error:
        message = error.response["Error"].get("Message", "")
        if existing and "No updates are to be performed" in message:
            return "unchanged"
        raise Failure(f"CloudFormation refused the stack {name}: {message}") from error
    status = _wait(name)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise Failure(f"the stack {name} ended as {status}:\n{failed_events(name)}")
    return "updated" if existing else "created"


def find(name: str) -> dict | None:
    try:
        return client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise


def outputs(name: str) -> dict[str, str]:
    existing = find(name)
    if existing is None:
        raise Failure(f"the stack {name} does not exist: deploy it first")
    return {output["OutputKey"]: output["OutputValue"] for output in existing.get("Outputs", [])}


def resources(name: str) -> dict[str, str]:
    """The physical id of each resource, by its logical id."""
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
    return "\n".join(lines) or "  (no event of the stack names a failure)"


def _wait(name: str, deleted: bool = False) -> str:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        existing = find(name)
        if existing is None:
            if deleted:
                return "DELETE_COMPLETE"
            raise Failure(f"the stack {name} was deleted during its deployment: deploy it again")
        if not existing["StackStatus"].endswith("_IN_PROGRESS"):
            return existing["StackStatus"]
        time.sleep(_POLL_SECONDS)
    raise Failure(f"the stack {name} was not complete after {_DEADLINE_SECONDS} s:\n{failed_events(name)}")
