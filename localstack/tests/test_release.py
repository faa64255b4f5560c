"""A release's zips depend only on the functions, and its template differs only in the code's location."""

from __future__ import annotations

import base64
import copy
import hashlib
import os
import re
from pathlib import Path

import pytest
import yaml

from localstack import arguments, package, release, stack, template
from localstack.cloud import Failure, client
from localstack.tests.conftest import ROOT, TOKEN_SHA256

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_zips_made_at_another_place_and_time_are_equal(tmp_path):
    contents = {"bootstrap": 0o755, "lib/b.so": 0o644, "lib/a.so": 0o644, "models/m.ort": 0o644}
    made = []
    for index, order in enumerate((list(contents), list(reversed(contents)))):
        artifacts, out = tmp_path / f"{index}" / "artifacts", tmp_path / f"{index}" / "out"
        for name in order:
            path = artifacts / "ApiFunction" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
            path.chmod(contents[name] & (0o777 if index else 0o700) | (0o022 if index else 0))
            os.utime(path, (index, index))
        out.mkdir()
        release.zips(artifacts, ["ApiFunction"], out)
        made.append(sums(out))
    assert made[0] == made[1] and set(made[0]) == {"ApiFunction.zip"}


def test_the_packaged_template_differs_only_in_the_code(tmp_path):
    written = tmp_path / "template.yaml"
    written.write_text(release.packaged(arguments.TEMPLATE))
    expected = copy.deepcopy(template.load(arguments.TEMPLATE))
    for name in template.functions(expected):
        expected["Resources"][name]["Properties"]["CodeUri"] = f"{name}.zip"
        del expected["Resources"][name]["Metadata"]
    assert template.load(written) == expected


def test_a_template_with_a_quoted_code_line_is_refused(tmp_path):
    written = tmp_path / "template.yaml"
    quoted = arguments.TEMPLATE.read_text().replace("CodeUri: ../functions/api", "CodeUri: '../functions/api'")
    written.write_text(quoted)
    with pytest.raises(Failure, match="on its own line"):
        release.packaged(written)


def test_a_stack_deployed_from_the_zips_runs_their_code(endpoint, artifacts, tmp_path):
    names = template.functions(template.load(arguments.TEMPLATE))
    release.zips(artifacts, names, tmp_path)
    read = tmp_path / "template.yaml"
    read.write_text(release.packaged(arguments.TEMPLATE))
    package.ensure_bucket("released")
    code = {}
    for name in names:
        # The unchanged file, as `sam deploy` and `aws cloudformation package` upload it.
        code[name] = {"Bucket": "released", "Key": f"{name}.zip"}
        client("s3").put_object(**code[name], Body=(tmp_path / f"{name}.zip").read_bytes())
    body = template.with_code(template.load(read), code)
    values = template.parameter_values(template.load(read), {"TokenSha256": TOKEN_SHA256})
    assert stack.deploy("released", package.upload_template(body, "released"), values) == "created"
    functions = {one["FunctionName"]: one for one in client("lambda").list_functions()["Functions"]}
    running = stack.resources("released")
    for name in names:
        digest = hashlib.sha256((tmp_path / f"{name}.zip").read_bytes()).digest()
        assert functions[running[name]]["CodeSha256"] == base64.b64encode(digest).decode()


def test_workflows_pin_actions_by_commit_and_do_not_persist_the_token():
    assert {path.name for path in WORKFLOWS} == {"ci.yml", "release.yml", "weekly.yml"}
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        # An attacker who takes over an action can move its tags.
        for used in re.findall(r"uses: *(.+)", text):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), f"{path.name}: {used}"
        for job in yaml.safe_load(text)["jobs"].values():
            for step in job["steps"]:
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False


def test_only_a_job_without_a_checkout_may_write_to_the_repository():
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            if "permissions" in job:
                assert (path.name, name, job["permissions"]) == ("release.yml", "publish", {"contents": "write"})
                assert not any("checkout" in step.get("uses", "") for step in job["steps"])
