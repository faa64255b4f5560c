"""What docs/DEPLOY.md says and infra/ holds for a deployment to AWS is what the template asks for."""

from __future__ import annotations

import copy
import fnmatch
import json
import re
from typing import Any

import pytest
import yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from localstack import arguments, template
from localstack.tests.conftest import ROOT, TOKEN_SHA256

INFRA = arguments.TEMPLATE.parent

# What CloudFormation calls, with the deployer's permissions, to make, change and remove a resource of each type.
NEEDED = {
    "AWS::ApiGatewayV2::Api": "apigateway:POST apigateway:GET apigateway:PATCH apigateway:DELETE",
    "AWS::ApiGatewayV2::Integration": "apigateway:POST apigateway:GET apigateway:PATCH apigateway:DELETE",
    "AWS::ApiGatewayV2::Route": "apigateway:POST apigateway:GET apigateway:PATCH apigateway:DELETE",
    "AWS::ApiGatewayV2::Stage": "apigateway:POST apigateway:GET apigateway:PATCH apigateway:DELETE",
    "AWS::CloudWatch::Alarm": "cloudwatch:PutMetricAlarm cloudwatch:DescribeAlarms cloudwatch:DeleteAlarms",
    "AWS::CloudWatch::Dashboard": "cloudwatch:PutDashboard cloudwatch:GetDashboard cloudwatch:DeleteDashboards",
    "AWS::CodeDeploy::Application": (
        "codedeploy:CreateApplication codedeploy:GetApplication codedeploy:DeleteApplication"
    ),
    "AWS::CodeDeploy::DeploymentGroup": (
        "codedeploy:CreateDeploymentGroup codedeploy:UpdateDeploymentGroup codedeploy:GetDeploymentGroup"
        " codedeploy:DeleteDeploymentGroup iam:PassRole"
    ),
    "AWS::DynamoDB::Table": (
        "dynamodb:CreateTable dynamodb:UpdateTable dynamodb:DescribeTable dynamodb:DeleteTable"
        " dynamodb:UpdateTimeToLive dynamodb:UpdateContinuousBackups"
    ),
    "AWS::Events::Rule": (
        "events:PutRule events:DescribeRule events:PutTargets events:RemoveTargets events:DeleteRule"
    ),
    "AWS::IAM::Role": (
        "iam:CreateRole iam:GetRole iam:UpdateRoleDescription iam:PutRolePolicy iam:DeleteRolePolicy iam:DeleteRole"
        " iam:AttachRolePolicy iam:DetachRolePolicy"
    ),
    "AWS::Lambda::Alias": (
        "lambda:CreateAlias lambda:GetAlias lambda:UpdateAlias lambda:DeleteAlias codedeploy:CreateDeployment"
        " codedeploy:GetDeployment codedeploy:GetDeploymentConfig codedeploy:RegisterApplicationRevision"
    ),
    "AWS::Lambda::EventSourceMapping": (
        "lambda:CreateEventSourceMapping lambda:GetEventSourceMapping lambda:UpdateEventSourceMapping"
        " lambda:DeleteEventSourceMapping"
    ),
    "AWS::Lambda::Function": (
        "lambda:CreateFunction lambda:GetFunction lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration"
        " lambda:PutFunctionConcurrency lambda:DeleteFunctionConcurrency lambda:DeleteFunction iam:PassRole"
        " s3:GetObject"
    ),
    "AWS::Lambda::Permission": "lambda:AddPermission lambda:GetPolicy lambda:RemovePermission",
    "AWS::Lambda::Url": (
        "lambda:CreateFunctionUrlConfig lambda:GetFunctionUrlConfig lambda:UpdateFunctionUrlConfig"
        " lambda:DeleteFunctionUrlConfig"
    ),
    "AWS::Lambda::Version": "lambda:PublishVersion lambda:ListVersionsByFunction",
    "AWS::Logs::LogGroup": (
        "logs:CreateLogGroup logs:DescribeLogGroups logs:PutRetentionPolicy logs:DeleteLogGroup"
    ),
    "AWS::S3::Bucket": (
        "s3:CreateBucket s3:PutEncryptionConfiguration s3:PutBucketOwnershipControls s3:PutBucketCORS"
        " s3:PutBucketPublicAccessBlock s3:PutLifecycleConfiguration s3:DeleteBucket"
    ),
    "AWS::S3::BucketPolicy": "s3:PutBucketPolicy s3:GetBucketPolicy s3:DeleteBucketPolicy",
    "AWS::SNS::Subscription": "sns:Subscribe sns:GetSubscriptionAttributes sns:Unsubscribe",
    "AWS::SNS::Topic": "sns:CreateTopic sns:GetTopicAttributes sns:SetTopicAttributes sns:DeleteTopic",
    "AWS::SQS::Queue": "sqs:CreateQueue sqs:GetQueueAttributes sqs:SetQueueAttributes sqs:DeleteQueue",
}


