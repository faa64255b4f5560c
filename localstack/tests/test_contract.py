"""The templates keep the names that deployed stacks have, and a change that would replace a resource is named."""

from __future__ import annotations

import copy
import json

import pytest

from localstack import contract
from localstack.cloud import Failure

MAIN = "template.yaml"


@pytest.fixture
def before() -> contract.Contract:
    return copy.deepcopy(contract.recorded())


def test_an_update_of_a_deployed_stack_replaces_no_resource():
    found = contract.differences(contract.recorded(), contract.current())
    assert found == [], "\n".join(map(str, found))


def test_the_record_has_the_resources_that_sam_makes(before):
    made = ("ApiFunctionAliaslive", "JanitorFunctionSchedule", "ReactorFunctionChanges", "TextWorkerFunctionMessages")
    assert set(made) <= set(before[MAIN]["Resources"])


def test_the_record_is_as_the_command_writes_it(tmp_path):
    written = tmp_path / "contract.json"
    written.write_text("{}")
    contract.update(written, contract.current())
    assert written.read_text() == contract.RECORD.read_text()


@pytest.mark.parametrize(
    ("part", "name", "key", "value", "says"),
    [
        ("Resources", "TasksTable", "TableName", "tasks", "replaces or deletes the deployed"),
        ("Resources", "TasksTable", "KeySchema", [], "replaces or deletes the deployed"),
        ("Resources", "TextQueue", "FifoQueue", True, "replaces or deletes the deployed"),
        ("Resources", "TextQueue", "Type", "AWS::SNS::Topic", "replaces or deletes the deployed"),
        ("Resources", "TextQueue", "Condition", "HasLargeLanes", "replaces or deletes the deployed"),
        ("Resources", "ApiLogGroup", "LogGroupName", "/aws/lambda/api", "replaces or deletes the deployed"),
        ("Resources", "ReactorFunctionChanges", "StartingPosition", "LATEST", "replaces or deletes the deployed"),
        ("Parameters", "LeaseSeconds", "Default", 31, "stacks that do not set it get another value"),
        ("Parameters", "LeaseSeconds", "Type", "String", "stacks that do not set it get another value"),
        ("Outputs", "TasksTable", "Export", "Tasks", "a stack that imports its export blocks the update"),
    ],
)
def test_a_changed_value_is_named_with_its_effect(before, part, name, key, value, says):
    after = copy.deepcopy(before)
    after[MAIN][part][name][key] = value
    (found,) = contract.differences(before, after)
    assert not found.is_addition
    assert str(found).startswith(f"{MAIN}: {part}.{name}.{key} changed (") and says in str(found)
    assert f"-> {json.dumps(value)})" in str(found)


@pytest.mark.parametrize(
    ("part", "name", "says"),
    [
        ("Resources", "JanitorFunction", "an update deletes the deployed resource"),
        ("Parameters", "JanitorSchedule", "a deployment that sets it fails"),
        ("Outputs", "JanitorFunction", "a stack that imports its export blocks the update"),
    ],
)
def test_a_renamed_entry_is_a_removal_and_an_addition(before, part, name, says):
    after = copy.deepcopy(before)
    after[MAIN][part]["Sweeper"] = after[MAIN][part].pop(name)
    removed, added = contract.differences(before, after)
    assert str(removed).startswith(f"{MAIN}: {part}.{name} is missing: ") and says in str(removed)
    assert str(added).startswith(f"{MAIN}: {part}.Sweeper is new: run `python -m localstack.contract --update`")
    assert (removed.is_addition, added.is_addition) == (False, True)


def test_a_new_parameter_needs_a_default(before):
    after = copy.deepcopy(before)
    after[MAIN]["Parameters"]["Colour"] = {"Type": "String"}
    (found,) = contract.differences(before, after)
    assert "Parameters.Colour is new without a default" in str(found) and not found.is_addition


def test_a_lost_value_and_a_lost_template_are_named(before):
    after = copy.deepcopy(before)
    del after[MAIN]["Resources"]["TasksTable"]["KeySchema"]
    (found,) = contract.differences(before, after)
    assert "KeySchema changed (" in str(found) and "-> null)" in str(found)
    del after[MAIN]
    assert len(contract.differences(before, after)) == sum(map(len, before[MAIN].values()))


def test_an_update_of_the_record_takes_additions_alone(before, tmp_path):
    record = tmp_path / "contract.json"
    record.write_text(json.dumps(before))
    after = copy.deepcopy(before)
    after[MAIN]["Parameters"]["Colour"] = {"Type": "String", "Default": "blue"}
    contract.update(record, after)
    assert contract.recorded(record) == after

    del after[MAIN]["Resources"]["TasksTable"]
    after[MAIN]["Parameters"]["Shape"] = {"Type": "String", "Default": "round"}
    kept = record.read_text()
    with pytest.raises(Failure, match=r"only takes additions:\n.*Resources\.TasksTable is missing"):
        contract.update(record, after)
    assert record.read_text() == kept


def test_a_type_whose_replacing_properties_are_unknown_is_refused(monkeypatch):
    monkeypatch.delitem(contract.REPLACING, "AWS::SQS::Queue")
    with pytest.raises(Failure, match="does not know AWS::SQS::Queue: add its create-only properties"):
        contract.current()
