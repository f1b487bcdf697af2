"""What the README says is true of this version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from optical_memory import MemoryConfig
from optical_memory.inspection.cli import app, db_app
from optical_memory.inspection.measuring import bench_app
from tests.langchain.scripted import Scripted

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_plain_example_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It remembers, shows a context and recalls a turn."""
    monkeypatch.chdir(tmp_path)
    (plain,) = [code for code in CODE if "create_agent" not in code]
    found: dict[str, object] = {}
    exec(compile(plain, "README.md", "exec"), found)
    found["memory"].close()  # type: ignore[attr-defined]
    assert "We land in Oslo on the 14th." in capsys.readouterr().out


def test_the_agent_example_runs_as_it_stands_but_for_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scripted model stands where the name of a real one would need a key; the turns are remembered, recall is offered."""
    monkeypatch.chdir(tmp_path)
    (agent,) = [code for code in CODE if "create_agent" in code]
    name = '"anthropic:claude-opus-5"'
    assert name in agent
    model = Scripted(play=lambda _: AIMessage("Noted."))
    found: dict[str, Any] = {"scripted": model}
    exec(compile(agent.replace(name, "scripted"), "README.md", "exec"), found)
    with found["memory"] as memory:
        assert [turn.text for turn in memory.turns("trip")] == ["We land in Oslo on the 14th.", "Noted."]
    assert [tool.name for tool in model.offered] == ["recall_memory"]


def test_the_table_of_settings_names_every_setting_and_its_default() -> None:
    """No setting is missing, none is invented."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", README, re.MULTILINE)
    table = {name: default for name, default in rows if name in MemoryConfig.model_fields}
    assert set(table) == set(MemoryConfig.model_fields)
    for name, default in table.items():
        actual = MemoryConfig.model_fields[name].get_default(call_default_factory=True)
        if actual is not None and actual != {}:
            said = default.strip("`").replace('"', "'").replace("false", "False")
            assert said == repr(actual).replace("_", ""), name


def test_every_command_is_in_the_readme() -> None:
    """No command is missing from the table."""
    names = [c.name or c.callback.__name__ for c in app.registered_commands if c.callback]
    names += [f"db {c.name}" for c in db_app.registered_commands]
    names += [f"bench {c.name}" for c in bench_app.registered_commands]
    section = README[README.index("## The command line") :]
    assert [n for n in names if f"`{n}" not in section] == []
