"""Whatever an agent's history looks like, its projection is a request that every provider takes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, SystemMessage

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
EXAMPLES = int(os.environ.get("OPTICAL_MEMORY_HISTORIES", "200"))
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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROVIDERS)
def test_every_projection_is_a_request_that_the_provider_takes(doors, name):
    """Valid by the provider's rules, within the budget by its formulas, and the same in asyncio."""
    model, memory, other = doors[name]
    payload_of, check, bill = PROVIDERS[name]
    loop = asyncio.new_event_loop()

    @settings(max_examples=EXAMPLES // len(PROVIDERS), deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(calls())
    def run(asked: list[list[Any]]) -> None:
        thread = f"t{next(names)}"
        for index, history in enumerate(asked):
            before = json.dumps([m.model_dump() for m in history], default=str)
            request = sent(model, memory, thread, history, None)
            if index == len(asked) - 1 and next(names) % 4 == 0:
                for earlier in asked[:-1]:
                    sent(model, other, thread, earlier, loop)
                assert seen(request.messages) == seen(sent(model, other, thread, history, loop).messages)
            payload = payload_of(request.model, request)
            check(payload)
            assert bill(payload).tokens <= BUDGET
            assert before == json.dumps([m.model_dump() for m in history], default=str), (
                "the host's messages were changed"
            )

    try:
        run()
    finally:
        loop.close()
