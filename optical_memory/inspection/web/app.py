"""The routes. Every page is a screen: plain values, a template, and a twin that ends in .json with the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from optical_memory import errors
from optical_memory.errors import ConfigError, MissingExtraError, OpticalMemoryError

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles
except ImportError as error:
    raise MissingExtraError("the viewer (starlette, uvicorn, jinja2)", "web") from error

import optical_memory.inspection.ageing as ageing
import optical_memory.inspection.opening as opening
import optical_memory.inspection.web.shapes as shapes
from optical_memory.inspection.options import turn_numbers
from optical_memory.inspection.output import as_json, number, size
from optical_memory.inspection.plots import DecayCurve
from optical_memory.inspection.web.actions import ACTIONS, ask
from optical_memory.inspection.web.desk import PATIENCE, Desk
from optical_memory.inspection.web.lookout import Lookout
from optical_memory.inspection.web.security import Gate

PANE = "optical-pane"  # header of our script: it wants a piece of a page
LARGEST = 100_000  # bytes of a post
NEWER = 8  # turns above the chosen one, so that it is seen without scrolling
Values = dict[str, Any]
See = Callable[[Lookout, Request], Values]


@dataclass(frozen=True)
class Screen:
    """A page: where it is, what it shows, how that is drawn, what stands around it in a whole page only, and which pieces
    of it can be had alone."""

    path: str
    template: str
    see: See
    around: See | None = None
    pieces: tuple[str, ...] = ()


def make_app(
    db: str | None, *, hosts: Iterable[str], port: int, read_only: bool = False, patience: float = PATIENCE
) -> Gate:
    """The viewer of a database as an ASGI application; its door has the token of the first link.

    `hosts` are the names with port under which it may be asked; a change waits at most `patience` seconds for a database that
    another process holds. Raises MissingExtraError without the extra `web`.
    """
    desk = Desk(db, read_only=read_only, patience=patience)
    lookout = Lookout(desk)
    pages = _Pages(lookout)
    routes = [route for screen in SCREENS for route in pages.routes(screen)]
    posts = [Route(f"/t/{{slug}}/{name}", pages.posted(name), methods=["POST"]) for name in ACTIONS]
    pictures = [
        Route("/t/{slug}/turn/{turn:int}/{tier}.{part:int}.png", pages.page_png),
        Route("/t/{slug}/call/{sha}.png", pages.call_png),
    ]
    icon = Route("/favicon.ico", pages.icon)
    static = Mount("/static", StaticFiles(packages=[(__package__, "static")]))
    app = Starlette(routes=[*posts, *pictures, *routes, icon, static], exception_handlers=pages.handlers())
    return Gate(app, hosts=hosts, port=port, read_only=read_only, close=desk.close)


# --------------------------------------------------------------------------------------------- what is asked


def _thread(request: Request) -> str:
    try:
        return shapes.unslug(request.path_params["slug"])
    except ValueError:
        raise HTTPException(404) from None


def _number(request: Request, name: str, default: int | None = None, least: int = 0) -> int | None:
    """A whole number of the query. Raises ConfigError."""
    given = request.query_params.get(name, "").strip()
    if not given:
        return default
    if not re.fullmatch(r"\d{1,9}", given) or int(given) < least:
        raise ConfigError(f"{name}={given!r}: give a whole number of {least} or more")
    return int(given)


def _text(request: Request, name: str) -> str | None:
    return request.query_params.get(name, "").strip() or None


def _turns(text: str, length: int) -> list[int]:
    """The turns that "3-7,9" names. Raises ConfigError, also for turns beyond the thread's last."""
    numbers = turn_numbers(text, length) if len(text) <= 20_000 else [length + 1]
    if numbers[-1] > length:
        raise ConfigError(f"turns {text[:80]!r}: the thread ends at turn {length}")
    return numbers


def _asked(request: Request) -> Mapping[str, Any]:
    """Model, budget and reserved tokens of a preview."""
    return {
        "model": _text(request, "model"), "budget": _number(request, "budget", None, 1),
        "reserved": _number(request, "reserved", 0) or 0,
    }  # fmt: skip


def _see_turn(lookout: Lookout, request: Request) -> Values:
    thread, turn = _thread(request), int(request.path_params["turn"])
    shown = lookout.turn(thread, turn, _text(request, "tier"), _number(request, "after", 0) or 0)
    show = _text(request, "show") or "source"
    if show == "diff":
        shown["difference"] = lookout.difference(thread, turn, shown["span"]["shown"]["tier"])
    return shown


