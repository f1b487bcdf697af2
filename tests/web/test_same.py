"""The viewer's model view is the context that the agent sends, byte for byte."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory import OpticalMemory
from optical_memory.errors import BudgetError
from optical_memory.inspection.output import as_json
from optical_memory.inspection.web.desk import Desk
from optical_memory.inspection.web.lookout import Lookout

MODELS = ("claude-opus-5", "gpt-5", "gemini-3-pro", "ocr:tesseract")
words = st.text("abcdefg 0123456789-_.\n{}", min_size=1, max_size=400)
said = st.tuples(words, st.integers(0, 2), words)
threads = st.lists(said, min_size=1, max_size=14)


def rows(thread) -> list[dict]:
    """Runs of a user, some tool rounds, and an answer."""
    out: list[dict] = []
    for n, (asked, calls, answer) in enumerate(thread):
        out.append({"role": "user", "content": asked})
        for c in range(calls):
            call = {"id": f"{n}.{c}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            out += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": f"{n}.{c}", "content": asked * 3},
            ]
        out.append({"role": "assistant", "content": answer})
    return out


def assert_same(file, name: str, thread, model: str, budget: int, steps: int) -> None:
    """A thread grown in `steps` portions: what the viewer shows is what `context` gives."""
    messages = rows(thread)
    with OpticalMemory(file, model=model, budget=budget) as memory:
        for n in range(1, steps + 1):
            memory.remember(name, messages[: max(1, len(messages) * n // steps)])
            try:
                memory.context(name)
            except BudgetError:
                return
    desk = Desk(str(file))
    try:
        told = Lookout(desk).call(name)
    finally:
        desk.close()
    with OpticalMemory(file, model=model, budget=budget) as agent:
        made = agent.context(name)
    assert json.loads(as_json(told["messages"])) == json.loads(as_json(made.to_openai()))
    assert told["tokens"] == made.tokens


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A file for all examples, and a new thread for each: opening a file is what takes time."""
    return tmp_path_factory.mktemp("same") / "memory.db", itertools.count()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(threads, st.sampled_from(MODELS), st.integers(400, 4_000), st.integers(1, 4))
def test_the_next_call_is_the_agent_s_own(place, thread, model, budget, steps):
    """Messages, images and tokens are equal, whatever the thread, the model and the budget."""
    file, numbers = place
    assert_same(file, f"t{next(numbers)}", thread, model, budget, steps)


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False)
@given(threads, st.sampled_from(MODELS), st.integers(300, 6_000), st.integers(1, 5))
def test_a_thousand_threads_are_shown_as_they_are_sent(place, thread, model, budget, steps):
    """The same over many more threads, and over smaller and larger budgets."""
    file, numbers = place
    assert_same(file, f"t{next(numbers)}", thread, model, budget, steps)
