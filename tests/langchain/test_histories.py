"""Whatever an agent's history looks like, its projection is a request that every provider takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from optical_memory import OpticalMemory
from optical_memory.langchain import OpticalMemoryMiddleware
from tests.langchain.conftest import boom, look, seen
from tests.langchain.histories import calls

pytest.importorskip("langchain_anthropic", reason="the extra 'providers' is not installed")
pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_google_genai")
import tests.langchain.servers.anthropic as anthropic
import tests.langchain.servers.gemini as google
import tests.langchain.servers.openai as openai
from tests.langchain.clients import CLIENTS, MODELS

NOWHERE = SimpleNamespace(url="http://127.0.0.1:9")
EXAMPLES = 16  # talks for each provider, about 50 histories; the slow tests take many more
BUDGET = 6_000
names = count(1)


def google_payload(model: Any, messages: list[Any], tools: list[Any]) -> dict[str, Any]:
    """What the client would send; its SDK writes the keys in the API's way."""
    from google.genai._common import encode_unserializable_types

    prepared = model._prepare_request(messages, tools=tools)
    dumped = [c.model_dump(by_alias=True, exclude_none=True) for c in prepared["contents"]]
    system = prepared["config"].system_instruction
    told: dict[str, Any] = {"contents": dumped}
    if system is not None:
        told["systemInstruction"] = system.model_dump(by_alias=True, exclude_none=True)
    return json.loads(json.dumps(encode_unserializable_types(told)))


Checked = tuple[Callable[[Any, ModelRequest], dict[str, Any]], Callable[[Any], None], Callable[[Any], Any]]
PROVIDERS: dict[str, Checked] = {
    "anthropic": (
        lambda m, r: m.bind_tools(r.tools).bound._get_request_payload([r.system_message, *r.messages], **r.model_settings),
        anthropic.check, anthropic.bill,
    ),
    "openai-chat": (
        lambda m, r: m._get_request_payload([r.system_message, *r.messages]), openai.check_chat, openai.bill_chat,
    ),
    "openai-responses": (
        lambda m, r: m._get_request_payload([r.system_message, *r.messages]), openai.check_responses, openai.bill_responses,
    ),
    "gemini": (
        lambda m, r: google_payload(m, [r.system_message, *r.messages], r.tools), google.check, google.bill,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def doors(tmp_path_factory) -> Iterator[dict[str, tuple[Any, Any, Any]]]:
    """For each provider its client, and two middlewares on memories of their own."""
    folder, made, opened = tmp_path_factory.mktemp("histories"), {}, []
    for name in PROVIDERS:
        pair = []
        for kind in ("sync", "async"):
            memory = OpticalMemory(folder / f"{name}-{kind}.db", model=MODELS[name], budget=BUDGET)
            opened.append(memory)
            pair.append(memory)
        made[name] = (CLIENTS[name](NOWHERE), *pair)
    yield made
    for memory in opened:
        memory.close()


def sent(model: Any, memory: OpticalMemory, thread: str, history: list[Any], loop: Any) -> ModelRequest:
    """The request that the middleware makes of a history; in asyncio where there is a loop."""
    middleware = OpticalMemoryMiddleware(memory, thread=thread, strict=True)
    tools = [*middleware.tools, look, boom]
    request = ModelRequest(
        model=model, messages=history, system_message=SystemMessage("You look after pumps."), tools=tools, tool_choice=None,
        response_format=None, state={"messages": history}, runtime=None, model_settings={},
    )  # fmt: skip
    out: list[ModelRequest] = []

    def handler(got: ModelRequest) -> ModelResponse:
        out.append(got)
        return ModelResponse(result=[AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "x"}])])

    async def ahandler(got: ModelRequest) -> ModelResponse:
        return handler(got)

    if loop is None:
        middleware.wrap_model_call(request, handler)
    else:
        loop.run_until_complete(middleware.awrap_model_call(request, ahandler))
    return out[0]


def projected(door: tuple[Any, Any, Any], name: str, examples: int, chosen: int | None = None) -> int:
    """How many histories of so many talks were projected, each of them checked; a fourth of the talks in asyncio too.

    The talks are the same each time, or those of the seed that was `chosen`.
    """
    model, memory, other = door
    payload_of, check, bill = PROVIDERS[name]
    loop, done = asyncio.new_event_loop(), count(1)

    @(seed(chosen) if chosen is not None else lambda test: test)
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=chosen is None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(calls())
    def run(asked: list[list[Any]]) -> None:
        thread = f"t{next(names)}"
        for history in asked:
            before = [m.model_dump_json() for m in history]
            request = sent(model, memory, thread, history, None)
            payload = payload_of(request.model, request)
            check(payload)
            assert bill(payload).tokens <= BUDGET
            assert before == [m.model_dump_json() for m in history], "the host's messages were changed"
            next(done)
        if next(names) % 4 == 0:
            twins = [sent(model, other, thread, history, loop) for history in asked]
            assert seen(request.messages) == seen(twins[-1].messages)

    try:
        run()
    finally:
        loop.close()
    return next(done) - 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROVIDERS)
