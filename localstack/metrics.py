"""Extracts metrics from log lines in the embedded metric format, as CloudWatch does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple


class Datum(NamedTuple):
    namespace: str
    name: str
    value: float
    unit: str
    dimensions: dict[str, str]


def embedded(line: str) -> Iterator[Datum]:
    """The metrics of one log line; none if the line is not in the format."""
    if '"_aws"' not in line:
        return
    try:
        entry = json.loads(line)
        directives = entry["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives:
        for names in directive.get("Dimensions", [[]]):
            dimensions = {name: str(entry[name]) for name in names if name in entry}
            for metric in directive.get("Metrics", []):
                values = entry.get(metric["Name"], [])
                for value in values if isinstance(values, list) else [values]:
                    yield Datum(
                        directive["Namespace"], metric["Name"], float(value), metric.get("Unit", "None"), dimensions
                    )
