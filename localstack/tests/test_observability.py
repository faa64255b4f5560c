"""infra/observability.yaml is deployed as written, covers every queue and function, and uses existing metrics."""

from __future__ import annotations

import json
import operator
import re

import pytest

from localstack import arguments, deploy, template, verify
from localstack.cloud import Failure, client
from localstack.deployed import Deployed
from localstack.tests import conftest


@pytest.fixture(scope="module")
def watched(running) -> Deployed:
    """The stack of alarms beside the main stack."""
    assert deploy.deploy_observability(running.name, {}, f"{running.name}-artifacts") == []
    return Deployed(template.load(arguments.OBSERVABILITY), f"{running.name}-observability")


def test_every_lane_and_every_function_has_its_alarms(running, watched):
    names = watched.of_type("AWS::CloudWatch::Alarm")
    lanes = [name for name in running.of_type("AWS::SQS::Queue") if name != "LostRecordsQueue"]
    assert sum(name.endswith("Age") for name in names) == len(lanes) == 17
    functions = running.of_type("AWS::Serverless::Function")
    for kind in ("Failures", "Throttles"):
        of_functions = {name for name in names if name.endswith(kind)} - {"TableThrottles", "DueIndexThrottles"}
        assert of_functions == {name.removesuffix("Function") + kind for name in functions}
    dashboard = client("cloudwatch").get_dashboard(DashboardName=watched.ids["Dashboard"])
    text = dashboard["DashboardBody"]
    assert json.loads(text)["widgets"]
    assert all(running.ids[name] in text for name in functions), "a function is missing on the dashboard"


