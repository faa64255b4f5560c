"""What schemathesis can't know: which values of a parameter are well formed and still name nothing, or cost time."""

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
def known_task():
    """The id of a task that is there."""
    task = {"type": "sentiment", "input": {"text": "What a delightful little machine."}}
    answer = requests.post(f"{os.environ['AI_MESH_URL']}/v1/tasks", json=task, headers=HEADERS, timeout=60)
    answer.raise_for_status()
    return answer.json()["id"]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts a task that is there in place of every other well-formed id, leaves out cursors that no answer gave, and
    waits for a second at most. What is malformed stays as it is."""
    if isinstance(case.path_parameters, dict) and TASK_ID.fullmatch(str(case.path_parameters.get("id", ""))):
        case.path_parameters["id"] = known_task()
    if not isinstance(case.query, dict):
        return
    for name, well_formed in CURSORS.items():
        if well_formed.fullmatch(str(case.query.get(name, ""))):
            del case.query[name]
    wait = str(case.query.get("wait", ""))
    if wait.isascii() and wait.isdigit() and 1 < int(wait) <= 20:
        case.query["wait"] = "0"
