"""Replaces parameter values that are well formed but name nothing, or that cost time: schemathesis cannot know them."""

import functools
import os
import re

import requests
import schemathesis

CURSORS = {
    "cursor": re.compile(r"[0-9a-f]{48}"),
    "after": re.compile(r"[0-9]{1,19}"),
}
TASK_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{11}[02468ace]")
HEADERS = {"X-Service-Token": os.environ["AI_MESH_TOKEN"]}


@functools.cache
def existing_task():
    """The id of a task that exists."""
    task = {"type": "sentiment", "input": {"text": "What a delightful little machine."}}
    response = requests.post(f"{os.environ['AI_MESH_URL']}/v1/tasks", json=task, headers=HEADERS, timeout=60)
    response.raise_for_status()
    return response.json()["id"]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces every well-formed id by that of an existing task, removes cursors that no response contained, and limits
    waits to one second. Malformed values stay."""
    if isinstance(case.path_parameters, dict) and TASK_ID.fullmatch(str(case.path_parameters.get("id", ""))):
        case.path_parameters["id"] = existing_task()
    if not isinstance(case.query, dict):
        return
    for name, well_formed in CURSORS.items():
        if well_formed.fullmatch(str(case.query.get(name, ""))):
            del case.query[name]
    wait = str(case.query.get("wait", ""))
    if wait.isascii() and wait.isdigit() and 1 < int(wait) <= 20:
        case.query["wait"] = "0"
