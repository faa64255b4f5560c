"""Log lines in the embedded metric format become metrics; other lines do not."""

from __future__ import annotations

import json

from localstack import ministack_patches
from localstack.metrics import Datum, embedded

LINE = {
    "_aws": {
        "Timestamp": 1,
        "CloudWatchMetrics": [
            {
                "Namespace": "AIMesh",
                "Dimensions": [["FunctionName"]],
                "Metrics": [{"Name": "BatchSize", "Unit": "Count"}, {"Name": "ColdStarts"}, {"Name": "Absent"}],
            }
        ],
    },
    "FunctionName": "worker",
    "BatchSize": [3, 4],
    "ColdStarts": 1,
}


def test_a_line_yields_each_value_of_each_metric():
    dimensions = {"FunctionName": "worker"}
    assert list(embedded(json.dumps(LINE))) == [
        Datum("AIMesh", "BatchSize", 3.0, "Count", dimensions),
        Datum("AIMesh", "BatchSize", 4.0, "Count", dimensions),
        Datum("AIMesh", "ColdStarts", 1.0, "None", dimensions),
    ]


def test_other_lines_yield_nothing():
    for line in ("", "START RequestId: 1", "{}", '{"_aws": 1}', '{"_aws": {}}', '"_aws"', '{"level": "INFO"}'):
        assert list(embedded(line)) == []


def test_metrics_are_read_from_a_functions_log(monkeypatch):
    from ministack.services import cloudwatch, lambda_svc

    written, recorded = [], []

    def emit(func, request_id, text, *rest, **named):
        written.append(text)

    monkeypatch.setattr(lambda_svc, "_emit_lambda_logs", emit)
    monkeypatch.setattr(cloudwatch, "record_metric", lambda *datum: recorded.append(datum))
    ministack_patches.publish_embedded_metrics(lambda_svc, cloudwatch)
    text = f"a line\n{json.dumps(LINE)}"
    lambda_svc._emit_lambda_logs({}, "1", text, False, 5, log_source=None)
    assert written == [text]
    assert [name for _, name, *_ in recorded] == ["BatchSize", "BatchSize", "ColdStarts"]
