"""Other middleware beside ours, in the recommended order: each does its work, and so does the memory."""

from __future__ import annotations

from itertools import combinations

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    PIIMiddleware,
)
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from optical_memory.langchain import OpticalMemoryMiddleware
from tests.langchain.conftest import assert_pairs_whole, billed, boom, look, looks, on, say
from tests.langchain.scripted import Scripted

BUDGET = 4_000


def failing(times: int):
    """A model's script that fails now and then: every fifth call, `times` times in a row."""
    files, state = looks(1), {"calls": 0, "left": 0}

    def play(messages):
        state["calls"] += 1
        if state["left"] == 0 and state["calls"] % 5 == 0:
            state["left"] = times
        if state["left"]:
            state["left"] -= 1
            raise ConnectionError("no line")
        return files(messages)

    return play


def layers(name, spare):
    """(the layer, does it stand outside of the memory?)."""
    return {
        "retry": lambda: (ModelRetryMiddleware(max_retries=3, initial_delay=0.0, jitter=False), True),
        "fallback": lambda: (ModelFallbackMiddleware(spare), True),
        "pii": lambda: (PIIMiddleware("email", strategy="redact", apply_to_input=True, apply_to_output=True), True),
        "human": lambda: (HumanInTheLoopMiddleware({"boom": True}), True),
        "editing": lambda: (ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=1_500, keep=2)]), False),
        "caching": lambda: (caching(), False),
    }[name]()


def caching():
    module = pytest.importorskip("langchain_anthropic.middleware", reason="the extra 'providers' is not installed")
    return module.AnthropicPromptCachingMiddleware(unsupported_model_behavior="ignore")


NAMES = ["retry", "fallback", "pii", "human", "editing", "caching"]


PAIRS = [pytest.param(pair, marks=pytest.mark.slow) for pair in combinations(NAMES, 2)]


@pytest.mark.parametrize("names", [*((n,) for n in NAMES), *PAIRS], ids="+".join)
def test_the_memory_works_beside_others(make, names):
    """Each call in the budget with whole pairs, each message remembered once, mails redacted in the database too."""
    memory, spare = make(budget=BUDGET), Scripted(play=looks(1))
    model = Scripted(play=failing(2 if "retry" in names else 1 if "fallback" in names else 0))
    made = [layers(name, spare) for name in names]
    ours = OpticalMemoryMiddleware(memory, strict=True)
    order = [layer for layer, outside in made if outside] + [ours] + [layer for layer, outside in made if not outside]
    runner = create_agent(
        model, [look, boom], system_prompt="You read files.", middleware=order, checkpointer=InMemorySaver()
    )
    for n in range(8):
        state = runner.invoke(
            say(f"Question {n}: write to ann.lee{n}@example.com what you find. {'more ' * 60}"), on("t")
        )
    sent = [*model.calls, *spare.calls]
    for call in sent:
        assert_pairs_whole(call)
        assert billed(call, model.offered) <= BUDGET
    assert len([t for t in memory.turns("t") if t.text]) == len([m for m in state["messages"] if m.type != "tool"])
    assert ("example.com" in " ".join(t.text for t in memory.turns("t"))) != ("pii" in names)
    assert ("fallback" in names) == bool(spare.calls) or "retry" in names
    if names == ("editing",):
        assert any("[cleared]" in str(m.content) for call in sent for m in call)


def test_a_call_that_a_person_has_to_approve_goes_on_where_it_was(make):
    """Interrupted before a tool, approved, edited and rejected: pairs are whole, and the memory has what was done."""
    from tests.langchain.scripted import calling

    def play(messages):
        return calling("look", len(model.calls), path="x") if messages[-1].type == "human" else AIMessage("Done.")

    memory, model = make(budget=BUDGET), Scripted(play=play)
    layer = HumanInTheLoopMiddleware({"look": {"allowed_decisions": ["approve", "edit", "reject"]}})
    ours = OpticalMemoryMiddleware(memory, strict=True)
    runner = create_agent(model, [look], middleware=[layer, ours], checkpointer=InMemorySaver())
    edited = {"type": "edit", "edited_action": {"name": "look", "args": {"path": "src/other.py"}}}
    for n, decision in enumerate([{"type": "approve"}, edited, {"type": "reject", "message": "not now"}]):
        runner.invoke(say(f"Read it, {n}."), on("t"))
        runner.invoke(Command(resume={"decisions": [decision]}), on("t"))
    for call in model.calls:
        assert_pairs_whole(call)
    told = [t.text for t in memory.turns("t")]
    assert any("src/other.py" in text for text in told)
    assert any("not now" in text for text in told)
    assert memory.threads()[0].turns == 9


def test_prompt_caching_and_ours_keep_to_four_breakpoints(make):
    """Inside or outside of ours: never more than four, and one of them after the pages."""
    pytest.importorskip("langchain_anthropic", reason="the extra 'providers' is not installed")
    from tests.langchain.clients import opus
    from tests.langchain.servers.anthropic import blocks, controls
    from tests.langchain.servers.serving import Server, serving

    for order in (0, 1):
        with serving(Server()) as server:
            ours = OpticalMemoryMiddleware(make(f"{order}.db", budget=3_500, model="claude-opus-4-5"), strict=True)
            middleware = [ours, caching()] if order else [caching(), ours]
            runner = create_agent(
                opus(server),
                [look],
                system_prompt="You read files.",
                middleware=middleware,
                checkpointer=InMemorySaver(),
            )
            for n in range(6):
                runner.invoke(say(f"Question {n}: what do the parts of order {n} say?"), on("t"))
        assert server.refused == []
        last = server.seen[-1].payload
        assert len([c for c in controls(last) if c]) == 4
        pages = [b for m in last["messages"] for b in blocks(m) if b["type"] == "image"]
        assert [bool(b.get("cache_control")) for b in pages] == [False] * (len(pages) - 1) + [True]
