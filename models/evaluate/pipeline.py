"""Asks the pipelines of crates/models, by its example `answer`: what is measured is what the workers run."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def answers(requests: list[dict], assets: Path) -> list[dict]:
    """One answer for each request, in their order; the example's source lists their kinds and fields."""
    command = ["cargo", "run", "--quiet", "-p", "mesh-models", "--example", "answer", "--", str(assets.resolve())]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    run = subprocess.run(command, cwd=ROOT, input=lines, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SystemExit(f"the example `answer` failed: {run.stderr.strip()}")
    # Not splitlines(): a text may hold what Python takes for a line's end and JSON does not.
    found = [json.loads(line) for line in run.stdout.split("\n") if line]
    if len(found) != len(requests):
        raise SystemExit(f"{len(requests)} requests, {len(found)} answers")
    return found
