"""Each setting that a function reads is in the template, also for whatever starts it without a deployment."""

from __future__ import annotations

import re
from pathlib import Path

from localstack import arguments, functions, template
from localstack.tests.conftest import ROOT

# A call with the whole name. Names with a part for each worker or lane are made in crates/aws/src/queue.rs and
# crates/api/src/state/workers.rs; a started function shows whether those are complete.
_SETTING = re.compile(r'\bsetting(?:::<[^(]*>)?\(\s*"([A-Z0-9_]+)"')


def read_in(folder: Path) -> set[str]:
    sources = [path.read_text() for path in folder.rglob("*.rs") if "tests" not in path.parts]
    return {name for source in sources for name in _SETTING.findall(source)}


def variables() -> dict[str, set[str]]:
    """The names of each function's environment variables, by the folder of its code."""
    read = template.load(arguments.TEMPLATE)
    declared = functions.declared(read, {})
    code = {name: Path(read["Resources"][name]["Properties"]["CodeUri"]) for name in declared}
    return {code[name].name: set(one["environment"]) for name, one in declared.items()}


def test_each_setting_that_a_function_reads_is_in_its_environment():
    given = variables()
    assert set(given) == {path.parent.name for path in (ROOT / "functions").glob("*/Cargo.toml")}
    missing = {
        name: sorted(read_in(ROOT / "functions" / name) - environment) for name, environment in given.items()
    }
    assert missing == {name: [] for name in given}
    # Those of the workers' host.
    shared = read_in(ROOT / "crates/lambda-worker/src")
    assert "LEASE_SECONDS" in shared
    for name in (name for name in given if name.endswith("-worker")):
        assert shared <= given[name], name


def test_each_setting_that_a_crate_reads_is_in_some_environment():
    in_some = set().union(*variables().values())
    # `mesh` and its client read the caller's environment.
    crates = [path for path in (ROOT / "crates").iterdir() if path.name not in ("client", "language")]
    names = set().union(*(read_in(path / "src") for path in crates))
    assert len(names) > 10
    assert sorted(names - in_some) == []


def test_every_variable_has_a_value_without_a_deployment():
    declared = functions.declared(template.load(arguments.TEMPLATE), {"SpeechModel": "tiny.en"})
    for name, function in declared.items():
        assert function["memory_mb"] >= 128, name
        assert all(isinstance(value, str) for value in function["environment"].values()), name
    assert declared["AudioWorkerFunction"]["environment"]["SPEECH_MODEL"] == "tiny.en"
    assert declared["ApiFunction"]["environment"]["TEXT_QUEUE_URL"].startswith("http://")
