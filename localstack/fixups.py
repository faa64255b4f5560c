"""Sets by API call what MiniStack drops from a template without a word.

Local clouds only: on AWS CloudFormation does it.

Every value comes from the template, so nothing is said twice; verify.py then proves that it took.
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
        _cors(deployed, logical_id)
    for logical_id in deployed.of_type("AWS::Serverless::Function"):
        _reserved_concurrency(deployed, logical_id)
        _concurrency_of_queues(deployed, logical_id)
    if tls_only_is_lifted():
        for logical_id in deployed.of_type("AWS::S3::BucketPolicy"):
            client("s3").delete_bucket_policy(Bucket=deployed.properties(logical_id)["Bucket"])


def _table(deployed: Deployed, logical_id: str) -> None:
    name, properties = deployed.ids[logical_id], deployed.properties(logical_id)
    expiry = properties.get("TimeToLiveSpecification")
    standing = client("dynamodb").describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    # Setting what is set already is an error.
    if expiry and standing["TimeToLiveStatus"] == "DISABLED":
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


def _cors(deployed: Deployed, logical_id: str) -> None:
    words = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds"}
    rules = [
        {words.get(name, name): value for name, value in rule.items()}
        for rule in deployed.properties(logical_id).get("CorsConfiguration", {}).get("CorsRules", [])
    ]
    if rules:
        client("s3").put_bucket_cors(Bucket=deployed.ids[logical_id], CORSConfiguration={"CORSRules": rules})


def _reserved_concurrency(deployed: Deployed, logical_id: str) -> None:
    name = deployed.ids[logical_id]
    reserved = deployed.properties(logical_id).get("ReservedConcurrentExecutions")
    if reserved is None:
        client("lambda").delete_function_concurrency(FunctionName=name)
    else:
        client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=int(reserved))


def _concurrency_of_queues(deployed: Deployed, logical_id: str) -> None:
    """Says the limit once more, as a number: out of a parameter MiniStack takes it as text, and then its poller, which
    compares it with a count, fails before every receive."""
    pages = client("lambda").get_paginator("list_event_source_mappings").paginate(FunctionName=deployed.ids[logical_id])
    for page in pages:
        for mapping in page["EventSourceMappings"]:
            limit = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
            if limit is not None:
                client("lambda").update_event_source_mapping(
                    UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": int(limit)}
                )


@functools.cache
def tls_only_is_lifted() -> bool:
    """Whether the cloud would enforce a TLS-only policy on its own plain-HTTP address, and so refuse everyone."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if not endpoint.startswith("http://"):
        return False
    try:
        with urllib.request.urlopen(f"{endpoint.rstrip('/')}/_ministack/health", timeout=5) as answer:
            return json.load(answer).get("auth") == "enabled"
    except urllib.error.HTTPError:
        # Another local cloud: it has its own health address, and its own mind about bucket policies.
        return False
