"""The post-deploy steps set what the local cloud drops, with the template's own values, and it drops nothing else."""

from __future__ import annotations

import time

import pytest

from localstack import post_deploy, verify
from localstack.cloud import Failure, client
from localstack.tests.conftest import deploy

# When a new version of the local cloud sets one of these, delete its post-deploy step.
DROPPED = {
    ("AudioWorkerFunction", "ReservedConcurrentExecutions"),
    ("ImageWorkerFunction", "ReservedConcurrentExecutions"),
    ("LanguageWorkerFunction", "ReservedConcurrentExecutions"),
    ("PayloadBucket", "LifecycleConfiguration.Rules"),
    ("StatsTable", "TimeToLiveSpecification.AttributeName"),
    ("StatsTable", "TimeToLiveSpecification.Enabled"),
    ("TasksTable", "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled"),
    ("TasksTable", "TimeToLiveSpecification.AttributeName"),
    ("TasksTable", "TimeToLiveSpecification.Enabled"),
    ("TextWorkerFunction", "ReservedConcurrentExecutions"),
}


@pytest.fixture(scope="module")
def bare(endpoint, artifacts):
    """A stack that uses every dropped property, as CloudFormation leaves it."""
    return deploy(
        "bare",
        artifacts,
        ReservedConcurrency="20",
        TextConcurrency="3",
        RetentionDays="7",
        WebOrigin="https://app.example.com",
    )


def test_dropped_properties_are_found_and_set(bare):
    assert {(one.resource, one.property) for one in verify.differences(bare)} == DROPPED
    post_deploy.apply(bare)
    assert verify.differences(bare) == []

    reserved = client("lambda").get_function_concurrency(FunctionName=bare.ids["TextWorkerFunction"])
    assert reserved["ReservedConcurrentExecutions"] == 20
    (cors,) = client("s3").get_bucket_cors(Bucket=bare.ids["PayloadBucket"])["CORSRules"]
    # The first is the API's origin, for the dashboard.
    api_origin, given = cors["AllowedOrigins"]
    assert ".execute-api." in api_origin and given == "https://app.example.com"
    assert cors["AllowedMethods"] == ["PUT", "GET"]
    rules = client("s3").get_bucket_lifecycle_configuration(Bucket=bare.ids["PayloadBucket"])["Rules"]
    assert {rule["ID"]: rule.get("Expiration", {}).get("Days") for rule in rules} == {
        "expire-with-the-task": 7,
        "abort-unfinished-uploads": None,
    }


def test_a_message_reaches_its_worker_and_leaves_the_queue(running):
    """Correct settings do not prove that the queue is polled: the poller once failed on the type of a limit."""
    for queue in ("TextQueue", "ImageQueue", "AudioQueue", "LanguageQueue", "TextLargeQueue", "ImageHighQueue"):
        url = running.ids[queue]
        client("sqs").send_message(QueueUrl=url, MessageBody="{}")
        deadline = time.monotonic() + 15
        while (remaining := messages_of(url)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert remaining == 0, f"{queue} is not polled"


def messages_of(url: str) -> int:
    """The number of a queue's messages, with those that are received and not yet deleted."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(map(int, client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


def test_a_second_run_changes_nothing(bare):
    post_deploy.apply(bare)
    post_deploy.apply(bare)
    assert verify.differences(bare) == []


def test_reserved_concurrency_is_removed_when_it_is_turned_off(bare, artifacts):
    post_deploy.apply(bare)
    off = deploy("bare", artifacts, ReservedConcurrency="0")
    post_deploy.apply(off)
    assert verify.differences(off) == []


def test_only_a_cloud_on_this_machine_is_changed(running, monkeypatch):
    for endpoint in ("", "https://dynamodb.us-east-1.amazonaws.com", "http://10.0.0.1:4566"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(Failure, match="must name a local cloud"):
            post_deploy.apply(running)