def _see_search(lookout: Lookout, request: Request) -> Values:
    return lookout.search(request.query_params.get("q", "")[:2_000], _text(request, "thread"))


def _see_ask(lookout: Lookout, request: Request) -> Values:
    thread, given = _thread(request), _text(request, "turns")
    head = lookout.head(thread)
    turns = _turns(given, head["length"]) if given else None
    return ask(lookout, head, request.path_params["action"], turns)


def _around(lookout: Lookout, request: Request) -> Values:
    """What stands beside every page: the newest threads, what was typed into the search box."""
    memory = lookout.desk.memory()
    with memory.store.read() as reader:
        names = [(t.key, t.length) for t in reader.threads(limit=40)]
    asked = request.query_params.get("q", "")
    return {"names": names, "database": memory.store.url, "bytes": memory.store.size(), "q": asked}


def _around_turn(lookout: Lookout, request: Request) -> Values:
    """The window of the timeline that holds the chosen turn."""
    turn = int(request.path_params["turn"])
    upto = _number(request, "upto") or turn + NEWER
    return lookout.timeline(_thread(request), upto) | _around(lookout, request)


KEYS: tuple[tuple[str, str], ...] = (
    ("j", "next turn, an older one"), ("k", "the turn before, a newer one"), ("/", "search"), ("m", "what the model sees next"),
    ("t", "the timeline"), ("d", "difference between source and what is left"), ("s", "the source"), ("x", "choose a turn"),
    ("?", "this list"), ("Esc", "close, or choose nothing"),
)  # fmt: skip


def _around_fading(lookout: Lookout, request: Request) -> Values:
    """The schedule as a curve: our own SVG, in which every text is escaped."""
    settings = lookout.desk.memory(_thread(request)).settings()
    curve = DecayCurve.of(settings.schedule, readable=ageing.shares(settings)).svg()
    return {"curve": Markup(curve)} | _around(lookout, request)  # noqa: S704


SCREENS = (
    Screen("/", "threads.html", lambda lookout, r: lookout.threads(_text(r, "match")), _around),
    Screen("/search", "search.html", _see_search, _around),
    Screen("/help", "help.html", lambda lookout, r: {"keys": KEYS}, _around),
    Screen("/t/{slug}", "thread.html", lambda lookout, r: lookout.timeline(_thread(r), _number(r, "upto")), _around),
    Screen("/t/{slug}/turn/{turn:int}", "turn.html", _see_turn, _around_turn, ("detail", "look")),
    Screen("/t/{slug}/call", "call.html", lambda lookout, r: lookout.call(_thread(r), **_asked(r)), _around),
    Screen("/t/{slug}/fading", "fading.html", lambda lookout, r: lookout.fading(_thread(r)), _around_fading),
    Screen("/t/{slug}/ledger", "ledger.html", lambda lookout, r: lookout.ledger(_thread(r)), _around),
    Screen("/t/{slug}/log", "log.html", lambda lookout, r: lookout.log(_thread(r)), _around),
    Screen("/t/{slug}/ask/{action}", "ask.html", _see_ask, _around, ("ask",)),
)


# --------------------------------------------------------------------------------------------- answers


