"""Sets by API call the properties that MiniStack silently drops from a template.

This is for local clouds only: on AWS, CloudFormation sets them. Every value comes from the template, so no value is
written down twice. verify.py then compares what runs with the template.
"""

from __future__ import annotations

import functools
import json
import os
import urllib.error
import urllib.request

from localstack.cloud import client, local_endpoint
from localstack.deployed import Deployed


def apply(deployed: Deployed) -> None:
    local_endpoint()
    for logical_id in deployed.of_type("AWS::DynamoDB::Table"):
        _table(deployed, logical_id)
    for logical_id in deployed.of_type("AWS::S3::Bucket"):
        _lifecycle(deployed, logical_id)
    for logical_id in deployed.of_type("AWS::Serverless::Function"):
        _reserved_concurrency(deployed, logical_id)
        _maximum_concurrency(deployed, logical_id)
    if enforces_policies():
        # The bucket policy refuses requests without TLS, which the local cloud does not have.
        for logical_id in deployed.of_type("AWS::S3::BucketPolicy"):
            client("s3").delete_bucket_policy(Bucket=deployed.properties(logical_id)["Bucket"])


def _table(deployed: Deployed, logical_id: str) -> None:
    name, properties = deployed.ids[logical_id], deployed.properties(logical_id)
    expiry = properties.get("TimeToLiveSpecification")
    current = client("dynamodb").describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    # It is an error to enable what is enabled already.
    if expiry and current["TimeToLiveStatus"] == "DISABLED":
        client("dynamodb").update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    recovery = properties.get("PointInTimeRecoverySpecification")
    if recovery:
        client("dynamodb").update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)


def _lifecycle(deployed: Deployed, logical_id: str) -> None:
    rules = []
    for rule in deployed.properties(logical_id).get("LifecycleConfiguration", {}).get("Rules", []):
        rule = {**rule, "ID": rule["Id"], "Filter": {"Prefix": rule.get("Prefix", "")}}
        del rule["Id"]
        if "ExpirationInDays" in rule:
            rule["Expiration"] = {"Days": int(rule.pop("ExpirationInDays"))}
        rules.append(rule)
    if rules:
        client("s3").put_bucket_lifecycle_configuration(
            Bucket=deployed.ids[logical_id], LifecycleConfiguration={"Rules": rules}
        )


def _reserved_concurrency(deployed: Deployed, logical_id: str) -> None:
    name = deployed.ids[logical_id]
    reserved = deployed.properties(logical_id).get("ReservedConcurrentExecutions")
    if reserved is None:
        client("lambda").delete_function_concurrency(FunctionName=name)
    else:
        client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=int(reserved))


def _maximum_concurrency(deployed: Deployed, logical_id: str) -> None:
    """Sets each event source's limit again, as a number.

    MiniStack stores a limit from a parameter as text. Its poller compares the limit with a count before every receive,
    and fails on the text."""
    pages = client("lambda").get_paginator("list_event_source_mappings").paginate(FunctionName=deployed.ids[logical_id])
    for page in pages:
        for mapping in page["EventSourceMappings"]:
            limit = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
            if limit is not None:
                client("lambda").update_event_source_mapping(
                    UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": int(limit)}
                )


@functools.cache
def enforces_policies() -> bool:
    """Whether MiniStack runs with --auth at a plain HTTP address.

    It would then refuse every request by the TLS-only bucket policy."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if not endpoint.startswith("http://"):
        return False
    try:
        with urllib.request.urlopen(f"{endpoint.rstrip('/')}/_ministack/health", timeout=5) as response:
            return json.load(response).get("auth") == "enabled"
    except urllib.error.HTTPError:
        # Another local cloud, which has another health address.
        return False
