"""Reads what runs, resource by resource, as the properties of a template.

Each reader takes the stack and a logical id. It reads from the service itself, since CloudFormation only repeats the
template, and returns the properties as a template would have them.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from localstack.cloud import client
from localstack.deployed import Deployed


def function(deployed: Deployed, logical_id: str) -> dict[str, Any]:
    name = deployed.ids[logical_id]
    actual = client("lambda").get_function_configuration(FunctionName=name)
    reserved = client("lambda").get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    if reserved is not None:
        actual["ReservedConcurrentExecutions"] = reserved
    aliases = client("lambda").list_aliases(FunctionName=name)["Aliases"]
    actual["AutoPublishAlias"] = next((alias["Name"] for alias in aliases), None)
    pages = client("lambda").get_paginator("list_event_source_mappings").paginate(FunctionName=name)
    # Mappings that are resources of the template have a reader of their own.
    resources = {deployed.ids[mapping] for mapping in deployed.of_type("AWS::Lambda::EventSourceMapping")}
    sources = [
        # A template names the source's ARN `Queue` or `Stream`, by its type.
        {
            **mapping,
            "Queue": mapping["EventSourceArn"],
            "Stream": mapping["EventSourceArn"],
            "Enabled": mapping["State"] in ("Enabled", "Enabling"),
        }
        for page in pages
        for mapping in page["EventSourceMappings"]
        if mapping["UUID"] not in resources
    ]
    actual["Events"] = sources + _schedules(actual["FunctionArn"])
    actual["Tracing"] = actual.get("TracingConfig", {}).get("Mode")
    return actual


def _schedules(function_arn: str) -> list[dict[str, Any]]:
    names = client("events").list_rule_names_by_target(TargetArn=function_arn)["RuleNames"]
    rules = [client("events").describe_rule(Name=name) for name in names]
    return [{"Schedule": rule.get("ScheduleExpression"), "Enabled": rule["State"] == "ENABLED"} for rule in rules]


def mapping(deployed: Deployed, logical_id: str) -> dict[str, Any]:
    try:
        actual = client("lambda").get_event_source_mapping(UUID=deployed.ids[logical_id])
    except ClientError as error:
        return absent(error, "ResourceNotFoundException")
    return {**actual, "FunctionName": actual["FunctionArn"].rsplit(":", 1)[-1]}


def permission(deployed: Deployed, logical_id: str) -> dict[str, Any]:
    expected = deployed.properties(logical_id)
    try:
        policy = client("lambda").get_policy(FunctionName=expected["FunctionName"])
    except ClientError as error:
        return absent(error, "ResourceNotFoundException")
    granted = [
        {
            "Action": statement["Action"],
            "FunctionName": expected["FunctionName"],
            "Principal": _principal(statement["Principal"]),
            **_conditions(statement.get("Condition", {})),
        }
        for statement in json.loads(policy["Policy"])["Statement"]
        if statement["Effect"] == "Allow"
    ]
    # A function may have several permissions. If none is equal, the report shows the difference from the first.
    return next((one for one in granted if one == expected), granted[0] if granted else {})


def _principal(principal: Any) -> str | None:
    if isinstance(principal, str):
        return principal
    return principal.get("Service") or principal.get("AWS")


def _conditions(conditions: dict[str, Any]) -> dict[str, Any]:
    """A permission's properties from its conditions. AWS and its emulators differ in the keys' capitals."""
    property_names = {
        "aws:sourcearn": "SourceArn",
        "lambda:functionurlauthtype": "FunctionUrlAuthType",
        "lambda:invokedviafunctionurl": "InvokedViaFunctionUrl",
    }
    return {
        property_names[key.lower()]: {"true": True, "false": False}.get(value, value)
        for test in conditions.values()
        for key, value in test.items()
        if key.lower() in property_names
    }


def function_url(deployed: Deployed, logical_id: str) -> dict[str, Any]:
    function = deployed.properties(logical_id)["TargetFunctionArn"]
    try:
        actual = client("lambda").get_function_url_config(FunctionName=function)
    except ClientError as error:
        return absent(error, "ResourceNotFoundException")
    return {**actual, "TargetFunctionArn": actual["FunctionArn"]}


def queue(deployed: Deployed, logical_id: str) -> dict[str, Any]:
    response = client("sqs").get_queue_attributes(QueueUrl=deployed.ids[logical_id], AttributeNames=["All"])
    actual: dict[str, Any] = dict(response["Attributes"])
    if "RedrivePolicy" in actual:
        actual["RedrivePolicy"] = json.loads(actual["RedrivePolicy"])
    return actual


def table(deployed: Deployed, logical_id: str) -> dict[str, Any]:
    name = deployed.ids[logical_id]
    actual = client("dynamodb").describe_table(TableName=name)["Table"]
    actual["BillingMode"] = actual.get("BillingModeSummary", {}).get("BillingMode")
    expiry = client("dynamodb").describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    actual["TimeToLiveSpecification"] = {
        "AttributeName": expiry.get("AttributeName"),
        "Enabled": expiry["TimeToLiveStatus"] in ("ENABLED", "ENABLING"),
    }
    backups = client("dynamodb").describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    actual["PointInTimeRecoverySpecification"] = {"PointInTimeRecoveryEnabled": recovery == "ENABLED"}
    return actual


def bucket(deployed: Deployed, logical_id: str) -> dict[str, Any]:
    name = deployed.ids[logical_id]
    actual: dict[str, Any] = {}
    encryption = _bucket_setting(name, "get_bucket_encryption")
    actual["BucketEncryption"] = {
        "ServerSideEncryptionConfiguration": [
            {"ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"]}
            for rule in encryption.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        ]
    }
    actual["OwnershipControls"] = _bucket_setting(name, "get_bucket_ownership_controls").get("OwnershipControls", {})
    access = _bucket_setting(name, "get_public_access_block")
    actual["PublicAccessBlockConfiguration"] = access.get("PublicAccessBlockConfiguration", {})
    cors = _bucket_setting(name, "get_bucket_cors").get("CORSRules", [])
    actual["CorsConfiguration"] = {"CorsRules": [_cors_rule(rule) for rule in cors]}
    lifecycle = _bucket_setting(name, "get_bucket_lifecycle_configuration")
    actual["LifecycleConfiguration"] = {"Rules": [_lifecycle_rule(rule) for rule in lifecycle.get("Rules", [])]}
    return actual


def _cors_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """The rule with CloudFormation's names, two of which differ."""
    property_names = {"ExposeHeaders": "ExposedHeaders", "MaxAgeSeconds": "MaxAge"}
    return {property_names.get(name, name): value for name, value in rule.items()}


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    rule = {**rule, "Id": rule.get("ID")}
    if "Days" in rule.get("Expiration", {}):
        rule["ExpirationInDays"] = rule["Expiration"]["Days"]
    return rule


