"""docs/DEPLOY.md and the files in infra/ for a deployment to AWS agree with the template."""

from __future__ import annotations

import fnmatch
import json
import re
from typing import Any

import pytest
import yaml

from localstack import arguments, template
from localstack.tests.conftest import ROOT, TOKEN_SHA256

INFRA = arguments.TEMPLATE.parent

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:ai-mesh-ApiFunction-1"
MAPPING = "arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:1b"
ROLE = "arn:aws:iam::123456789012:role/ai-mesh-ApiRole-1"
BUCKET = "arn:aws:s3:::ai-mesh-payloadbucket-1"
SAM_BUCKET = "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1"
API = "arn:aws:apigateway:eu-west-1::/apis/1b"
API_TAGS = "arn:aws:apigateway:eu-west-1::/tags/arn%3Aaws%3Aapigateway%3Aeu-west-1%3A%3A%2Fapis%2F1b"
APPLICATION = "arn:aws:codedeploy:eu-west-1:123456789012:application:ai-mesh-ServerlessDeploymentApplication-1"
GROUP = "arn:aws:codedeploy:eu-west-1:123456789012:deploymentgroup:ai-mesh-ServerlessDeploymentApplication-1/ai-mesh-1"
CANARY = "arn:aws:codedeploy:eu-west-1:123456789012:deploymentconfig:CodeDeployDefault.LambdaCanary10Percent5Minutes"
ALARM = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:ai-mesh-observability-DeadLetters-1"
DASHBOARD = "arn:aws:cloudwatch::123456789012:dashboard/ai-mesh-observability"
LOG_GROUP = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/ai-mesh/api"
API_LIST = "arn:aws:apigateway:eu-west-1::/apis"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ai-mesh-observability-Alarms-1"
ANY = "*"

