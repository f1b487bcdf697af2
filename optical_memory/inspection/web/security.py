"""The door of the viewer: who may ask, from where, and what a browser may do with the answers.

It stands before everything else, so that no route can be forgotten: a page of another site must neither read what a
memory holds (DNS rebinding, embedding) nor change it (forged posts), and what is stored must not run.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTER = "/enter"  # the only path that needs no cookie: it gives one for the token of the link
OWN_HEADER = "optical-memory"  # a form of another site cannot send a header of ours
READING = ("GET", "HEAD")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"cache-control", b"no-store"),
)


class Gate:
    """Lets through what this viewer's own pages ask, and nothing else; an ASGI application around another one.

    `hosts` are the names, with their port, under which it may be asked. `token` is good for one visit of /enter, which
    hands out the cookie that every other path needs. With `read_only` nothing but reading is let through.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str], port: int, read_only: bool = False,
        close: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.close = close  # lets go of what the application holds
        self.app, self.hosts, self.read_only = app, frozenset(h.lower() for h in hosts), read_only
        self.cookie = f"optical_memory_{port}"
        self.token: str | None = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._http(scope, receive, _guarded(send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _say(send, *refusal)
        elif scope["path"] == ENTER:
            await self._enter(scope, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: list[tuple[str, str]]) -> tuple[int, str] | None:
        """Status and reason, where a request may not pass."""
        hosts = [value.lower() for name, value in headers if name == "host"]
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            return 403, "This viewer answers only under the address that it printed."
        if scope["path"] == ENTER and scope["method"] == "GET":
            return None
        if not self._known(headers):
            return 401, "Open the link that `optical-memory view` printed: it is good for one browser, once."
        if scope["method"] in READING:
            return None
        return self._unsafe(scope["method"], headers, hosts[0])

    def _unsafe(self, method: str, headers: list[tuple[str, str]], host: str) -> tuple[int, str] | None:
        """The same for a request that would change something."""
        told = dict(headers)
        if method != "POST":
            return 405, "Only reading and posting are known here."
        if told.get("origin") != f"http://{host}" or told.get("sec-fetch-site", "same-origin") != "same-origin":
            return 403, "Changes are taken from the viewer's own pages only."
        if OWN_HEADER not in told:
            return 403, "Changes are taken from the viewer's own script only."
        return (403, "This viewer was started with --read-only.") if self.read_only else None

    def _known(self, headers: list[tuple[str, str]]) -> bool:
        given = (part.strip() for name, value in headers if name == "cookie" for part in value.split(";"))
        wanted = f"{self.cookie}={self._session}".encode()
        return any(hmac.compare_digest(part.encode("latin-1", "replace"), wanted) for part in given)

    async def _enter(self, scope: Scope, send: Send) -> None:
        """The token of the link for the cookie; a page follows, since a strict cookie is not sent with a redirect."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        token = self.token
        if token is None or not hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
            await _say(send, 401, "This link was used before or is not whole: start `optical-memory view` again.")
            return
        self.token = None
        cookie = f"{self.cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"
        body = "<title>Opening the viewer</title><p><a href='/'>Open the viewer</a></p>"
        await _say(send, 200, body, (b"set-cookie", cookie.encode()), (b"refresh", b"0;url=/"))


def _guarded(send: Send) -> Send:
    """Adds the headers of safety to every answer; what the application set of these itself is replaced."""
    ours = {name for name, _ in HEADERS}

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in ours]
            message = {**message, "headers": [*kept, *HEADERS]}
        await send(message)

    return guarded


PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark">'
)


async def _say(send: Send, status: int, words: str, *headers: tuple[bytes, bytes]) -> None:
    """A page of one sentence, in the browser's own type: a stylesheet would need the cookie."""
    said = words if status == 200 else f"<title>{status}</title><h1>optical_memory</h1><p>{words}</p>"
    told = (b"content-type", b"text/html; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [told, *headers]})
    await send({"type": "http.response.body", "body": (PAGE + said).encode()})


__all__ = ["ENTER", "HEADERS", "OWN_HEADER", "POLICY", "Gate"]
