"""Transcripts come in whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from tests.inspection.conftest import Command, talk, write_lines

GOOD = {"role": "user", "content": "hello"}


def test_every_message_of_a_file_is_in_the_thread_of_its_name(
    run: Command, told: Callable[..., Any], tmp_path: Path
) -> None:
    """Message counts in and out agree, and the source comes back as it was."""
    messages = talk(30)
    result = run("import", write_lines(tmp_path / "port.jsonl", messages))
    assert result.exit_code == 0
    assert f"{len(messages)} messages, 30 new turns in thread port (30 in all)" in result.stdout
    with OpticalMemory(tmp_path / "memory.db", model="claude-opus-5") as memory:
        back = [m for turn in memory.turns("port") for m in turn.messages]
    assert back == messages


def test_importing_twice_changes_nothing(run: Command, told: Callable[..., Any], tmp_path: Path) -> None:
    """Remembering is idempotent, so a repeated import adds no turn."""
    file = write_lines(tmp_path / "port.jsonl", talk(12))
    run("import", file)
    (again,) = told("import", file)
    assert (again["new_turns"], again["turns"]) == (0, 12)


def test_a_name_can_be_given(run: Command, told: Callable[..., Any], tmp_path: Path) -> None:
    """--thread is the thread's name, whatever the file is called."""
    run("import", write_lines(tmp_path / "a.jsonl", [GOOD]), "--thread", "other")
    assert [t["thread"] for t in told("threads")] == ["other"]


BROKEN = {
    "not JSON": ('{"role": "user",', "is no JSON"),
    "an array": ("[1, 2]", "is a JSON array"),
    "no role": ('{"content": "x"}', "role None"),
    "a strange role": ('{"role": "robot", "content": "x"}', "role 'robot'"),
    "an answer without its call": ('{"role": "tool", "tool_call_id": "z", "content": "x"}', "no such call"),
    "an answer without an id": ('{"role": "tool", "content": "x"}', "tool_call_id"),
    "calls of no shape": ('{"role": "assistant", "content": "x", "tool_calls": "abc"}', "give a list"),
    "deep nesting": ("[" * 100_000, "JSON"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_line_stops_its_file_and_no_other(
    run: Command, told: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    """File, line and reason are named, nothing of that file is stored, the next file comes in, the exit code is 1."""
    line, reason = BROKEN[kind]
    bad = tmp_path / "bad.jsonl"
    bad.write_text(f"{json.dumps(GOOD)}\n\n{line}\n", encoding="utf-8")
    result = run("import", bad, write_lines(tmp_path / "good.jsonl", [GOOD]))
    assert result.exit_code == 1
    assert f"{bad}:3: " in result.stderr
    assert reason in result.stderr
    assert [t["thread"] for t in told("threads")] == ["good"]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "holds no messages"), (b'{"role": "user", "content": "\xff"}', "is not UTF-8")]
)
def test_a_file_without_text_is_refused(run: Command, tmp_path: Path, content: bytes, reason: str) -> None:
    """An empty file and another encoding are named as such."""
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(content)
    result = run("import", bad)
    assert result.exit_code == 1
    assert reason in result.stderr


def test_a_missing_file_is_named(run: Command, tmp_path: Path) -> None:
    """What cannot be opened is an error of that file, not a traceback."""
    result = run("import", tmp_path / "none.jsonl")
    assert result.exit_code == 1
    assert "none.jsonl: cannot be read" in result.stderr


def test_a_byte_order_mark_is_no_part_of_the_text(run: Command, tmp_path: Path) -> None:
    """Files from Windows editors come in too."""
    file = tmp_path / "bom.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n")
    assert run("import", file).exit_code == 0


@pytest.mark.parametrize("data", ["é", "a", "abcde", "%%%%", ""])
def test_an_image_of_no_base64_comes_in_as_it_is(
    run: Command, told: Callable[..., Any], tmp_path: Path, data: str
) -> None:
    """Nobody can open it, and that is no reason to lose the conversation round it."""
    odd = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    file = write_lines(tmp_path / "odd.jsonl", [{"role": "user", "content": [odd]}, *talk(3)])
    result = run("import", file)
    assert result.exit_code == 0, result.exception
    assert [t["turn"] for t in told("show", "odd")] == [1, 2, 3, 4]
    for command in (["context", "odd"], ["explain", "odd"], ["export", "odd", tmp_path / "out"]):
        assert run(*command).exit_code == 0, command