def test_a_changed_alarm_is_named(watched):
    name = watched.ids["LostRecords"]
    (alarm,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    settings = {
        key: alarm[key]
        for key in (
            "AlarmName",
            "AlarmDescription",
            "AlarmActions",
            "OKActions",
            "Namespace",
            "MetricName",
            "Dimensions",
            "Statistic",
            "Period",
            "EvaluationPeriods",
            "DatapointsToAlarm",
            "ComparisonOperator",
            "Threshold",
            "TreatMissingData",
        )
    }
    changes = {"Threshold": 5.0, "Period": 300, "Statistic": "Sum", "AlarmActions": [], "TreatMissingData": "missing"}
    try:
        for key, value in changes.items():
            client("cloudwatch").put_metric_alarm(**{**settings, key: value})
            assert [(one.resource, one.property) for one in verify.differences(watched)] == [("LostRecords", key)]
    finally:
        client("cloudwatch").put_metric_alarm(**settings)
    assert verify.differences(watched) == []


def dimensions_of_our_metrics() -> dict[str, list[str]]:
    document = (conftest.ROOT / "docs/METRICS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| ([\w, ]+) \|", document, re.MULTILINE)
    return {name: sorted(dimensions.split(", ")) for name, dimensions in rows}


def test_alarms_have_the_dimensions_of_their_metrics():
    """An alarm on a metric with other dimensions is deployed without an error, and never has data."""
    ours = dimensions_of_our_metrics()
    of_aws = {"AWS/DynamoDB": "TableName", "AWS/Lambda": "FunctionName", "AWS/SQS": "QueueName"}
    resources = template.load(arguments.OBSERVABILITY)["Resources"]
    alarms = {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    for name, alarm in alarms.items():
        dimensions = sorted(dimension["Name"] for dimension in alarm["Dimensions"])
        if alarm["Namespace"] == "AIMesh":
            assert dimensions == ours[alarm["MetricName"]], name
        else:
            index = ["GlobalSecondaryIndexName"] if name == "DueIndexThrottles" else []
            assert dimensions == [*index, of_aws[alarm["Namespace"]]], name
    assert len(alarms) > 40


def test_searches_are_valid_and_have_the_dimensions_of_their_metrics():
    ours = dimensions_of_our_metrics()
    grafana = json.loads((conftest.ROOT / "infra/grafana/ai-mesh.json").read_text(encoding="utf-8"))
    targets = [target for panel in grafana["panels"] for target in panel["targets"]]
    # Grafana's codes for a search that is written as text. With others it ignores the text.
    assert all((one["metricQueryType"], one["metricEditorMode"]) == (0, 1) for one in targets)
    body = template.load(arguments.OBSERVABILITY)["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    lines = [line for widget in json.loads(body)["widgets"] for line in widget["properties"]["metrics"]]
    written = [line[-1]["expression"] for line in lines if isinstance(line[-1], dict) and "expression" in line[-1]]
    searches = [target["expression"] for target in targets] + [one for one in written if "SEARCH" in one]
    assert len(searches) > 20
    for search in searches:
        found = re.fullmatch(r"""SEARCH\('\{([\w/]+),([\w,]+)\} ([^']+)', '(\w+)', (60|300)\)""", search)
        assert found, search
        namespace, dimensions, terms, statistic, _ = found.groups()
        name = re.search(r'MetricName="(\w+)"', terms)[1]
        assert re.fullmatch(r"Sum|Average|Maximum|SampleCount|p50|p95|p99", statistic)
        if namespace == "AIMesh":
            assert sorted(dimensions.split(",")) == ours[name], search
    for target in targets:
        for dimension in re.findall(r"PROP\('Dim\.(\w+)'\)", target["label"]):
            assert dimension in target["expression"].split("}")[0]


def test_every_alarm_has_its_section_in_the_runbook():
    text = (conftest.ROOT / "docs/OPERATIONS.md").read_text(encoding="utf-8")
    sections = {part.split("\n", 1)[0].lower(): part for part in text.split("\n### ")[1:]}
    resources = template.load(arguments.OBSERVABILITY)["Resources"]
    watching = {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert f"{len(watching)} alarms" in text
    for name, alarm in watching.items():
        section = sections[alarm["AlarmDescription"].rsplit("OPERATIONS.md, ", 1)[1]]
        # A section names the alarm of the first worker or function for those of all.
        of_text = re.sub("^(Image|Audio|Language)(?=Worker|.*Age$)", "Text", name)
        names = {of_text, re.sub("^(Reactor|EventStream|Janitor)(?=Throttles$|Failures$)", "Api", of_text)}
        assert any(f"`{one}`" in section for one in names), f"{name} is not in its section"
        assert all(part in section for part in ("Look: ", "Do: ")), name
        may_ignore = re.search("^(- )?(It is n|Ignore |Always act )", section, re.MULTILINE)
        assert may_ignore, f"{name}: say when it may be ignored"


class Series:
    """A time series at one time, as in metric math: a value or None, and an operation with None gives None."""

    def __init__(self, value: float | None) -> None:
        self.value = value

    def with_(self, other: Series | float, how) -> Series:
        value = other.value if isinstance(other, Series) else other
        return Series(None if self.value is None or value is None else how(self.value, value))

    def __add__(self, other):
        return self.with_(other, operator.add)

    def __mul__(self, other):
        return self.with_(other, operator.mul)

    def __truediv__(self, other):
        return self.with_(other, operator.truediv)

    @staticmethod
    def sum(several: list[Series]) -> Series:
        values = [one.value for one in several if one.value is not None]
        return Series(sum(values) if values else None)


def test_the_cost_of_an_hour_is_the_sum_of_the_functions_that_ran(running, watched):
    """Each function counts with its memory, and one that did not run does not remove the others from the sum."""
    body = client("cloudwatch").get_dashboard(DashboardName=watched.ids["Dashboard"])["DashboardBody"]
    (widget,) = (one for one in json.loads(body)["widgets"] if "dollars" in one["properties"]["title"])
    functions = {running.ids[name]: name for name in running.of_type("AWS::Serverless::Function")}
    resources = template.load(arguments.TEMPLATE)["Resources"]
    known, expressions, expected = {"SUM": Series.sum}, {}, 0.0
    for line in widget["properties"]["metrics"]:
        options = line[-1]
        if "expression" in options:
            expressions[options["id"]] = options["expression"]
            continue
        name = functions[line[3]]
        milliseconds, invocations = 1000.0 + len(name), 10.0 + len(name)
        is_duration = line[1] == "Duration"
        runs = name != "EventStreamFunction"
        known[options["id"]] = Series((milliseconds if is_duration else invocations) if runs else None)
        if runs and is_duration:
            gigabytes = resources[name]["Properties"]["MemorySize"] / 1024
            expected += milliseconds / 1000 * gigabytes * 0.0000166667 + invocations * 0.0000002
    for identity in sorted(expressions, key=lambda one: one == "cost"):
        known[identity] = eval(expressions[identity], {"__builtins__": {}}, known)
    assert known["cost"].value == pytest.approx(expected)


def test_lanes_that_are_off_have_no_alarms(endpoint, artifacts):
    off = {"LargeLanes": "off", "PriorityLanes": "off"}
    conftest.deploy("lanes-off", artifacts, **off)
    assert deploy.deploy_observability("lanes-off", off, "lanes-off-artifacts") == []
    with pytest.raises(Failure, match="QueueName.* not found"):
        deploy.deploy_observability("lanes-off", {}, "lanes-off-artifacts")