def _bucket_setting(name: str, operation: str) -> dict[str, Any]:
    try:
        return getattr(client("s3"), operation)(Bucket=name)
    except ClientError as error:
        # Each setting has another error code for its absence.
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return {}
        raise


def http_api(deployed: Deployed, logical_id: str) -> dict[str, Any]:
    return client("apigatewayv2").get_api(ApiId=deployed.ids[logical_id])


def _of_api(collection: str, key: str):
    """A reader for a part of an API, which it finds by id in the list of those parts."""

    def read(deployed: Deployed, logical_id: str) -> dict[str, Any]:
        api = deployed.properties(logical_id)["ApiId"]
        wanted = deployed.ids[logical_id].rsplit("/", 1)[-1]
        items = getattr(client("apigatewayv2"), collection)(ApiId=api)["Items"]
        return next(({**item, "ApiId": api} for item in items if item[key] == wanted), {})

    return read


def alarm(deployed: Deployed, logical_id: str) -> dict[str, Any]:
    found = client("cloudwatch").describe_alarms(AlarmNames=[deployed.ids[logical_id]])["MetricAlarms"]
    # CloudWatch stores a threshold as a floating-point number, and the template may have an integer.
    return {**found[0], "Threshold": f"{found[0]['Threshold']}".removesuffix(".0")} if found else {}


def absent(error: ClientError, code: str) -> dict[str, Any]:
    if error.response["Error"]["Code"] == code:
        return {}
    raise error


READERS = {
    "AWS::ApiGatewayV2::Api": http_api,
    "AWS::ApiGatewayV2::Integration": _of_api("get_integrations", "IntegrationId"),
    "AWS::ApiGatewayV2::Route": _of_api("get_routes", "RouteId"),
    "AWS::ApiGatewayV2::Stage": _of_api("get_stages", "StageName"),
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::DynamoDB::Table": table,
    "AWS::Lambda::EventSourceMapping": mapping,
    "AWS::Lambda::Permission": permission,
    "AWS::Lambda::Url": function_url,
    "AWS::S3::Bucket": bucket,
    "AWS::SQS::Queue": queue,
    "AWS::Serverless::Function": function,
}

# Types that have no behaviour of their own, and are not read. Their effect is tested where a function runs: a missing
# permission of a role fails in tests/auth, for example.
UNREAD = {
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
}
