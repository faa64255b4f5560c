"""A deployed stack with its template: each resource's physical id, and its properties with all values inserted."""

from __future__ import annotations

import functools
from typing import Any

from localstack import stack
from localstack.cloud import Failure, client, region
from localstack.template import Resolver, parameter_values

# CloudFormation's placeholder for the value of a NoEcho parameter.
MASKED = "****"


class Deployed:
    """`given` are the parameters to compare with. Without them, those of the stack are used."""

    def __init__(self, template: dict, name: str, given: dict[str, str] | None = None) -> None:
        existing = stack.find(name)
        if existing is None:
            raise Failure(f"the stack {name} does not exist: deploy it first")
        self.name = name
        self.stack_parameters = {
            parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in existing.get("Parameters", [])
        }
        self.parameters = self.stack_parameters if given is None else parameter_values(template, given)
        self.ids = stack.resources(name)
        self._resolver = Resolver(template, self.parameters, self._reference, self.attribute, _exported)
        # Without the resources whose condition is false.
        wanted = {
            logical_id: resource
            for logical_id, resource in template["Resources"].items()
            if "Condition" not in resource or self._resolver.condition(resource["Condition"])
        }
        self.template = {**template, "Resources": wanted}
        missing = sorted(set(wanted) - set(self.ids))
        if missing:
            raise Failure(f"the stack {name} lacks {', '.join(missing)}: deploy the template again")

    def of_type(self, kind: str) -> list[str]:
        return [name for name, resource in self.template["Resources"].items() if resource["Type"] == kind]

    def type(self, logical_id: str) -> str:
        return self.template["Resources"][logical_id]["Type"]

    def properties(self, logical_id: str) -> dict[str, Any]:
        return self._resolver.properties(logical_id)

    def _reference(self, name: str) -> str:
        if name == "AWS::StackName":
            return self.name
        if name == "AWS::Region":
            return region()
        if name == "AWS::AccountId":
            return _caller()["Account"]
        if name == "AWS::URLSuffix":
            return "amazonaws.com"
        if name == "AWS::Partition":
            return _caller()["Arn"].split(":")[1]
        if name.endswith(".Alias"):
            # SAM makes this resource from a function's AutoPublishAlias.
            function = name.removesuffix(".Alias")
            return self.ids[f"{function}Alias{self.template['Resources'][function]['Properties']['AutoPublishAlias']}"]
        try:
            physical = self.ids[name]
        except KeyError:
            raise Failure(f"the template refers to {name}, but has no such resource: correct the name") from None
        # Some clouds put the API's id before the id of a route or stage.
        return physical.rsplit("/", 1)[-1] if self.type(name).startswith("AWS::ApiGatewayV2::") else physical

    def attribute(self, logical_id: str, attribute: str) -> str:
        kind, name = self.type(logical_id), self.ids[logical_id]
        read = _ATTRIBUTES.get((kind, attribute))
        if read is None:
            raise Failure(
                f"localstack/deployed.py does not know the attribute {attribute} of {kind}: add it to _ATTRIBUTES"
            )
        return read(name)


@functools.cache
def _caller() -> dict:
    return client("sts").get_caller_identity()


def _exported(name: str) -> str:
    pages = client("cloudformation").get_paginator("list_exports").paginate()
    exports = {export["Name"]: export["Value"] for page in pages for export in page["Exports"]}
    if name not in exports:
        raise Failure(f"no stack exports {name}: deploy the main stack first, with the same lanes and streams")
    return exports[name]


def _function_arn(name: str) -> str:
    return client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]


def _function_url(function: str) -> str:
    return client("lambda").get_function_url_config(FunctionName=function)["FunctionUrl"]


def _queue_arn(url: str) -> str:
    attributes = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return attributes["Attributes"]["QueueArn"]


def _stream_arn(name: str) -> str:
    return client("dynamodb").describe_table(TableName=name)["Table"]["LatestStreamArn"]


def _role_arn(name: str) -> str:
    return client("iam").get_role(RoleName=name)["Role"]["Arn"]


def _bucket_arn(name: str) -> str:
    return f"arn:{_caller()['Arn'].split(':')[1]}:s3:::{name}"


_ATTRIBUTES = {
    ("AWS::Serverless::Function", "Arn"): _function_arn,
    ("AWS::Lambda::Url", "FunctionUrl"): _function_url,
    ("AWS::SQS::Queue", "Arn"): _queue_arn,
    ("AWS::DynamoDB::Table", "StreamArn"): _stream_arn,
    ("AWS::IAM::Role", "Arn"): _role_arn,
    ("AWS::S3::Bucket", "Arn"): _bucket_arn,
}
