"""What `--json` says keeps to the schema that is kept beside these tests, command by command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optical_memory.inspection.cli import app
from optical_memory.inspection.database import db_app
from tests.inspection.outputs import COMMANDS, outputs
from tests.inspection.schemas import file_of, schema, wrong

WITHOUT = {"demo", "view", "calibrate"}  # they show, or take a model to read: their own tests look at what they write


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Every command's outputs over one database."""
    return outputs(tmp_path_factory.mktemp("outputs"))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_output_keeps_to_its_schema(said: dict[str, list[Any]], name: str) -> None:
    """No key is missing, none is new, and each is of its kind; after a change that is meant, make the schemas anew."""
    kept = json.loads(file_of(name).read_text(encoding="utf-8"))
    found = [line for value in said[name] for line in wrong(value, kept)]
    assert not found, f"{found[:5]}; if this is meant: python -m tests.inspection.outputs"


def test_every_command_that_speaks_json_has_a_schema() -> None:
    """None is forgotten."""
    names = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    names |= {f"db-{c.name}" for c in db_app.registered_commands}
    assert (names - WITHOUT) | {"page-after"} == set(COMMANDS)
    assert {f.stem for f in Path(file_of("x")).parent.glob("*.json")} == set(COMMANDS)


def test_a_schema_refuses_what_it_should() -> None:
    """A missing key, a new one, another kind."""
    kept = schema([{"a": 1, "b": [{"c": "x"}]}, {"a": None, "b": []}])
    assert list(wrong({"a": 2, "b": [{"c": "y"}]}, kept)) == []
    assert list(wrong({"a": 2}, kept)) == ["$.b is missing"]
    assert list(wrong({"a": 2, "b": [], "d": 1}, kept)) == ["$.d is new: it is not in the schema"]
    assert list(wrong({"a": "2", "b": [{"c": 3}]}, kept)) == [
        "$.a is string, not integer or null",
        "$.b[0].c is integer, not string",
    ]
