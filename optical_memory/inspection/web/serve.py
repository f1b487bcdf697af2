"""Starting the viewer: a free port on this machine, the link with its token, and the browser."""

from __future__ import annotations

import contextlib
import socket
import threading
import webbrowser
from collections.abc import Callable

from optical_memory.errors import ConfigError, MissingExtraError
from optical_memory.inspection.web.app import make_app
from optical_memory.inspection.web.security import ENTER

PORT = 8642  # tried first, so that the address stays the same from day to day
WARM_AFTER = 1.0  # seconds: the first page comes first
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (asked for with --host, and warned of)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    db: str | None, *, host: str = "127.0.0.1", port: int | None = None, read_only: bool = False, open_browser: bool = True,
    say: Callable[[str], None] = print, note: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Serve the viewer until it is interrupted. `say` gets the link, `note` what else a person should know.

    Raises ConfigError for a host or port that cannot be used, MissingExtraError without the extra `web`.
    """
    if not host:
        raise ConfigError(
            "--host is empty, and would be every address of this machine: give 127.0.0.1, or 0.0.0.0 for all"
        )
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtraError("the viewer (starlette, uvicorn, jinja2)", "web") from error
    if host not in LOOPBACK:
        note(
            f"warning: {host} can be reached from other machines, unencrypted; whoever has the link can change everything"
        )
    listener = bound(host, port)
    taken = listener.getsockname()[1]
    app = make_app(db, hosts=names(host, taken), port=taken, read_only=read_only)
    named = socket.gethostname() if host in EVERYWHERE else host
    link = f"http://{_bracketed(named)}:{taken}{ENTER}?token={app.token}"
    say(link)
    note("Good once, for one browser. Stop with Ctrl+C.")
    warming = threading.Timer(WARM_AFTER, _warm)
    warming.daemon = True
    warming.start()
    if open_browser:
        webbrowser.open(link)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, date_header=False, proxy_headers=False,
        lifespan="off", ws="none",
    )  # fmt: skip
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        app.close()


def _warm() -> None:
    """Load what counting and drawing need (a second) before somebody waits for it."""
    from optical_memory.cost import count_o200k
    from optical_memory.pages import Sheet, Style, TurnText, layout, render_page

    count_o200k("hello")
    for page in layout([TurnText(1, "user", "hello")], Style(9), Sheet(256, 64)):
        render_page(page)


def bound(host: str, port: int | None) -> socket.socket:
    """A listening socket: at `port`, or where none is given at ours if it is free. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for tried in (PORT, 0) if port is None else (port,):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, tried))
            listener.listen()  # a browser that is quicker than the server waits instead of failing
        except (OSError, OverflowError, ValueError) as error:  # a name that is none is a ValueError
            listener.close()
            reason = str(error)
        else:
            return listener
    where = host if port is None else f"{_bracketed(host)}:{port}"
    raise ConfigError(f"cannot listen at {where}: {reason}; pass another --port or --host")


def names(host: str, port: int) -> set[str]:
    """The names with port under which a viewer at this host may be asked: for all addresses, this machine's own names.

    Browsers leave out the port 80.
    """
    known = {*LOOPBACK} if host in (*LOOPBACK, *EVERYWHERE) else {host}
    if host in EVERYWHERE:
        name = socket.gethostname()
        with contextlib.suppress(OSError):
            known |= {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
        known.add(name)
    bare = {_bracketed(name) for name in known}
    return {f"{name}:{port}" for name in bare} | (bare if port == 80 else set())


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


__all__ = ["serve"]
