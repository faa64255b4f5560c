"""Reads a SAM template, and inserts the values of parameters, references and conditions into its properties."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import yaml

from localstack.cloud import Failure

# Stands for a property that !If omits.
NO_VALUE = object()

_VARIABLE = re.compile(r"\$\{(!?)([A-Za-z0-9:.]+)\}")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions, which it expands to their long form."""


def _long_form(loader: yaml.Loader, suffix: str, node: yaml.Node) -> dict:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)


def load(path: Path) -> dict:
    try:
        template = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise Failure(f"cannot read the template {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise Failure(f"{path} is not a YAML template: {error}") from error
    if not isinstance(template, dict) or "Resources" not in template:
        raise Failure(f"{path} is not a template: add Resources")
    return template


def functions(template: dict) -> list[str]:
    """The logical ids of the template's functions."""
    return [name for name, resource in template["Resources"].items() if resource["Type"] == "AWS::Serverless::Function"]


def with_code(template: dict, code: dict[str, dict[str, str]]) -> str:
    """The template as JSON, with each function's code at {Bucket, Key}."""
    packaged = copy.deepcopy(template)
    for name, location in code.items():
        packaged["Resources"][name]["Properties"]["CodeUri"] = location
        # Only `sam build` reads it.
        packaged["Resources"][name].pop("Metadata", None)
    return json.dumps(packaged)


def parameter_values(template: dict, given: dict[str, str]) -> dict[str, str]:
    """The value of each parameter: the given one, or else its default."""
    declared = template.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise Failure(f"the template has no parameter {', '.join(unknown)}: expected one of {', '.join(declared)}")
    values = {name: str(given.get(name, declared[name].get("Default", ""))) for name in declared}
    missing = sorted(name for name in declared if name not in given and "Default" not in declared[name])
    if missing:
        raise Failure(f"the template needs a value for {', '.join(missing)} (--parameter {missing[0]}=...)")
    return values


def transformed(read: dict, given: dict[str, str]) -> dict:
    """The template as CloudFormation gets it: after SAM's transform, with these values of parameters."""
    # Slow to import, and needed by no deployment.
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    read = copy.deepcopy(read)
    for name in functions(read):
        read["Resources"][name]["Properties"]["CodeUri"] = "s3://bucket/key"
    required = {name: "" for name, declared in read["Parameters"].items() if "Default" not in declared}
    values = parameter_values(read, {**required, **given})
    # Without a session the translator takes the region from the environment, which may name none.
    return Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1")).translate(read, values)


class Resolver:
    """Replaces a template's functions by their values.

    `reference` returns the value of Ref for a resource or a pseudo parameter, `attribute` that of Fn::GetAtt and
    `exported` that of Fn::ImportValue.
    """

    def __init__(
        self,
        template: dict,
        parameters: dict[str, str],
        reference: Callable[[str], str],
        attribute: Callable[[str, str], str],
        exported: Callable[[str], str],
    ) -> None:
        self._template = template
        self._parameters = parameters
        self._reference = reference
        self._attribute = attribute
        self._exported = exported

    def properties(self, logical_id: str) -> dict[str, Any]:
        """All properties that the template sets for a resource, Globals included."""
        resource = self._template["Resources"][logical_id]
        properties = dict(resource.get("Properties", {}))
        if resource["Type"] == "AWS::Serverless::Function":
            properties = {**self._template.get("Globals", {}).get("Function", {}), **properties}
        return self.value(properties)

    def condition(self, name: str) -> bool:
        return bool(self.value(self._template["Conditions"][name]))

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref":
                return self._ref(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        values = {name: self.value(value) for name, value in node.items()}
        return {name: value for name, value in values.items() if value is not NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._parameters:
            return self._parameters[name]
        return self._reference(name)

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Fn::GetAtt":
            return self._attribute(*argument)
        if name == "Fn::Sub":
            text, own = (argument, {}) if isinstance(argument, str) else argument
            return _VARIABLE.sub(functools.partial(self._variable, self.value(own)), text)
        if name == "Fn::ImportValue":
            return self._exported(self.value(argument))
        if name == "Fn::If":
            condition, then, otherwise = argument
            return self.value(then if self.condition(condition) else otherwise)
        if name == "Fn::Equals":
            left, right = map(self.value, argument)
            return str(left) == str(right)
        if name == "Fn::Not":
            return not self.value(argument[0])
        if name == "Fn::FindInMap":
            mapping, first, second = map(self.value, argument)
            return self._template["Mappings"][mapping][first][second]
        raise Failure(f"localstack/template.py does not know {name}: add it to Resolver._function")

    def _variable(self, own: dict[str, Any], match: re.Match) -> str:
        literal, name = match.groups()
        if literal:
            return f"${{{name}}}"
        if name in own:
            return str(own[name])
        if "." in name:
            return self._attribute(*name.split(".", 1))
        return str(self._ref(name))