# The calls that CloudFormation makes with the deployer's permissions to create, read, update and delete a resource of
# each type: those under `handlers` in the type's schema that our properties need. Where the schema has
# `cloudFormationSystemTags`, CloudFormation adds a tag with the stack's name, and fails without the permission.
NEEDED = {
    "AWS::ApiGatewayV2::Api": [
        (API_LIST, "apigateway:POST"),
        (API, "apigateway:GET apigateway:PATCH apigateway:PUT apigateway:DELETE apigateway:TagResource"),
        (API_TAGS, "apigateway:POST apigateway:PUT apigateway:GET apigateway:DELETE"),
    ],
    "AWS::ApiGatewayV2::Integration": [(f"{API}/integrations/2c", "apigateway:GET apigateway:PATCH apigateway:DELETE")],
    "AWS::ApiGatewayV2::Route": [(f"{API}/routes/2c", "apigateway:GET apigateway:PATCH apigateway:DELETE")],
    "AWS::ApiGatewayV2::Stage": [(f"{API}/stages", "apigateway:POST apigateway:GET apigateway:TagResource")],
    "AWS::CloudWatch::Alarm": [
        (ANY, "cloudwatch:DescribeAlarms"),
        (
            ALARM,
            "cloudwatch:PutMetricAlarm cloudwatch:DeleteAlarms cloudwatch:TagResource cloudwatch:UntagResource"
            " cloudwatch:ListTagsForResource",
        ),
    ],
    "AWS::CloudWatch::Dashboard": [
        (DASHBOARD, "cloudwatch:PutDashboard cloudwatch:GetDashboard cloudwatch:DeleteDashboards")
    ],
    "AWS::CodeDeploy::Application": [
        (
            APPLICATION,
            "codedeploy:CreateApplication codedeploy:GetApplication codedeploy:DeleteApplication"
            " codedeploy:ListTagsForResource codedeploy:TagResource",
        )
    ],
    "AWS::CodeDeploy::DeploymentGroup": [
        (
            GROUP,
            "codedeploy:CreateDeploymentGroup codedeploy:UpdateDeploymentGroup codedeploy:GetDeploymentGroup"
            " codedeploy:DeleteDeploymentGroup",
        ),
        (ROLE, "iam:PassRole"),
    ],
    "AWS::DynamoDB::Table": [
        (
            "arn:aws:dynamodb:eu-west-1:123456789012:table/ai-mesh-TasksTable-1",
            "dynamodb:CreateTable dynamodb:UpdateTable dynamodb:DescribeTable dynamodb:DeleteTable"
            " dynamodb:UpdateTimeToLive dynamodb:DescribeTimeToLive dynamodb:UpdateContinuousBackups"
            " dynamodb:DescribeContinuousBackups dynamodb:DescribeContributorInsights"
            " dynamodb:DescribeKinesisStreamingDestination dynamodb:GetResourcePolicy dynamodb:ListTagsOfResource"
            " dynamodb:TagResource dynamodb:UntagResource",
        )
    ],
    "AWS::Events::Rule": [
        (
            "arn:aws:events:eu-west-1:123456789012:rule/ai-mesh-JanitorFunctionSchedule-1",
            "events:PutRule events:DescribeRule events:PutTargets events:ListTargetsByRule events:RemoveTargets"
            " events:DeleteRule",
        )
    ],
    "AWS::IAM::Role": [
        (
            ROLE,
            "iam:CreateRole iam:GetRole iam:GetRolePolicy iam:ListRolePolicies iam:ListAttachedRolePolicies"
            " iam:UpdateRole iam:UpdateRoleDescription iam:UpdateAssumeRolePolicy iam:PutRolePolicy"
            " iam:DeleteRolePolicy iam:DeleteRole iam:AttachRolePolicy iam:DetachRolePolicy iam:TagRole iam:UntagRole",
        )
    ],
    "AWS::Lambda::Alias": [
        (
            FUNCTION,
            "lambda:CreateAlias lambda:GetAlias lambda:GetProvisionedConcurrencyConfig lambda:UpdateAlias"
            " lambda:DeleteAlias",
        ),
        (GROUP, "codedeploy:CreateDeployment codedeploy:GetDeployment"),
        (APPLICATION, "codedeploy:RegisterApplicationRevision codedeploy:GetApplicationRevision"),
        (CANARY, "codedeploy:GetDeploymentConfig"),
        # A cancelled update calls it. IAM has no resource type for it.
        (ANY, "codedeploy:StopDeployment"),
    ],
    "AWS::Lambda::EventSourceMapping": [
        (
            MAPPING,
            "lambda:CreateEventSourceMapping lambda:GetEventSourceMapping lambda:UpdateEventSourceMapping"
            " lambda:DeleteEventSourceMapping lambda:ListTags lambda:TagResource lambda:UntagResource",
        )
    ],
    "AWS::Lambda::Function": [
        (
            FUNCTION,
            "lambda:CreateFunction lambda:GetFunction lambda:GetFunctionCodeSigningConfig"
            " lambda:GetFunctionRecursionConfig lambda:GetRuntimeManagementConfig lambda:UpdateFunctionCode"
            " lambda:UpdateFunctionConfiguration lambda:PutFunctionConcurrency lambda:DeleteFunctionConcurrency"
            " lambda:DeleteFunction lambda:ListTags lambda:TagResource lambda:UntagResource",
        ),
        (ROLE, "iam:PassRole"),
        (f"{SAM_BUCKET}/ai-mesh/1b", "s3:GetObject"),
    ],
    "AWS::Lambda::Permission": [(FUNCTION, "lambda:AddPermission lambda:GetPolicy lambda:RemovePermission")],
    "AWS::Lambda::Url": [
        (
            FUNCTION,
            "lambda:CreateFunctionUrlConfig lambda:GetFunctionUrlConfig lambda:UpdateFunctionUrlConfig"
            " lambda:DeleteFunctionUrlConfig",
        )
    ],
    "AWS::Lambda::Version": [(FUNCTION, "lambda:PublishVersion lambda:ListVersionsByFunction")],
    "AWS::Logs::LogGroup": [
        (ANY, "logs:DescribeLogGroups logs:DescribeIndexPolicies"),
        (
            LOG_GROUP,
            "logs:CreateLogGroup logs:PutRetentionPolicy logs:DeleteRetentionPolicy logs:DeleteLogGroup"
            " logs:ListTagsForResource logs:TagResource logs:UntagResource logs:GetDataProtectionPolicy",
        ),
    ],
    "AWS::S3::Bucket": [
        (
            BUCKET,
            "s3:CreateBucket s3:PutEncryptionConfiguration s3:PutBucketOwnershipControls s3:PutBucketCORS"
            " s3:PutBucketPublicAccessBlock s3:PutLifecycleConfiguration s3:PutBucketTagging s3:GetBucketTagging"
            " s3:GetBucketVersioning s3:GetReplicationConfiguration s3:ListBucket s3:DeleteBucket",
        )
    ],
    "AWS::S3::BucketPolicy": [(BUCKET, "s3:PutBucketPolicy s3:GetBucketPolicy s3:DeleteBucketPolicy")],
    "AWS::SNS::Subscription": [
        (TOPIC, "sns:Subscribe sns:GetSubscriptionAttributes sns:SetSubscriptionAttributes sns:Unsubscribe")
    ],
    "AWS::SNS::Topic": [
        (
            TOPIC,
            "sns:CreateTopic sns:GetTopicAttributes sns:SetTopicAttributes sns:GetDataProtectionPolicy"
            " sns:ListSubscriptionsByTopic sns:ListTagsForResource sns:TagResource sns:UntagResource sns:DeleteTopic",
        )
    ],
    "AWS::SQS::Queue": [
        (
            "arn:aws:sqs:eu-west-1:123456789012:ai-mesh-TextQueue-1",
            "sqs:CreateQueue sqs:GetQueueUrl sqs:GetQueueAttributes sqs:SetQueueAttributes sqs:ListQueueTags"
            " sqs:TagQueue sqs:UntagQueue sqs:DeleteQueue",
        )
    ],
}

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/ai-mesh-staging/1b"

