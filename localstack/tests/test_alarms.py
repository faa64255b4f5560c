"""Alarms are judged as CloudWatch judges them, and those of infra/observability.yaml are deployed and go off."""

from __future__ import annotations

import json
import operator
import re
import threading
import time
import types

import pytest

from localstack import alarms, arguments, deploy, mends, stack, template
from localstack.cloud import Failure, client
from localstack.deployed import Deployed
from localstack.tests import conftest

PATIENCE = 60

ALARM = {
    "AlarmName": "of-a-test",
    "Namespace": "AIMesh",
    "MetricName": "DeadLetters",
    "Dimensions": [{"Name": "FunctionName", "Value": "reactor"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 0.0,
    "TreatMissingData": "notBreaching",
    "StateValue": "INSUFFICIENT_DATA",
}


@pytest.mark.parametrize(
    ("changes", "values", "state"),
    [
        ({}, [1.0, 1.0, None], "ALARM"),
        ({}, [1.0, None, None], "OK"),
        ({}, [None, None, None], "OK"),
        ({"DatapointsToAlarm": None}, [1.0, 1.0, 0.0], "OK"),
        ({"DatapointsToAlarm": None}, [1.0, 1.0, 1.0], "ALARM"),
        ({"TreatMissingData": "breaching"}, [0.0, None, None], "ALARM"),
        ({"TreatMissingData": "breaching", "DatapointsToAlarm": 3}, [0.0, None, None], "OK"),
        ({"TreatMissingData": "missing"}, [None, None, None], "INSUFFICIENT_DATA"),
        ({"TreatMissingData": "ignore"}, [None, 1.0, 1.0], None),
        ({"ComparisonOperator": "LessThanThreshold", "Threshold": 1.0}, [0.0, 0.0, 1.0], "ALARM"),
    ],
)
def test_periods_are_judged_one_by_one(changes, values, state):
    assert alarms.judge({**ALARM, **changes}, values) == state


@pytest.fixture
def cloudwatch(monkeypatch):
    from ministack.services import cloudwatch

    monkeypatch.setattr(cloudwatch, "_metrics", {})
    monkeypatch.setattr(cloudwatch, "_dispatch_alarm_actions", lambda *_: None)
    return cloudwatch


def test_an_alarm_sees_its_own_dimensions_and_periods_alone(cloudwatch):
    for function in ("reactor", "another"):
        cloudwatch.record_metric("AIMesh", "DeadLetters", 2, "Count", {"FunctionName": function})
    now = time.time()
    assert alarms.values(cloudwatch, ALARM, now) == [2.0, None, None]
    assert alarms.values(cloudwatch, ALARM, now + 61) == [None, 2.0, None]
    percentile = {**ALARM, "Statistic": None, "ExtendedStatistic": "p99"}
    assert alarms.values(cloudwatch, percentile, now)[0] == pytest.approx(2.0)
    alarm = {**ALARM, "DatapointsToAlarm": 1}
    alarms.evaluate(cloudwatch, alarm, now)
    assert alarm["StateValue"] == "ALARM" and "[2.0, None, None]" in alarm["StateReason"]
    alarms.evaluate(cloudwatch, alarm, now + 600)
    assert alarm["StateValue"] == "OK"


def test_a_queue_is_measured_until_it_is_empty(cloudwatch):
    now = time.time()
    messages = [{"sent_at": now - 30, "visible_at": now - 30}, {"sent_at": now, "visible_at": now + 5}]
    standing = {"http://host/1/full": {"messages": messages}, "http://host/1/idle": {"messages": []}}
    sqs = types.SimpleNamespace(_queues_lock=threading.Lock(), _queues=standing)
    queues = alarms.Queues(cloudwatch, sqs)
    queues.record(now)
    messages.clear()
    queues.record(now)
    queues.record(now)
    measured = {key: [point["Value"] for point in points] for key, points in cloudwatch._metrics.items()}
    full = cloudwatch._dims_key({"QueueName": "full"})
    assert measured == {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", full): [1.0, 0.0],
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", full): [pytest.approx(30.0), 0.0],
    }


def test_changed_internals_are_named():
    with pytest.raises(mends.InternalsChanged, match="_evaluate_alarm, .*_queues_lock of cloudwatch or sqs"):
        mends.judge_alarms(types.SimpleNamespace(), types.SimpleNamespace())


@pytest.fixture(scope="module")
def watched(running) -> Deployed:
    """The main stack, watched."""
    assert deploy.observe(running.name, {}, f"{running.name}-artifacts") == []
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
    assert all(running.ids[name] in text for name in functions), "it shows every function"


def test_searches_are_such_as_cloudwatch_takes_and_ask_by_the_metrics_own_dimensions():
    document = (conftest.ROOT / "docs/METRICS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| ([\w, ]+) \|", document, re.MULTILINE)
    ours = {name: sorted(dimensions.split(", ")) for name, dimensions in rows}
    grafana = json.loads((conftest.ROOT / "infra/grafana/ai-mesh.json").read_text(encoding="utf-8"))
    targets = [target for panel in grafana["panels"] for target in panel["targets"]]
    # Grafana's own code for a search that is written as text, which else it would pass over.
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
    assert f"second stack: {len(watching)} alarms" in text
    for name, alarm in watching.items():
        section = sections[alarm["AlarmDescription"].rsplit("OPERATIONS.md, ", 1)[1]]
        # Of those that all workers have, the first stands for all.
        of_text = re.sub("^(Image|Audio|Language)(?=Worker|.*Age$)", "Text", name)
        known = {of_text, re.sub("^(Reactor|EventStream|Janitor)(?=Throttles$|Failures$)", "Api", of_text)}
        assert any(f"`{one}`" in section for one in known), f"{name} is not in its section"
        assert all(part in section for part in ("Look: ", "Do: ", "It is n")), name


class Series:
    """A time series at one time, as metric math has it: a value or none, and none with anything is none."""

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


def test_the_cost_of_an_hour_is_that_of_the_functions_that_ran(running, watched):
    """Each by its own memory; one that did not run (an event stream left out, say) takes nothing from the others."""
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


def test_lanes_that_the_stack_leaves_out_are_not_watched(endpoint, artifacts):
    off = {"LargeLanes": "off", "PriorityLanes": "off"}
    conftest.deploy("lanes-off", artifacts, **off)
    assert deploy.observe("lanes-off", off, "lanes-off-artifacts") == []
    with pytest.raises(Failure, match="QueueName.* not found"):
        deploy.observe("lanes-off", {}, "lanes-off-artifacts")


def state_of(watched: Deployed, name: str) -> str:
    found = client("cloudwatch").describe_alarms(AlarmNames=[watched.ids[name]])["MetricAlarms"]
    return found[0]["StateValue"]


def eventually(what: str, probe):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := probe():
            return found
    pytest.fail(f"not within {PATIENCE} s: {what}")


def test_an_alarm_goes_off_and_its_topic_tells(running, watched):
    sqs, sns = client("sqs"), client("sns")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=stack.outputs(watched.name)["AlarmTopic"], Protocol="sqs", Endpoint=arn)
    dimensions = [{"Name": "FunctionName", "Value": running.ids["ReactorFunction"]}]
    client("cloudwatch").put_metric_data(
        Namespace="AIMesh", MetricData=[{"MetricName": "DeadLetters", "Value": 1, "Dimensions": dimensions}]
    )
    eventually("the alarm goes off", lambda: state_of(watched, "DeadLetters") == "ALARM")
    assert state_of(watched, "RecordsSkipped") != "ALARM", "another metric is another alarm's"

    def told():
        messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
        bodies = [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
        return [body for body in bodies if body["AlarmName"] == watched.ids["DeadLetters"]]

    assert eventually("the topic tells of it", told)[0]["NewStateValue"] == "ALARM"


def test_a_lost_record_is_seen_in_its_queue(running, watched):
    client("sqs").send_message(QueueUrl=running.ids["LostRecordsQueue"], MessageBody="{}")
    eventually("the alarm goes off", lambda: state_of(watched, "LostRecords") == "ALARM")