class _Pages:
    """Screens as endpoints, and errors as screens."""

    def __init__(self, lookout: Lookout) -> None:
        self.lookout = lookout
        self.templates = Environment(
            loader=PackageLoader(__package__ or "", "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self.templates.globals.update(shapes.HELPERS, number=number, size=size, keys=KEYS)

    def routes(self, screen: Screen) -> list[Route]:
        """The page and its twin; the twin first, since a name could end in .json."""
        path = "/index" if screen.path == "/" else screen.path
        return [Route(path + ".json", self._twin(screen)), Route(screen.path, self._page(screen))]

    def _twin(self, screen: Screen) -> Callable[[Request], Response]:
        def twin(request: Request) -> Response:
            return _json(screen.see(self.lookout, request))

        return twin

    def _page(self, screen: Screen) -> Callable[[Request], Response]:
        def page(request: Request) -> Response:
            values = screen.see(self.lookout, request)
            piece = request.headers.get(PANE)
            if piece in screen.pieces:
                return self._html(f"pieces/{piece}.html", request, values)
            around = screen.around(self.lookout, request) if screen.around else {}
            return self._html(screen.template, request, around | values)

        return page

    def _html(self, template: str, request: Request, values: Values, status: int = 200) -> Response:
        found = self.templates.get_template(template).render(
            values, request_path=request.url.path, asked=dict(request.query_params), query_string=request.url.query,
            read_only=self.lookout.desk.read_only,
        )  # fmt: skip
        return HTMLResponse(found.encode("utf-8", "backslashreplace"), status)

    # ----------------------------------------------------------------------------------------- pictures

    def icon(self, request: Request) -> Response:
        """The mark, where a browser looks for it by itself."""
        return Response(files(__package__).joinpath("static/icon.svg").read_bytes(), media_type="image/svg+xml")

    def page_png(self, request: Request) -> Response:
        """One image of the span that holds a turn, at a tier."""
        asked = request.path_params
        found = self.lookout.pictures(_thread(request), asked["turn"], asked["tier"])
        return _png(found[asked["part"]] if asked["part"] < len(found) else None)

    def call_png(self, request: Request) -> Response:
        """One image of the next call, by its SHA-256."""
        made = self.lookout.context(_thread(request), **_asked(request))
        return _png(self.lookout.image(made, request.path_params["sha"]))

    # ----------------------------------------------------------------------------------------- changes

    def posted(self, name: str) -> Callable[[Request], Any]:
        """The endpoint of a change."""

        async def post(request: Request) -> Response:
            body = await _body(request)
            return _json(await run_in_threadpool(self._change, name, _thread(request), body))

        return post

    def _change(self, name: str, thread: str, body: Mapping[str, Any]) -> Values:
        length = self.lookout.head(thread)["length"]
        turns = _turns(str(body["turns"]), length) if body.get("turns") else None
        try:
            return ACTIONS[name](self.lookout, thread, turns, body)
        finally:
            self.lookout.drop()

    # ----------------------------------------------------------------------------------------- what went wrong

    def handlers(self) -> dict[Any, Any]:
        """Every error as a page of its own, or as JSON where that was asked for."""
        return {OpticalMemoryError: self._failed, HTTPException: self._failed, Exception: self._failed}

    def _failed(self, request: Request, error: Exception) -> Response:
        kind, status = _state(error)
        words = str(error) if isinstance(error, OpticalMemoryError) else _HTTP.get(status, "Something failed here.")
        if request.method == "POST" or request.url.path.endswith(".json"):
            return _json({"error": words, "state": kind}, status)
        command, url = getattr(error, "command", None), self.lookout.desk.url
        status = 200 if kind == "empty" else status  # for a person that is where to begin, and no failure
        values = {"state": kind, "words_said": words, "command": command, "database": url}
        return self._html("pieces/state.html" if request.headers.get(PANE) else "state.html", request, values, status)


_HTTP = {404: "There is no such page.", 405: "This page can only be read.", 413: "That is more than this page takes.",
         400: "That could not be read."}  # fmt: skip
_STATES: tuple[tuple[type[Exception], str, int], ...] = (
    (errors.ThreadNotFoundError, "no-thread", 404),
    (opening.NotFoundError, "not-found", 404),
    (opening.RefusedError, "refused", 409),
    (errors.SchemaError, "old", 409),
    (errors.LockedError, "locked", 503),
    (errors.ReadOnlyError, "read-only", 403),
    (errors.HashMismatchError, "damaged", 500),
    (errors.BudgetError, "budget", 422),
    (ConfigError, "usage", 400),
    (errors.StoreError, "store", 500),
    (OpticalMemoryError, "error", 500),
)


def _state(error: Exception) -> tuple[str, int]:
    """Which screen an error gets, and its HTTP status."""
    if isinstance(error, HTTPException):
        return ("not-found" if error.status_code == 404 else "usage"), error.status_code
    if isinstance(error, opening.NotFoundError) and str(error).startswith("there is no database"):
        return "empty", 404
    return next(((kind, status) for of, kind, status in _STATES if isinstance(error, of)), ("error", 500))


async def _body(request: Request) -> Mapping[str, Any]:
    """The JSON object of a post. Raises HTTPException for anything else, or for too much of it."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST:
            raise HTTPException(413)
    try:
        found = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        raise HTTPException(400) from None
    if not isinstance(found, dict):
        raise HTTPException(400)
    return found


def _json(values: Any, status: int = 200) -> Response:
    return Response(as_json(values).encode("utf-8", "backslashreplace"), status, media_type="application/json")


def _png(found: bytes | None) -> Response:
    if found is None:
        raise HTTPException(404)
    return Response(found, media_type="image/png")


__all__ = ["SCREENS", "Screen", "make_app"]
