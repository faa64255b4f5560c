"""The template's functions are evaluated, and a failed deployment reports its cause."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from localstack import arguments, package, stack, template
from localstack.cloud import Failure
from localstack.tests.conftest import ROOT, TOKEN_SHA256


def resolver(**parameters: str) -> template.Resolver:
    read = {"Resources": {}, "Conditions": {"On": {"Fn::Equals": [{"Ref": "Switch"}, "on"]}}}
    return template.Resolver(
        read, parameters, lambda name: f"<{name}>", lambda name, part: f"<{name}:{part}>", lambda name: f"<of {name}>"
    )


def test_references_attributes_and_substitutions_are_inserted():
    value = resolver(Size="3").value(
        {
            "Size": {"Ref": "Size"},
            "Arn": {"Fn::GetAtt": ["Queue", "Arn"]},
            "Text": {"Fn::Sub": "${Bucket.Arn}/${Size}/${AWS::Region}/${!Left}"},
        }
    )
    assert value == {"Size": "3", "Arn": "<Queue:Arn>", "Text": "<Bucket:Arn>/3/<AWS::Region>/${Left}"}


def test_exports_of_another_stack_are_inserted():
    exported = {"Fn::ImportValue": {"Fn::Sub": "${Stack}-Queue"}}
    resolve = resolver(Stack="main").value
    assert resolve(exported) == "<of main-Queue>"
    assert resolve({"Fn::Sub": ["${Queue} of ${Stack}, ${!Queue}", {"Queue": exported}]}) == (
        "<of main-Queue> of main, ${Queue}"
    )


def test_a_property_that_a_condition_omits_is_absent():
    properties = {"Reserved": {"Fn::If": ["On", 8, {"Ref": "AWS::NoValue"}]}}
    assert resolver(Switch="on").value(properties) == {"Reserved": 8}
    assert resolver(Switch="off").value(properties) == {}


def test_a_mapping_is_looked_up_by_a_parameter():
    sizes = {"Sizes": {"small": {"Memory": "128"}, "large": {"Memory": "256"}}}
    by_size = {"Fn::FindInMap": ["Sizes", {"Ref": "Size"}, "Memory"]}
    for size, memory in (("small", "128"), ("large", "256")):
        read = {"Mappings": sizes, "Resources": {}}
        resolve = template.Resolver(read, {"Size": size}, str, lambda name, part: name, exported=str)
        assert resolve.value(by_size) == memory


def test_an_unknown_function_is_refused():
    with pytest.raises(Failure, match="does not know Fn::Select"):
        resolver().value({"Fn::Select": [0, ["a"]]})


def test_missing_and_unknown_parameters_are_named():
    read = template.load(arguments.TEMPLATE)
    with pytest.raises(Failure, match="needs a value for TokenSha256"):
        template.parameter_values(read, {})
    with pytest.raises(Failure, match="has no parameter Colour"):
        template.parameter_values(read, {"TokenSha256": TOKEN_SHA256, "Colour": "blue"})


def test_the_template_names_no_account_region_or_endpoint():
    text = arguments.TEMPLATE.read_text()
    for word in ("us-east-1", "000000000000", "127.0.0.1", "localhost", "4566", "amazonaws.com/"):
        assert word not in text


def test_the_default_visibility_timeout_is_six_times_the_workers():
    defaults = {name: one.get("Default") for name, one in template.load(arguments.TEMPLATE)["Parameters"].items()}
    assert defaults["VisibilityTimeoutSeconds"] == 6 * defaults["WorkerTimeoutSeconds"]


def leaves(node: object) -> Iterator[object]:
    """The values of a property, in all branches of its !If."""
    if isinstance(node, dict):
        for value in node.values():
            yield from leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value)
    else:
        yield node


def test_environment_variables_are_strings():
    """CloudFormation converts a number to a string. The local cloud does not, and the function cannot start."""
    resources = template.load(arguments.TEMPLATE)["Resources"]
    for name in template.functions({"Resources": resources}):
        for variable, value in resources[name]["Properties"]["Environment"]["Variables"].items():
            assert all(isinstance(leaf, str) for leaf in leaves(value)), f"{name}: {variable}"


@pytest.mark.parametrize("off", ["LargeLanes", "PriorityLanes"])
def test_only_small_files_are_batched(off):
    """A large file, or one of any size with a priority, uses the small queue where its own lane is off."""
    read = template.load(arguments.TEMPLATE)
    for switch, size in (("on", 10), ("off", 1)):
        values = template.parameter_values(read, {"TokenSha256": TOKEN_SHA256, off: switch})
        resolve = template.Resolver(read, values, str, lambda name, part: name, exported=str)
        image = resolve.properties("ImageWorkerFunction")["Events"]["Messages"]["Properties"]
        assert image["BatchSize"] == size
        audio = resolve.properties("AudioWorkerFunction")["Events"]["Messages"]["Properties"]
        assert audio["BatchSize"] == 1


DATA = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue")


def test_resources_with_data_have_deletion_policies():
    resources = template.load(arguments.TEMPLATE)["Resources"]
    holders = {name: resource for name, resource in resources.items() if resource["Type"] in DATA}
    assert {resource["Type"] for resource in holders.values()} == set(DATA)
    silent = [name for name, one in holders.items() if not {"DeletionPolicy", "UpdateReplacePolicy"} <= set(one)]
    assert silent == [], "CloudFormation would delete their data silently"
    # Data that cannot be rebuilt outlives the stack.
    for name in ("TasksTable", "PayloadBucket"):
        policies = (holders[name]["DeletionPolicy"], holders[name]["UpdateReplacePolicy"])
        assert policies == ("RetainExceptOnCreate", "Retain")


def address(body: dict) -> str:
    package.ensure_bucket("templates")
    return package.upload_template(json.dumps(body), "templates")


def test_a_failed_deployment_names_the_resource_and_the_cause(endpoint):
    body = {
        "Resources": {
            "Broken": {
                "Type": "AWS::SQS::Queue",
                "Properties": {"RedrivePolicy": {"deadLetterTargetArn": "no-arn", "maxReceiveCount": 0}},
            }
        }
    }
    with pytest.raises(Failure, match=r"(?s)ended as ROLLBACK_COMPLETE.*Broken \(AWS::SQS::Queue\): CREATE_FAILED \S"):
        stack.deploy("broken", address(body), {})
    # It was never created completely, so the next deployment creates it.
    del body["Resources"]["Broken"]["Properties"]
    assert stack.deploy("broken", address(body), {}) == "created"


@pytest.mark.parametrize(
    ("endpoint_url", "message"),
    [("https://sqs.us-east-1.amazonaws.com", "must name a local cloud"), ("http://127.0.0.1:9", "did not answer")],
)
def test_deploy_reports_errors_without_a_traceback(artifacts, endpoint_url, message):
    environment = {**os.environ, "AWS_ENDPOINT_URL": endpoint_url, "AWS_ACCESS_KEY_ID": "test"}
    environment |= {"AWS_SECRET_ACCESS_KEY": "test"}
    command = [sys.executable, "-m", "localstack.deploy", "--artifacts", str(artifacts)]
    command += ["--parameter", f"TokenSha256={TOKEN_SHA256}"]
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ") and message in refused.stderr and "Traceback" not in refused.stderr


def test_a_second_deployment_changes_nothing_and_prints_the_address(endpoint, artifacts):
    command = [sys.executable, "-m", "localstack.deploy", "--stack", "twice", "--artifacts", str(artifacts)]
    command += ["--parameter", f"TokenSha256={TOKEN_SHA256}"]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "created" in first.stderr and "8 of 8 functions uploaded" in first.stderr
    assert "unchanged" in again.stderr and "0 of 8 functions uploaded" in again.stderr
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert json.loads(again.stdout)["url"].startswith(f"{endpoint}/_aws/execute-api/")