# The calls of `sam deploy`, `sam delete` and the commands of docs/DEPLOY.md, with those on SAM's bucket.
COMMANDS = [
    (
        STACK,
        "cloudformation:CreateChangeSet cloudformation:DescribeChangeSet cloudformation:ExecuteChangeSet"
        " cloudformation:DescribeStacks cloudformation:DescribeStackEvents cloudformation:GetTemplate"
        " cloudformation:GetTemplateSummary cloudformation:DeleteStack cloudformation:CancelUpdateStack"
        " cloudformation:ContinueUpdateRollback",
    ),
    (
        "arn:aws:cloudformation:eu-west-1:123456789012:stack/aws-sam-cli-managed-default/1b",
        "cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet cloudformation:DescribeStacks"
        " cloudformation:TagResource",
    ),
    ("arn:aws:cloudformation:eu-west-1:aws:transform/Serverless-2016-10-31", "cloudformation:CreateChangeSet"),
    (
        SAM_BUCKET,
        "s3:CreateBucket s3:ListBucket s3:PutBucketPublicAccessBlock s3:PutEncryptionConfiguration"
        " s3:PutBucketVersioning s3:PutBucketTagging s3:PutBucketPolicy",
    ),
    (f"{SAM_BUCKET}/ai-mesh/1b", "s3:PutObject s3:GetObject s3:DeleteObject"),
]

# Calls that read or change users' data, or resources outside the stack.
FORBIDDEN = [
    (
        "arn:aws:dynamodb:eu-west-1:123456789012:table/ai-mesh-TasksTable-1",
        "dynamodb:GetItem dynamodb:Query dynamodb:Scan dynamodb:PutItem dynamodb:ExportTableToPointInTime",
    ),
    (f"{BUCKET}/payloads/1b", "s3:GetObject s3:PutObject s3:DeleteObject"),
    ("arn:aws:sqs:eu-west-1:123456789012:ai-mesh-TextQueue-1", "sqs:ReceiveMessage sqs:SendMessage sqs:PurgeQueue"),
    (LOG_GROUP, "logs:GetLogEvents logs:FilterLogEvents logs:StartQuery"),
    (FUNCTION, "lambda:InvokeFunction"),
    (ANY, "secretsmanager:GetSecretValue iam:CreateUser"),
    ("arn:aws:iam::123456789012:role/admin", "iam:PassRole iam:PutRolePolicy"),
    ("arn:aws:lambda:eu-west-1:123456789012:function:another", "lambda:UpdateFunctionCode lambda:DeleteFunction"),
    ("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:another", "cloudwatch:DeleteAlarms cloudwatch:PutMetricAlarm"),
    ("arn:aws:s3:::another", "s3:DeleteBucket s3:PutBucketPolicy"),
    ("arn:aws:codedeploy:eu-west-1:123456789012:deploymentconfig:another", "codedeploy:DeleteDeploymentConfig"),
]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


