"""verify.py names each difference from the template: each test changes one setting without CloudFormation."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import pytest

from localstack import post_deploy, verify
from localstack.cloud import client
from localstack.deployed import Deployed
from localstack.tests.conftest import ROOT, deploy


def only_difference(running: Deployed, resource: str, prop: str) -> verify.Difference:
    """The single difference, which must be this one."""
    found = verify.differences(running)
    assert [(one.resource, one.property) for one in found] == [(resource, prop)], "\n".join(map(str, found))
    return found[0]


@contextlib.contextmanager
def queue_attribute(running: Deployed, queue: str, name: str, value: str):
    url = running.ids[queue]
    before = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"].get(name, "")
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={name: value})
    try:
        yield
    finally:
        client("sqs").set_queue_attributes(QueueUrl=url, Attributes={name: before})


@contextlib.contextmanager
def function_setting(running: Deployed, function: str, **changed):
    name = running.ids[function]
    before = client("lambda").get_function_configuration(FunctionName=name)
    client("lambda").update_function_configuration(FunctionName=name, **changed)
    try:
        yield
    finally:
        client("lambda").update_function_configuration(FunctionName=name, **{key: before[key] for key in changed})


@contextlib.contextmanager
def mapping_setting(running: Deployed, function: str, queue: str | None = None, **changed):
    source = {"EventSourceArn": running.attribute(queue, "Arn")} if queue else {}
    mappings = client("lambda").list_event_source_mappings(FunctionName=running.ids[function], **source)
    (mapping,) = mappings["EventSourceMappings"]
    client("lambda").update_event_source_mapping(UUID=mapping["UUID"], **changed)
    try:
        yield
    finally:
        before = {key: mapping.get(key, key == "Enabled") for key in changed}
        client("lambda").update_event_source_mapping(UUID=mapping["UUID"], **before)


def test_nothing_differs_after_a_deployment(running):
    assert verify.differences(running) == []


def test_the_stacks_own_parameters_are_the_default(running):
    assert verify.differences(Deployed(running.template, running.name)) == []


def test_a_parameter_with_another_value_is_named(running):
    other = Deployed(running.template, running.name, {"TokenSha256": "a" * 64, "MaxAttempts": "9"})
    found = {(one.resource, one.property, one.expected, one.actual) for one in verify.differences(other)}
    assert ("Parameters", "MaxAttempts", "9", "3") in found
    assert ("TextWorkerFunction", "Environment.Variables.MAX_ATTEMPTS", "9", "3") in found


@pytest.mark.parametrize(
    ("queue", "name", "value", "prop"),
    [
        ("TextQueue", "MessageRetentionPeriod", "60", "MessageRetentionPeriod"),
        ("ImageQueue", "ReceiveMessageWaitTimeSeconds", "0", "ReceiveMessageWaitTimeSeconds"),
        ("AudioLowQueue", "MessageRetentionPeriod", "60", "MessageRetentionPeriod"),
        ("DeadLetterQueue", "SqsManagedSseEnabled", "false", "SqsManagedSseEnabled"),
        ("TextQueue", "VisibilityTimeout", "30", "VisibilityTimeout"),
    ],
)
def test_a_queue_attribute_is_named(running, queue, name, value, prop):
    with queue_attribute(running, queue, name, value):
        assert only_difference(running, queue, prop).actual == value


def test_a_lost_redrive_policy_is_named(running):
    with queue_attribute(running, "ImageQueue", "RedrivePolicy", ""):
        assert only_difference(running, "ImageQueue", "RedrivePolicy").actual == verify.ABSENT


def test_another_receive_count_is_named(running):
    policy = {"deadLetterTargetArn": running.attribute("DeadLetterQueue", "Arn"), "maxReceiveCount": 5}
    with queue_attribute(running, "TextQueue", "RedrivePolicy", json.dumps(policy)):
        found = only_difference(running, "TextQueue", "RedrivePolicy.maxReceiveCount")
        assert (found.expected, found.actual) == ("3", "5")


@pytest.mark.parametrize(
    ("changed", "prop"),
    [
        ({"Timeout": 3}, "Timeout"),
        ({"MemorySize": 128}, "MemorySize"),
        ({"Role": "arn:aws:iam::000000000000:role/another"}, "Role"),
        ({"Handler": "main"}, "Handler"),
    ],
)
def test_a_function_setting_is_named(running, changed, prop):
    with function_setting(running, "TextWorkerFunction", **changed):
        only_difference(running, "TextWorkerFunction", prop)


def test_a_changed_variable_is_named(running):
    before = client("lambda").get_function_configuration(FunctionName=running.ids["ApiFunction"])["Environment"]
    variables = {**before["Variables"], "RETENTION_DAYS": "1"}
    with function_setting(running, "ApiFunction", Environment={"Variables": variables}):
        assert only_difference(running, "ApiFunction", "Environment.Variables.RETENTION_DAYS").actual == "1"


@pytest.mark.parametrize(
    ("changed", "prop"),
    [
        ({"BatchSize": 1}, "Events[0].BatchSize"),
        ({"ScalingConfig": {"MaximumConcurrency": 5}}, "Events[0].ScalingConfig.MaximumConcurrency"),
        ({"FunctionResponseTypes": []}, "Events[0].FunctionResponseTypes"),
        ({"Enabled": False}, "Events[0].Enabled"),
    ],
)
def test_an_event_source_setting_is_named(running, changed, prop):
    with mapping_setting(running, "ImageWorkerFunction", "ImageQueue", **changed):
        only_difference(running, "ImageWorkerFunction", prop)


def test_a_setting_of_a_lanes_event_source_is_named(running):
    with mapping_setting(running, "ImageWorkerFunction", "ImageLargeQueue", BatchSize=10):
        assert only_difference(running, "ImageLargeMessages", "BatchSize").actual == "10"


def test_a_missing_alias_is_named(running):
    alias = {"FunctionName": running.ids["ApiFunction"], "Name": "live"}
    version = client("lambda").get_alias(**alias)["FunctionVersion"]
    client("lambda").delete_alias(**alias)
    try:
        only_difference(running, "ApiFunction", "AutoPublishAlias")
    finally:
        client("lambda").create_alias(**alias, FunctionVersion=version)


def test_lanes_that_are_off_are_not_deployed(endpoint, artifacts):
    plain = deploy("plain", artifacts, LargeLanes="off", PriorityLanes="off")
    post_deploy.apply(plain)
    assert verify.differences(plain) == []
    assert not [name for name in plain.ids if name.endswith(("LargeQueue", "HighQueue", "LowQueue"))]
    variables = plain.properties("ApiFunction")["Environment"]["Variables"]
    lanes = {variables[f"TEXT_{lane}QUEUE_URL"] for lane in ("", "LARGE_", "HIGH_", "LOW_")}
    assert lanes == {plain.ids["TextQueue"]}


@pytest.mark.parametrize(
    ("changed", "prop"),
    [
        ({"BisectBatchOnFunctionError": False}, "Events[0].BisectBatchOnFunctionError"),
        ({"MaximumRecordAgeInSeconds": 60}, "Events[0].MaximumRecordAgeInSeconds"),
        ({"MaximumRetryAttempts": 1}, "Events[0].MaximumRetryAttempts"),
        ({"DestinationConfig": {}}, "Events[0].DestinationConfig.OnFailure"),
    ],
)
def test_a_stream_setting_is_named(running, changed, prop):
    with mapping_setting(running, "ReactorFunction", **changed):
        only_difference(running, "ReactorFunction", prop)


def test_a_schedule_that_is_off_is_named(running):
    arn = running.attribute("JanitorFunction", "Arn")
    (rule,) = client("events").list_rule_names_by_target(TargetArn=arn)["RuleNames"]
    client("events").disable_rule(Name=rule)
    try:
        found = [one for one in verify.differences(running) if one.resource == "JanitorFunction"]
    finally:
        client("events").enable_rule(Name=rule)
    assert [one.property for one in found] == ["Events[0].Enabled"], found


def test_a_lost_schedule_is_named(running):
    arn = running.attribute("JanitorFunction", "Arn")
    (rule,) = client("events").list_rule_names_by_target(TargetArn=arn)["RuleNames"]
    targets = client("events").list_targets_by_rule(Rule=rule)["Targets"]
    client("events").remove_targets(Rule=rule, Ids=[target["Id"] for target in targets])
    try:
        found = [one.property for one in verify.differences(running) if one.resource == "JanitorFunction"]
    finally:
        client("events").put_targets(Rule=rule, Targets=targets)
    assert found == ["Events"]


def test_reserved_concurrency_that_the_template_lacks_is_named(running):
    name = running.ids["ImageWorkerFunction"]
    client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    try:
        found = only_difference(running, "ImageWorkerFunction", "ReservedConcurrentExecutions")
        assert (found.expected, found.actual) == (verify.ABSENT, "1")
    finally:
        client("lambda").delete_function_concurrency(FunctionName=name)


def test_a_second_route_is_named(running):
    api = running.ids["HttpApi"]
    route = client("apigatewayv2").create_route(ApiId=api, RouteKey="GET /admin")["RouteId"]
    try:
        assert "GET /admin" in only_difference(running, "HttpApi", "Routes").actual
    finally:
        client("apigatewayv2").delete_route(ApiId=api, RouteId=route)


def test_a_bucket_made_public_is_named(running):
    bucket = running.ids["PayloadBucket"]
    blocked = client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    client("s3").put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={**blocked, "BlockPublicPolicy": False}
    )
    try:
        only_difference(running, "PayloadBucket", "PublicAccessBlockConfiguration.BlockPublicPolicy")
    finally:
        client("s3").put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=blocked)


def test_the_running_code_is_compared(running):
    found = verify.differences(running, {"ApiFunction": "another"})
    assert [(one.resource, one.property, one.expected) for one in found] == [("ApiFunction", "CodeSha256", "another")]


def test_a_visibility_timeout_that_is_not_six_times_the_workers_is_named(endpoint, artifacts):
    short = deploy("short", artifacts, WorkerTimeoutSeconds="10", VisibilityTimeoutSeconds="30")
    found = [one for one in verify.differences(short) if one.property == "VisibilityTimeout"]
    kinds = ("", "High", "Large", "Low")
    lanes = [f"{worker}{kind}Queue" for worker in ("Image", "Language", "Text") for kind in kinds]
    assert sorted(one.resource for one in found) == sorted(lanes)
    assert found[0].expected.startswith("60 (6 times the 10 s")


def test_an_unknown_property_is_a_difference(running):
    running.template["Resources"]["TextQueue"]["Properties"]["FifoThroughputLimit"] = "perQueue"
    try:
        assert only_difference(running, "TextQueue", "FifoThroughputLimit").actual == verify.ABSENT
    finally:
        del running.template["Resources"]["TextQueue"]["Properties"]["FifoThroughputLimit"]


def test_an_unknown_type_is_a_difference(running, monkeypatch):
    monkeypatch.setattr(verify, "UNREAD", verify.UNREAD - {"AWS::S3::BucketPolicy"})
    assert only_difference(running, "PayloadBucketPolicy", "Type").actual == "AWS::S3::BucketPolicy"


def test_the_command_fails_and_prints_the_differences(running):
    command = [sys.executable, "-m", "localstack.verify", "--stack", running.name]
    right = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert right.returncode == 0, right.stderr
    with queue_attribute(running, "TextQueue", "MessageRetentionPeriod", "60"):
        wrong = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "error: TextQueue.MessageRetentionPeriod: expected 345600, found 60" in wrong.stderr