def test_every_projection_is_a_request_that_the_provider_takes(doors, name):
    """Valid by the provider's rules, within the budget by its formulas, and the same in asyncio."""
    assert projected(doors[name], name, EXAMPLES) >= EXAMPLES


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("beside", [[], [{"name": "look", "args": {"path": "a"}, "id": "c2"}]], ids=["alone", "beside"])
def test_a_call_with_broken_arguments_reaches_the_provider_with_its_result(doors, name, beside):
    """Its result is in the request, alone or beside a good call's, and the request is one that the provider takes."""
    model, memory, _ = doors[name]
    broken = {"name": "look", "args": "{", "id": "c1", "error": "no JSON"}
    told = [ToolMessage(f"result of {i}", tool_call_id=i, name="look") for i in ("c1", *(c["id"] for c in beside))]
    history = [HumanMessage("Look."), AIMessage("", tool_calls=beside, invalid_tool_calls=[broken]), *told]
    payload_of, check, _ = PROVIDERS[name]
    request = sent(model, memory, f"broken{next(names)}", history, None)
    payload = payload_of(request.model, request)
    check(payload)
    assert all(m.content in json.dumps(payload) for m in told)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROVIDERS)
def test_two_answers_in_a_row_reach_the_provider(doors, name):
    """Where what a person said between two answers is not shown, the second may be a call: both are in the request."""
    model, memory, _ = doors[name]
    call = AIMessage("I look.", tool_calls=[{"name": "look", "args": {"path": "a"}, "id": "c1"}])
    history = [
        HumanMessage("Look."),
        AIMessage("All is well."),
        call,
        ToolMessage("row 1", tool_call_id="c1", name="look"),
    ]
    payload_of, check, _ = PROVIDERS[name]
    request = sent(model, memory, f"twice{next(names)}", history, None)
    payload = payload_of(request.model, request)
    check(payload)
    assert all(str(m.content) in json.dumps(payload) for m in history)


@pytest.mark.filterwarnings("ignore")
def test_an_answer_of_reasoning_alone_leaves_no_gap_where_its_reasoning_goes(doors):
    """Before a message that is cut only reasoning that is known to be bound stays: an answer of nothing else goes whole."""
    model, memory, _ = doors["anthropic"]
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    history = [
        HumanMessage("Look.", id="1"),
        AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "c1"}], id="2"),
        ToolMessage("All is well.", tool_call_id="c1", id="3"),
        AIMessage([thought], id="4"),
        HumanMessage("the pump is late " * 6_000, id="5"),
    ]
    payload_of, check, bill = PROVIDERS["anthropic"]
    request = sent(model, memory, f"alone{next(names)}", history, None)
    payload = payload_of(request.model, request)
    check(payload)
    assert bill(payload).tokens <= BUDGET
    assert "All is well." in json.dumps(payload)


ODD = [
    {"type": "text"}, {"type": "text", "text": None}, {"text": "hi"}, {"cachePoint": {"type": "default"}}, {},
    {"type": ["text"]}, {"type": "text", "text": "hi", "cache_control": True},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", ODD, ids=str)
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_block_without_words_or_type_is_no_error_of_ours(doors, name, block):
    """Alone in what a person says, alone in an answer, and in one of two answers in a row: the rest is sent all the same."""
    model, memory, _ = doors[name]
    call = AIMessage("I look.", tool_calls=[{"name": "look", "args": {"path": "a"}, "id": "c1"}])
    round_ = [call, ToolMessage("row 1", tool_call_id="c1", name="look")]
    for odd in ([HumanMessage([block])], [HumanMessage("Hello."), AIMessage([block])]):
        request = sent(model, memory, f"odd{next(names)}", [*odd, HumanMessage("Look."), *round_], None)
        assert [m.text for m in request.messages[-3:]] == ["Look.", "I look.", "row 1"]
    request = sent(model, memory, f"odd{next(names)}", [HumanMessage("Look."), AIMessage([block]), *round_], None)
    assert [m.type for m in request.messages[-2:]] == ["ai", "tool"]
    assert request.messages[-2].text.endswith("I look.")