class Policy:
    """What a policy allows. Conditions are ignored."""

    def __init__(self, text: str) -> None:
        self.document = json.loads(text)
        self.statements = self.document["Statement"]
        assert {statement["Effect"] for statement in self.statements} == {"Allow"}

    def allows(self, action: str, arn: str) -> bool:
        return any(
            any(fnmatch.fnmatchcase(action, one) for one in listed(statement["Action"]))
            and any(fnmatch.fnmatchcase(arn, one) for one in listed(statement["Resource"]))
            for statement in self.statements
        )

    def allowed_of(self, pairs: list[tuple[str, str]]) -> dict[str, bool]:
        return {f"{action} on {arn}": self.allows(action, arn) for arn, actions in pairs for action in actions.split()}


@pytest.fixture
def deployer() -> Policy:
    return Policy((INFRA / "deployer-policy.json").read_text())


def transformed(**given: str) -> dict[str, Any]:
    return template.transformed(template.load(arguments.TEMPLATE), {"TokenSha256": TOKEN_SHA256, **given})


def types(read: dict[str, Any]) -> set[str]:
    return {resource["Type"] for resource in read["Resources"].values()}


def api_version(read: dict[str, Any]) -> str:
    (name,) = (name for name, one in read["Resources"].items() if one["Type"] == "AWS::Lambda::Version")
    return name


def test_the_document_explains_every_parameter_and_no_other():
    text = (ROOT / "docs/DEPLOY.md").read_text(encoding="utf-8")
    section = text.split("\n## Parameters\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", section, re.MULTILINE)
    declared = template.load(arguments.TEMPLATE)["Parameters"]
    assert sorted(name for name, _ in rows) == sorted(declared)
    for name, documented in rows:
        default = declared[name].get("Default", "none: required")
        assert documented.strip("`") == (str(default) or "empty"), f"docs/DEPLOY.md gives {name} another default"


def test_the_deployer_may_make_the_calls_of_the_templates_and_of_no_other_service(deployer):
    made = types(transformed(Deployment="Canary10Percent5Minutes", Release="a1"))
    made |= types(template.load(arguments.OBSERVABILITY))
    assert sorted(made) == sorted(NEEDED), "add the calls of a new type to NEEDED"
    for kind in made:
        missing = [need for need, allowed in deployer.allowed_of(NEEDED[kind]).items() if not allowed]
        assert missing == [], f"{kind} needs these calls: add them to infra/deployer-policy.json"
    services = {need.split(":")[0] for needs in NEEDED.values() for _, actions in needs for need in actions.split()}
    allowed = {action.split(":")[0] for one in deployer.statements for action in listed(one["Action"])}
    assert allowed == services | {"cloudformation"}
    # IAM's limit for a managed policy, without white space.
    assert len(json.dumps(deployer.document, separators=(",", ":"))) <= 6144


def test_the_deployer_may_make_the_calls_of_the_documented_commands(deployer):
    assert [need for need, allowed in deployer.allowed_of(COMMANDS).items() if not allowed] == []


def test_the_deployer_reads_no_data_and_changes_no_other_resources(deployer):
    assert [need for need, allowed in deployer.allowed_of(FORBIDDEN).items() if allowed] == []
    for statement in deployer.statements:
        condition = json.dumps(statement.get("Condition", {}))
        actions = listed(statement["Action"])
        if "iam:PassRole" in actions:
            assert "iam:PassedToService" in condition
        if "lambda:UpdateEventSourceMapping" in actions:
            assert "lambda:FunctionArn" in condition, "a mapping has no name, so the condition names its function"


