"""Judges alarms as CloudWatch does, and gives them the queues' metrics to judge.

MiniStack looks at an alarm only when somebody calls PutMetricData, at all dimensions of its metric together and at one
value over all its periods, and has no metrics of queues. Here a thread looks each second, so that an alarm that is due
goes off in a moment, where AWS takes a minute or two.
"""

from __future__ import annotations

import logging
import operator
import threading
import time
from collections.abc import Iterable

# Seconds between two looks.
EVERY = 1.0

# How many of the newest values are looked at: more than come within the longest period here.
NEWEST = 20_000

_OPERATORS = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def judge(alarm: dict, values: list[float | None]) -> str | None:
    """The state that an alarm is in by the values of its periods, None being a period without one; None if they say
    nothing and it stays as it is."""
    breaches = _OPERATORS[alarm["ComparisonOperator"]]
    treat = alarm.get("TreatMissingData", "missing")
    if treat == "ignore" and None in values:
        return None
    if treat == "missing" and not any(value is not None for value in values):
        return "INSUFFICIENT_DATA"
    missing = treat == "breaching"
    bad = sum(missing if value is None else breaches(value, alarm["Threshold"]) for value in values)
    needed = alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"]
    return "ALARM" if bad >= needed else "OK"


def values(cloudwatch, alarm: dict, now: float) -> list[float | None]:
    """The statistic of each of the alarm's periods, newest first. The last one ends now."""
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    points = (cloudwatch._metrics.get(key) or [])[-NEWEST:]
    period, found = alarm["Period"], []
    for number in range(alarm["EvaluationPeriods"]):
        until = now - number * period
        of_period = [point for point in points if until - period < point["Timestamp"] <= until]
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        stats = cloudwatch._calc_stats(of_period)
        found.append(cloudwatch._stat_value(stats, statistic, of_period) if of_period else None)
    return found


def evaluate(cloudwatch, alarm: dict, now: float | None = None) -> None:
    """Moves one alarm to the state that it should be in, and tells its topics."""
    if not alarm.get("MetricName") or alarm.get("ComparisonOperator") not in _OPERATORS:
        return
    seen = values(cloudwatch, alarm, time.time() if now is None else now)
    old, new = alarm["StateValue"], judge(alarm, seen)
    if new is None or new == old:
        return
    reason = f"The last {len(seen)} periods, newest first: {seen}; the threshold is {alarm['Threshold']}"
    alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


class Queues:
    """Records the metrics that SQS has of its queues. As on AWS, one that nothing happens to has none."""

    def __init__(self, cloudwatch, sqs) -> None:
        self._cloudwatch, self._sqs = cloudwatch, sqs
        self._was_empty: dict[str, bool] = {}

    def record(self, now: float) -> None:
        with self._sqs._queues_lock:
            queues = {url: list(queue["messages"]) for url, queue in self._sqs._queues.items()}
        for url, messages in queues.items():
            if not messages and self._was_empty.get(url, True):
                continue
            self._was_empty[url] = not messages
            for name, value, unit in _measured(messages, now):
                dimensions = {"QueueName": url.rsplit("/", 1)[-1]}
                self._cloudwatch.record_metric("AWS/SQS", name, value, unit, dimensions)


def _measured(messages: list[dict], now: float) -> Iterable[tuple[str, float, str]]:
    visible = sum(message["visible_at"] <= now for message in messages)
    oldest = min((message["sent_at"] for message in messages), default=now)
    yield "ApproximateNumberOfMessagesVisible", visible, "Count"
    yield "ApproximateAgeOfOldestMessage", max(0.0, now - oldest), "Seconds"


def follow(cloudwatch, sqs) -> None:
    """Looks on and on, in a thread of its own."""
    queues = Queues(cloudwatch, sqs)

    def look() -> None:
        while True:
            time.sleep(EVERY)
            try:
                queues.record(time.time())
                for alarm in list(cloudwatch._alarms.values()):
                    evaluate(cloudwatch, alarm)
            except Exception:
                # The server changes what is read here meanwhile: the next look may succeed.
                logging.getLogger("cloudwatch").exception("the alarms could not be judged")

    threading.Thread(target=look, daemon=True, name="alarms").start()
