"""Stored text is data: it drives no terminal, is no markup, and breaks no JSON."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.inspection import output
from optical_memory.shown import safe
from tests.inspection.conftest import Command, write_lines

HOSTILE = (
    "\x1b]0;owned\x07\x1b[31mred\x1b[0m [bold red]markup[/] \u202elive\u202c \x9b2J \r over \u200b \x7f \U000e0041 "
    "<script>alert(1)</script>"
)
NAME = "evil\x1b[2J[red]\u202ename"


def harmless(text: str) -> bool:
    """Only line breaks and tabs are left of what Unicode calls control or format."""
    return not [
        c
        for c in text
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t\u06dd\u070f\u08e2"
    ]


@pytest.fixture
def evil(run: Command, tmp_path: Path) -> str:
    messages = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": f"{n} {HOSTILE}", "name": NAME} for n in range(6)
    ]
    assert run("import", write_lines(tmp_path / "evil.jsonl", messages), "--thread", NAME).exit_code == 0
    return NAME


@pytest.mark.parametrize("json_wanted", [False, True])
def test_no_command_lets_stored_text_act(run: Command, evil: str, json_wanted: bool) -> None:
    """Tables, whole texts, JSON and messages on stderr are all harmless, thread names included."""
    commands = [["threads", "--branches"], ["show", evil], ["show", evil, "--full"], ["context", evil], ["search", "live"],
                ["stats", evil], ["explain", evil], ["pin", evil, "1"], ["forget", evil, "--turns", "1", "--dry-run"],
                ["forget", evil], ["show", evil + "x"]]  # fmt: skip
    for arguments in commands:
        result = run(*arguments, *(["--json"] if json_wanted else []))
        assert harmless(result.stdout), arguments
        assert harmless(result.stderr), arguments


def test_markup_is_shown_as_it_was_written(run: Command, evil: str) -> None:
    """Square brackets are text, and what was hidden is made visible."""
    shown = run("show", evil, "--full").stdout
    assert "[bold red]markup[/]" in shown
    assert "␛" in shown
    assert "⟨U+202E⟩live" in shown


def test_json_gives_the_text_back_unchanged(run: Command, evil: str) -> None:
    """Escapes inside JSON strings mean the same characters."""
    rows = json.loads(run("show", evil, "--json").stdout)
    assert rows[0]["text"] == f"0 {HOSTILE}"


@given(st.text(alphabet=st.characters()))
def test_any_text_is_harmless_and_loses_nothing_visible(text: str) -> None:
    """What is printed has no active character; what was harmless is unchanged."""
    shown = safe(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    if text.isprintable():
        assert shown == text


@pytest.mark.slow
@given(
    st.recursive(
        st.text(alphabet=st.characters()) | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_comes_back_equal_and_harmless(value: object) -> None:
    """One document, nothing active in it, and the same value when it is read."""
    text = output.as_json(value)
    assert json.loads(text) == value
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(output.COLOURS)), st.integers(0, 50_000)), max_size=30),
    st.integers(1, 100_000),
)
def test_a_bar_is_as_wide_as_promised(parts: list[tuple[str, int]], whole: int) -> None:
    """60 cells between brackets, whatever the parts."""
    assert len(output.bar(parts, whole)) == 62