@pytest.mark.parametrize("stage", ["new-account", "staging", "production"])
def test_the_template_accepts_the_values_of_a_stage(stage):
    values = yaml.safe_load((INFRA / f"{stage}.yaml").read_text())
    declared = template.load(arguments.TEMPLATE)["Parameters"]
    for name, value in values.items():
        assert type(value) in (str, int), f"quote {name}: YAML reads it as a boolean"
        rule = declared[name]
        assert value in rule.get("AllowedValues", [value])
        assert rule.get("MinValue", value) <= value <= rule.get("MaxValue", value)
        assert re.search(rule.get("AllowedPattern", ""), str(value))
    concurrency = [f"{worker}Concurrency" for worker in ("Text", "Image", "Audio", "Language")]
    if stage == "new-account":
        # Such an account may run ten functions at once, and can reserve none of them.
        assert sum(values[name] for name in concurrency) < 10
        assert all(values[name] == "off" for name in ("LargeLanes", "PriorityLanes", "EventStream"))
        assert not {"ReservedConcurrency", "EventStreamConcurrency"} & set(values)


def test_stages_are_separate_stacks_and_name_no_account():
    text = (ROOT / "samconfig.toml").read_text()
    names = re.findall(r'^stack_name = "(.+)"$', text, re.MULTILINE)
    assert names == ["ai-mesh", "ai-mesh-staging", "ai-mesh-production"]
    for stage in ("default", "staging", "production"):
        section = text.split(f"[{stage}.deploy.parameters]\n", 1)[1].split("\n[", 1)[0]
        assert "resolve_s3 = true" in section and 'capabilities = "CAPABILITY_IAM"' in section
    for word in ("region", "s3_bucket", "profile", "role_arn"):
        assert not re.search(rf"^{word}\b", text, re.MULTILINE)


def test_all_at_once_has_no_codedeploy_and_invokes_the_function():
    read = transformed()
    assert not [kind for kind in types(read) if "CodeDeploy" in kind]
    assert "UpdatePolicy" not in read["Resources"]["ApiFunctionAliaslive"]
    calls = read["Resources"]["ApiIntegration"]["Properties"]["IntegrationUri"]["Fn::If"]
    assert calls == ["IsGradual", {"Ref": "ApiFunctionAliaslive"}, {"Fn::GetAtt": ["ApiFunction", "Arn"]}]


def test_a_gradual_deployment_shifts_the_alias_and_rolls_back_on_the_alarm():
    read = transformed(Deployment="Canary10Percent5Minutes", Release="a1", RollbackAlarm="fives")
    update = read["Resources"]["ApiFunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    group = read["Resources"][update["DeploymentGroupName"]["Ref"]]["Properties"]
    assert "Canary10Percent5Minutes" in json.dumps(group["DeploymentConfigName"])
    assert group["AutoRollbackConfiguration"]["Enabled"] is True
    condition, with_alarm, without = group["AlarmConfiguration"]["Fn::If"]
    assert condition == "HasRollbackAlarm" and without == {}
    assert with_alarm == {"Enabled": True, "Alarms": [{"Name": {"Ref": "RollbackAlarm"}}]}


def test_the_integration_waits_for_the_permission_on_the_alias():
    """CloudFormation would create both at once, and requests without the permission would get a 500."""
    read = transformed(Deployment="Canary10Percent5Minutes", Release="a1")["Resources"]
    assert read["ApiAliasPermission"]["Properties"]["FunctionName"] == {"Ref": "ApiFunctionAliaslive"}
    after = read["ApiIntegration"]["Metadata"]["After"]["Fn::If"]
    assert after[:2] == ["IsGradual", {"Ref": "ApiAliasPermission"}]


def test_each_release_publishes_a_version_and_nothing_else_does():
    """SAM's own rule ignores new parameter values, and the alias would keep the old ones."""
    gradual = {"Deployment": "Linear10PercentEvery1Minute"}
    first = api_version(transformed(Release="a1", **gradual))
    assert api_version(transformed(Release="a1", LogLevel="debug", **gradual)) == first
    assert api_version(transformed(Release="b2", **gradual)) != first


def test_a_gradual_deployment_without_a_name_is_refused():
    (rule,) = template.load(arguments.TEMPLATE)["Rules"].values()
    default = template.load(arguments.TEMPLATE)["Parameters"]["Release"]["Default"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Deployment"}, "AllAtOnce"]}]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Release"}, default]}]}
