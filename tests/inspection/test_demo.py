"""The demo is real: its tools read this machine, its model follows the script, its page stands by itself."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from optical_memory import OpticalMemory
from optical_memory.inspection.demo import agent, measure, report, tools
from optical_memory.messages import SOURCE
from optical_memory.planning.context import Segment
from tests.inspection.conftest import BUDGET, MODEL, Command, talk, write_lines


def test_the_tools_read_the_library_that_runs_them() -> None:
    """Lines, definitions, matches and versions are those of this Python."""
    source = Path(json.__file__).read_text(encoding="utf-8")
    assert f"{len(source.splitlines()):>6} lines" in tools.list_modules("json")
    assert source.splitlines()[0] in tools.read_module("json/__init__.py", 1, 3)
    names = [n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
    assert all(f"def {name}(" in tools.outline("json/__init__.py") for name in names)
    assert "json/decoder.py:" in tools.grep("class JSONDecodeError", "json")
    assert f"Version: {metadata.version('rich')}" in tools.package_metadata("rich")
    assert f"rich=={metadata.version('rich')}" in tools.list_packages()


@pytest.mark.parametrize("path", ["../../../etc", "/etc/passwd", "json/../../.."])
def test_the_tools_stay_inside_the_library(path: str) -> None:
    """A path that leads elsewhere is refused."""
    with pytest.raises(ValueError, match="not in the standard library"):
        tools.read_module(path, 1, 2)


def test_a_long_result_is_cut_and_says_so() -> None:
    """No result is larger than promised."""
    text = tools.grep(".", "asyncio")
    assert len(text) < tools.MOST + 100
    assert text.endswith(f"... cut at {tools.MOST} characters")


def test_every_call_of_the_script_works_on_this_machine() -> None:
    """Each tool call of each task gives a result, so that the agent has at least 60 turns of real material."""
    by_name = {tool.__name__: tool for tool in tools.TOOLS}
    tasks = agent.script()
    for task in tasks[:-1]:
        results = [by_name[name](**arguments) for calls in task.rounds for name, arguments in calls]
        assert all(results)
        assert task.answer(results)
    assert sum(len(task.rounds) + 2 for task in tasks) >= 60


def test_the_model_goes_through_a_task_step_by_step() -> None:
    """A round of calls, then the next, then the answer, though earlier rounds have become pages meanwhile."""
    tasks = agent.script()
    question, pages = HumanMessage(tasks[1].question), HumanMessage("pages", additional_kwargs={"lc_source": SOURCE})
    shown: list[BaseMessage] = []
    results: dict[str, str] = {}
    for calls in tasks[1].rounds:
        step = agent.next_message(tasks, [question, pages, *shown], results)
        assert [c["name"] for c in step.tool_calls] == [name for name, _ in calls]
        shown = [step, *(ToolMessage("one\ntwo: x", tool_call_id=c["id"]) for c in step.tool_calls)]
        results |= {str(c["id"]): "one\ntwo: x" for c in step.tool_calls}
    last = agent.next_message(tasks, [question, pages, *shown], results)
    assert isinstance(last, AIMessage)
    assert not last.tool_calls


def test_dropping_the_oldest_counts_what_fits() -> None:
    """Newest first, whole turns, never over the budget."""
    assert measure.kept_by_dropping([5, 5, 5, 5], 11) == 2
    assert measure.kept_by_dropping([5, 5], 10) == 2
    assert measure.kept_by_dropping([50], 10) == 0


def test_a_turn_that_its_page_leaves_out_is_not_counted_as_readable(harbour: str, database: Path) -> None:
    """The demo's figures are those of the thread: every turn once, at the tier that it really has."""
    with OpticalMemory(database, model=MODEL, budget=BUDGET, read_only=True) as memory:
        held = Counter(turn.tier for turn in memory.turns(harbour))
        found = measure.by_tier(memory.context(harbour, dry_run=True), 60)
    assert held["handle"] > 0
    assert {kind: count for kind, count in found.items() if count} == dict(held)


def test_the_strip_of_the_report_is_as_long_as_the_conversation() -> None:
    """Turns stand at their places: what is not shown has room of its own, so that the newest end at the right."""
    segments = (Segment("vivid", (3, 5), 9), Segment("text", (8, 9), 9))
    strip = "".join(report._placed(segments, 10))
    told = re.findall(r'class="([\w-]+)" style="width:([\d.]+)%"', strip)
    assert [kind for kind, _ in told] == ["handle", "vivid", "handle", "text", "handle"]
    assert [float(width) for _, width in told] == [20, 30, 20, 20, 10]


def test_a_transcript_of_ones_own_becomes_a_page_to_look_at(run: Command, tmp_path: Path) -> None:
    """The report stands alone: no script, no address, and the images in it are the pages that were written."""
    file = write_lines(tmp_path / "own.jsonl", [*talk(60), {"role": "user", "content": "<script>alert(1)</script>"}])
    result = run("demo", "--out", tmp_path / "out", "--transcript", file, "--budget", "4000", db=None)
    assert result.exit_code == 0, result.output
    assert "61 turns of the conversation in own.jsonl" in result.stdout
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"""\b(src|href)\s*=\s*"(?!data:)""", page)
    assert "url(" not in page
    pages = list((tmp_path / "out" / "next-call").glob("*.png"))
    assert pages
    assert page.count("data:image/png;base64,") >= len(pages)


def test_a_transcript_that_cannot_be_read_leaves_nothing(run: Command, tmp_path: Path) -> None:
    """Exit code 1 with file and line, and no folder appears."""
    file = tmp_path / "own.jsonl"
    file.write_text("no\n", encoding="utf-8")
    result = run("demo", "--out", tmp_path / "out", "--transcript", file, db=None)
    assert result.exit_code == 1
    assert f"{file}:1: is no JSON" in result.stderr
    assert not (tmp_path / "out").exists()