def transformed(monkeypatch: pytest.MonkeyPatch, **given: str) -> dict[str, Any]:
    """The template as CloudFormation gets it: after SAM's transform."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    read = copy.deepcopy(template.load(arguments.TEMPLATE))
    for name in template.functions(read):
        read["Resources"][name]["Properties"]["CodeUri"] = "s3://bucket/key"
    values = template.parameter_values(read, {"TokenSha256": TOKEN_SHA256, **given})
    return Translator({}, Parser()).translate(read, values)


def types(read: dict[str, Any]) -> set[str]:
    return {resource["Type"] for resource in read["Resources"].values()}


def api_version(read: dict[str, Any]) -> str:
    (name,) = (name for name, one in read["Resources"].items() if one["Type"] == "AWS::Lambda::Version")
    return name


def test_every_parameter_is_explained_and_no_other():
    text = (ROOT / "docs/DEPLOY.md").read_text(encoding="utf-8")
    section = text.split("\n## Parameters\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", section, re.MULTILINE)
    declared = template.load(arguments.TEMPLATE)["Parameters"]
    assert sorted(name for name, _ in rows) == sorted(declared)
    for name, said in rows:
        default = declared[name].get("Default", "none: required")
        assert said.strip("`") == (str(default) or "empty"), f"docs/DEPLOY.md gives {name} another default"


def test_the_deployer_may_do_what_the_templates_need_and_calls_no_other_service(monkeypatch):
    policy = json.loads((INFRA / "deployer-policy.json").read_text())
    allowed = [
        action
        for statement in policy["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]
    made = types(transformed(monkeypatch, Deployment="Canary10Percent5Minutes", Release="a1"))
    made |= types(template.load(arguments.OBSERVABILITY))
    assert sorted(made) == sorted(NEEDED), "say in NEEDED what the deployer must be allowed for a new type"
    for kind in made:
        missing = [need for need in NEEDED[kind].split() if not any(fnmatch.fnmatch(need, one) for one in allowed)]
        assert missing == [], f"{kind} needs them in infra/deployer-policy.json"
    services = {need.split(":")[0] for needs in NEEDED.values() for need in needs.split()}
    assert {action.split(":")[0] for action in allowed} == services | {"cloudformation"}
    # IAM takes no managed policy that is longer, white space aside.
    assert len(json.dumps(policy, separators=(",", ":"))) <= 6144


@pytest.mark.parametrize("stage", ["new-account", "staging", "production"])
def test_the_values_of_a_stage_are_ones_that_the_template_takes(stage):
    values = yaml.safe_load((INFRA / f"{stage}.yaml").read_text())
    declared = template.load(arguments.TEMPLATE)["Parameters"]
    for name, value in values.items():
        assert type(value) in (str, int), f"quote {name}: YAML takes it for a boolean"
        rule = declared[name]
        assert value in rule.get("AllowedValues", [value])
        assert rule.get("MinValue", value) <= value <= rule.get("MaxValue", value)
        assert re.search(rule.get("AllowedPattern", ""), str(value))
    concurrency = [f"{worker}Concurrency" for worker in ("Text", "Image", "Audio", "Language")]
    if stage == "new-account":
        # Ten at once is all that such an account has, and none of it can be reserved.
        assert sum(values[name] for name in concurrency) < 10
        assert all(values[name] == "off" for name in ("LargeLanes", "PriorityLanes", "EventStream"))
        assert not {"ReservedConcurrency", "EventStreamConcurrency"} & set(values)


def test_stages_are_stacks_of_their_own_and_name_no_account():
    text = (ROOT / "samconfig.toml").read_text()
    names = re.findall(r'^stack_name = "(.+)"$', text, re.MULTILINE)
    assert names == ["ai-mesh", "ai-mesh-staging", "ai-mesh-production"]
    for stage in ("default", "staging", "production"):
        section = text.split(f"[{stage}.deploy.parameters]\n", 1)[1].split("\n[", 1)[0]
        assert "resolve_s3 = true" in section and 'capabilities = "CAPABILITY_IAM"' in section
    for word in ("region", "s3_bucket", "profile", "role_arn"):
        assert not re.search(rf"^{word}\b", text, re.MULTILINE)


def test_all_at_once_needs_no_codedeploy_and_calls_the_function_itself(monkeypatch):
    read = transformed(monkeypatch)
    assert not [kind for kind in types(read) if "CodeDeploy" in kind]
    assert "UpdatePolicy" not in read["Resources"]["ApiFunctionAliaslive"]
    calls = read["Resources"]["ApiIntegration"]["Properties"]["IntegrationUri"]["Fn::If"]
    assert calls == ["IsGradual", {"Ref": "ApiFunctionAliaslive"}, {"Fn::GetAtt": ["ApiFunction", "Arn"]}]


def test_a_gradual_deployment_moves_the_alias_and_goes_back_on_the_alarm(monkeypatch):
    read = transformed(monkeypatch, Deployment="Canary10Percent5Minutes", Release="a1", RollbackAlarm="fives")
    moved = read["Resources"]["ApiFunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    group = read["Resources"][moved["DeploymentGroupName"]["Ref"]]["Properties"]
    assert "Canary10Percent5Minutes" in json.dumps(group["DeploymentConfigName"])
    assert group["AutoRollbackConfiguration"]["Enabled"] is True
    condition, with_alarm, without = group["AlarmConfiguration"]["Fn::If"]
    assert condition == "HasRollbackAlarm" and without == {}
    assert with_alarm == {"Enabled": True, "Alarms": [{"Name": {"Ref": "RollbackAlarm"}}]}


def test_a_version_is_published_for_each_release_and_only_then(monkeypatch):
    """SAM's own rule would pass over new values of parameters, and the alias go on with the old ones."""
    gradual = {"Deployment": "Linear10PercentEvery1Minute"}
    first = api_version(transformed(monkeypatch, Release="a1", **gradual))
    assert api_version(transformed(monkeypatch, Release="a1", LogLevel="debug", **gradual)) == first
    assert api_version(transformed(monkeypatch, Release="b2", **gradual)) != first


def test_a_gradual_deployment_without_a_name_is_refused():
    (rule,) = template.load(arguments.TEMPLATE)["Rules"].values()
    default = template.load(arguments.TEMPLATE)["Parameters"]["Release"]["Default"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Deployment"}, "AllAtOnce"]}]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Release"}, default]}]}
