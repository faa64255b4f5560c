"""Runs the pipelines of crates/models through its example `answer`, so that the code of the workers is measured."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def answers(requests: list[dict], assets: Path) -> list[dict]:
    """One answer for each request, in their order. The example's source documents their kinds and fields."""
    command = ["cargo", "run", "--quiet", "-p", "mesh-models", "--example", "answer", "--", str(assets.resolve())]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    run = subprocess.run(command, cwd=ROOT, input=lines, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f"the example `answer` failed: {run.stderr.strip()}")
    # Not splitlines(): a text may contain characters that Python treats as line ends, but JSON does not.
    found = [json.loads(line) for line in run.stdout.split("\n") if line]
    if len(found) != len(requests):
        raise SystemExit(f"the example `answer` gave {len(found)} answers to {len(requests)} requests")
    return found
