"""What cannot be meant is refused at once, by its name and with what to give instead, and nothing is stored."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from optical_memory import ConfigError, OpticalMemory, ThreadNotFoundError, TranscriptError
from tests.memory.test_facade import talk


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": 3}, "url=3: give a database URL or the path"),
        ({"url": None}, "url=None"),
        ({"url": b"memory.db"}, "url=b'memory.db'"),
        ({"config": {"budget": 3_000}}, "settings go by keyword"),
        ({"count": 3}, "count=3: give a function"),
        ({"clock": datetime(2026, 1, 1, tzinfo=UTC)}, "clock=.*give a function"),
        ({"embeddings": "text-embedding-3-small"}, "embeddings=.*give LangChain Embeddings"),
        ({"lock_timeout": -1}, "lock_timeout=-1: give seconds"),
        ({"lock_timeout": "long"}, "lock_timeout='long'"),
    ],
)
def test_a_memory_of_what_cannot_be_one_is_refused_when_it_is_made(tmp_path: Path, options, told):
    with pytest.raises(ConfigError, match=told):
        OpticalMemory(**{"url": tmp_path / "memory.db", **options})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_refused_when_the_memory_is_made(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"is a folder: give a file in it, such as .*memory\.db"):
        OpticalMemory(tmp_path)


@pytest.mark.parametrize(
    "messages",
    [None, 3, "hello", {"role": "user", "content": "hello"}, b"hello"],
    ids=["none", "int", "str", "dict", "bytes"],
)
def test_what_is_no_list_of_messages_is_refused(make, messages):
    with pytest.raises(TranscriptError, match="give a list of messages"):
        make().remember("t", messages)
    assert make().threads() == []


def test_a_single_langchain_message_is_refused_and_not_taken_apart(make):
    messages = pytest.importorskip("langchain_core.messages")
    with pytest.raises(TranscriptError, match="messages is a HumanMessage: give a list"):
        make().remember("t", messages.HumanMessage("hello"))


@pytest.mark.parametrize("thread", [3, None, b"t", ["t"]])
def test_a_thread_is_named_by_a_text(make, thread):
    memory = make()
    for asked in (
        lambda: memory.remember(thread, talk(1)), lambda: memory.context(thread), lambda: memory.recall(thread, "x"),
        lambda: memory.turns(thread), lambda: memory.forget(thread), lambda: memory.explain(thread),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="such as 'trip'"):
            asked()
    assert memory.threads() == []


def test_a_name_that_no_database_could_keep_is_no_thread(make):
    memory = make()
    with pytest.raises(ConfigError, match="lone surrogates"):
        memory.remember("\ud800", talk(1))
    with pytest.raises(ThreadNotFoundError):
        memory.context("\ud800")


def test_arguments_that_cannot_be_meant_are_refused_by_name(make):
    memory = make()
    memory.remember("t", talk(6))
    wrong = {
        "budget='x'": lambda: memory.context("t", budget="x"),
        "budget=1.5": lambda: memory.context("t", budget=1.5),
        "model=3": lambda: memory.context("t", model=3),
        "reserved=-1": lambda: memory.context("t", reserved=-1),
        "reserved=None": lambda: memory.context("t", reserved=None),
        "reserved='x'": lambda: memory.explain("t", reserved="x"),
        "query=3": lambda: memory.context("t", query=3),
        "query=None": lambda: memory.recall("t", None),
        "limit='x'": lambda: memory.recall("t", "x", limit="x"),
        "limit=1.5": lambda: memory.search("t", "x", limit=1.5),
        "limit=-1": lambda: memory.threads(limit=-1),
        "match=3": lambda: memory.threads(match=3),
        "first='x'": lambda: memory.turns("t", first="x"),
        "last=-1": lambda: memory.turns("t", last=-1),
        "tier='foo'": lambda: memory.pages("t", tier="foo"),
        "weight='x'": lambda: memory.weigh("t", 1, "x"),
        "thread=3": lambda: memory.copy("t", 3),
        "usage=None": lambda: memory.observe(None, memory.context("t")),
        "context=None": lambda: memory.observe({"input_tokens": 9}, None),
    }
    for told, asked in wrong.items():
        with pytest.raises(ConfigError, match=told):
            asked()
    with pytest.raises(ThreadNotFoundError):
        memory.stats("")


def test_a_schedule_that_returns_no_tier_is_named(make):
    memory = make(schedule=lambda age: "blurred", budget=900)
    memory.remember("t", talk(200))
    with pytest.raises(ConfigError, match="gave 'blurred' for Age.*; let it give one of text, vivid"):
        memory.context("t")


@pytest.mark.slow
def test_a_memory_that_names_no_model_is_told_to_name_one():
    """And not to register a model of the name "unknown"."""
    code = "from optical_memory import OpticalMemory; OpticalMemory('sqlite://').profile"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert "no model is named" in told
    assert 'model="..."' in told
    assert "register_model" not in told
