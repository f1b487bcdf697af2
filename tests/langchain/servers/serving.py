"""One server on loopback for all four APIs: it checks, bills, answers by a script, and keeps what it was sent."""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import tests.langchain.servers.anthropic as anthropic
import tests.langchain.servers.gemini as gemini
import tests.langchain.servers.openai as openai
from tests.langchain.servers.common import Bill, Refused

Payload = dict[str, Any]


@dataclass(slots=True)
class Seen:
    """One request: what was sent, in bytes too, what it was billed, and when it came."""

    payload: Payload
    size: int
    bill: Bill


@dataclass(slots=True)
class Script:
    """Calls tools `rounds` times after each question, `parallel` at once, then answers with `words` words."""

    rounds: int = 1
    parallel: int = 1
    words: int = 40
    done: int = 0
    made: int = 0

    def next(self, asked: bool) -> tuple[str, list[tuple[str, Payload]]]:
        self.done = 0 if asked else self.done + 1
        self.made += 1
        if self.done >= self.rounds:
            return " ".join(f"word{self.made}_{n}" for n in range(self.words)), []
        return "", [("look", {"path": f"src/part_{self.made}_{n}.py"}) for n in range(self.parallel)]


@dataclass
class Server:
    """What all four APIs share in a test; `before` may refuse or delay a request by itself."""

    script: Script = field(default_factory=Script)
    seen: list[Seen] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    claude: anthropic.Memory = field(default_factory=anthropic.Memory)
    items: openai.Items = field(default_factory=openai.Items)
    chat: set[str] = field(default_factory=set)
    signatures: gemini.Signatures = field(default_factory=gemini.Signatures)
    before: Callable[[Payload], None] | None = None
    url: str = ""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/messages", self.messages, methods=["POST"]),
                Route("/v1/chat/completions", self.completions, methods=["POST"]),
                Route("/v1/responses", self.responses, methods=["POST"]),
                Route("/v1beta/models/{call}", self.generate, methods=["POST"]),
            ]
        )

    async def messages(self, request: Request) -> Response:
        def run(payload: Payload) -> Payload:
            anthropic.check(payload)
            self.claude.judge(payload)
            self.seen[-1].bill = anthropic.bill(payload)
            return anthropic.answer(payload, self.claude, *self.script.next(anthropic.asked(payload)), len(self.seen))

        return await self._taken(request, run, lambda m: ((e["type"], e) for e in anthropic.events(m)))

    async def completions(self, request: Request) -> Response:
        def run(payload: Payload) -> Payload:
            openai.check_chat(payload)
            self.seen[-1].bill = openai.bill_chat(payload)
            return openai.answer_chat(payload, self.chat, *self.script.next(openai.asked_chat(payload)), len(self.seen))

        return await self._taken(request, run, lambda c: ((None, chunk) for chunk in [*openai.chunks(c), "[DONE]"]))

    async def responses(self, request: Request) -> Response:
        def run(payload: Payload) -> Payload:
            openai.check_responses(payload)
            self.items.judge(payload)
            self.seen[-1].bill = openai.bill_responses(payload)
            return openai.answer_responses(
                payload, self.items, *self.script.next(openai.asked_responses(payload)), len(self.seen)
            )

        return await self._taken(request, run, lambda r: ((e["type"], e) for e in openai.response_events(r)))

    async def generate(self, request: Request) -> Response:
        def run(payload: Payload) -> Payload:
            gemini.check(payload)
            self.signatures.judge(payload)
            self.seen[-1].bill = gemini.bill(payload)
            return gemini.answer(payload, self.signatures, *self.script.next(gemini.asked(payload)), len(self.seen))

        streamed = str(request.path_params["call"]).endswith("streamGenerateContent")
        return await self._taken(request, run, lambda r: iter([(None, r)]), streamed)

    async def _taken(
        self, request: Request, run: Callable[[Payload], Payload], told: Callable[[Payload], Iterable[Any]],
        streamed: bool | None = None,
    ) -> Response:  # fmt: skip
        body = await request.body()
        payload = json.loads(body)
        try:
            if self.before:
                self.before(payload)
            self.seen.append(Seen(payload, len(body), Bill()))
            answer = run(payload)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:  # a form that no rule foresees
            self.refused.append(traceback.format_exc())
            return JSONResponse({"error": {"type": "server_error", "message": repr(error)}}, 400)
        except Refused as error:
            self.refused.append(error.words)
            return JSONResponse(
                {"error": {"type": "invalid_request_error", "message": error.words, "code": None}}, error.status
            )
        if payload.get("stream") if streamed is None else streamed:
            return StreamingResponse(_lines(told(answer)), media_type="text/event-stream")
        return JSONResponse(answer)


def _lines(events: Iterable[tuple[str | None, Any]]) -> Iterator[str]:
    for name, data in events:
        head = f"event: {name}\n" if name else ""
        yield f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server on a free port of loopback, in a thread of its own."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        # on a busy machine a client may come back after more than the usual five seconds, just as the server hangs up
        options = {"log_level": "warning", "lifespan": "off", "timeout_keep_alive": 600}
        runner = uvicorn.Server(uvicorn.Config(server.app(), **options))
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{port}"
        while not runner.started:
            time.sleep(0.01)
        try:
            yield server
        finally:
            runner.should_exit = True
            thread.join()
