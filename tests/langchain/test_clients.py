"""Real clients against strict servers: no request is refused, images cost what was predicted."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver

from optical_memory.cost import profile
from tests.langchain.conftest import agent, on, say
from tests.langchain.scripted import Scripted

pytest.importorskip("langchain_anthropic", reason="the extra 'providers' is not installed")
pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_google_genai")
pytest.importorskip("uvicorn")
from tests.langchain.clients import CLIENTS, MODELS
from tests.langchain.servers.anthropic import blocks, texts_before_images
from tests.langchain.servers.serving import Script, Server, serving


@pytest.fixture
def server():
    """A server on loopback."""
    with serving(Server()) as started:
        yield started


def talk(runner, turns: int, first: int = 0) -> None:
    for n in range(first, first + turns):
        runner.invoke(say(f"Question {n}: what do the parts of order {n} say?"), on("t"))


def assert_images_as_predicted(server: Server, model: str) -> None:
    """Each image is billed what the profile says, at the level that the profile names."""
    of = profile(model)
    for image in {i for request in server.seen for i in request.bill.images}:
        assert image.tokens == of.image(image.width, image.height)
        assert (image.level or "high").lower() == (of.detail(image.width, image.height) or "high")


@pytest.mark.parametrize("name", CLIENTS)
def test_requests_are_taken_and_cost_what_was_predicted(make, server, name):
    """Every request is valid for its API, within budget, and images are billed to the token."""
    memory = make(model=MODELS[name], budget=3_500)
    talk(agent(CLIENTS[name](server), memory, checkpointer=InMemorySaver()), 6)
    assert server.refused == []
    assert len(server.seen) == 12
    assert sum(len(request.bill.images) for request in server.seen) > 0
    assert_images_as_predicted(server, MODELS[name])
    assert max(request.bill.tokens for request in server.seen) <= 3_500
    calls = memory.stats("t").calls
    assert 0.9 <= calls["billed"] / calls["predicted"] <= 1.0


def marks(payload) -> list[str]:
    """Where a request to Anthropic has breakpoints."""
    found = ["system"] if any("cache_control" in b for b in payload["system"]) else []
    for message in payload["messages"]:
        found += [b["type"] for b in blocks(message) if "cache_control" in b]
    return found + (["tail"] if payload.get("cache_control") else [])


def test_anthropic_gets_native_images_first_and_breakpoints_where_bytes_stay(make, server):
    """After the system prompt, after the last page and at the tail; an image that would be made smaller is refused."""
    talk(
        agent(
            CLIENTS["anthropic"](server), make(model=MODELS["anthropic"], budget=5_000), checkpointer=InMemorySaver()
        ),
        9,
    )
    last = server.seen[-1].payload
    assert marks(last) == ["system", "image", "tail"]
    assert texts_before_images(last) <= 1, "the preamble alone"
    pages = [b for m in last["messages"] for b in blocks(m) if b["type"] == "image"]
    assert all(b["transformations"] == {"oversized_image": "error"} for b in pages)


def test_anthropic_gets_answers_in_a_row_as_one(make, server):
    """A host may append an answer of its own; both are in the request, in their order, and the roles take turns."""
    said = [
        *say("What leaves?")["messages"],
        AIMessage("The ferry."),
        AIMessage("And the barge."),
        *say("When?")["messages"],
    ]
    memory = make(model=MODELS["anthropic"], budget=5_000)
    agent(CLIENTS["anthropic"](server), memory).invoke({"messages": said}, on("t"))
    answer = server.seen[0].payload["messages"][1]
    assert server.refused == []
    assert answer["role"] == "assistant"
    assert [b["text"] for b in blocks(answer)] == ["The ferry.", "And the barge."]


API = pytest.mark.parametrize("api", ["openai-chat", pytest.param("openai-responses", marks=pytest.mark.slow)])


def openai_talk(make, server, api: str, model: str, **options) -> tuple[list[dict], list[int]]:
    """A talk whose last question is taken back for another one: each request, and what was read from the cache for it."""
    memory, saver = make(model=model, budget=3_000), InMemorySaver()
    runner = agent(CLIENTS[api](server, model=model), memory, checkpointer=saver, automatic_recall=False, **options)
    talk(runner, 5)
    back = runner.get_state(on("t")).config
    talk(runner, 1, first=5)
    runner.invoke(say("Something else: what is in the parts of order 1?"), back)
    assert server.refused == []
    with memory.store.read() as reader:
        return [seen.payload for seen in server.seen], [c.cache_read for c in reader.usage(reader.thread("t").id)]


def parts_of(payload) -> list[dict]:
    """All content parts of a request to OpenAI."""
    told = payload.get("messages") or payload["input"]
    return [p for m in told if isinstance(m.get("content"), list) for p in m["content"]]


@API
def test_newer_openai_models_get_breakpoints_where_bytes_stay(make, server, api):
    """GPT-5.6 reads its cache up to a breakpoint only: each call in a run reads the call before, another question the pages."""
    payloads, read = openai_talk(make, server, api, "gpt-5.6-sol")
    shown = parts_of(payloads[-1])
    marked = [p for p in shown if "prompt_cache_breakpoint" in p]
    assert [p["type"].removeprefix("input_").removesuffix("_url") for p in marked] == ["text", "image", "text"]
    assert marked[1] is [p for p in shown if "image" in p["type"]][-1]
    assert marked[2]["text"].startswith("Something else")
    assert len({p["prompt_cache_key"] for p in payloads}) == 1
    billed = [request.bill.tokens for request in server.seen]
    grown = [read[n] / billed[n - 1] for n in range(1, 14, 2) if billed[n - 1] > 1_200]
    assert sum(share > 0.9 for share in grown) >= len(grown) - 1 >= 4, "all but the call after a step"
    assert read[12] > 1_024


@pytest.mark.slow
@API
@pytest.mark.parametrize(("model", "options"), [("gpt-5.4", {}), ("gpt-5.6-sol", {"cache": None})])
def test_models_that_know_no_breakpoints_and_hosts_that_want_none_get_none(make, server, api, model, options):
    """Neither a breakpoint nor a key before GPT-5.6, or with `cache=None`, where nothing is read for another question."""
    payloads, read = openai_talk(make, server, api, model, **options)
    for payload in payloads:
        assert "prompt_cache_key" not in payload
        assert not any("prompt_cache_breakpoint" in p for p in parts_of(payload))
    assert (read[12] > 1_024) == (model == "gpt-5.4")


@pytest.mark.slow
def test_a_round_of_many_parallel_calls_is_found_in_the_cache(make, server):
    """Thirty results are more than Anthropic looks back over: the end of the call before is marked itself."""
    memory = make(model=MODELS["anthropic"], budget=60_000)
    server.script = Script(rounds=2, parallel=30)
    agent(CLIENTS["anthropic"](server), memory, checkpointer=InMemorySaver()).invoke(say("Look at all."), on("t"))
    with memory.store.read() as reader:
        calls = reader.usage(reader.thread("t").id)
    assert server.refused == []
    assert calls[2].cache_read >= calls[1].billed * 0.95


def test_without_a_provider_of_its_own_a_model_gets_the_standard_block(make):
    """What LangChain's other clients translate themselves."""
    model, memory = Scripted(play=lambda _: AIMessage("x " * 300)), make(budget=3_000)
    talk(agent(model, memory, checkpointer=InMemorySaver()), 12)
    blocks = [b for m in model.calls[-1] if isinstance(m.content, list) for b in m.content if b["type"] == "image"]
    assert blocks
    assert all(set(b) == {"type", "base64", "mime_type"} for b in blocks)
