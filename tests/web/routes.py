"""Every address of a viewer, from its own routes, so that no test can forget one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from starlette.routing import Route

from optical_memory.inspection.web.security import Gate

FILLED = {"slug": "harbour", "turn": "5", "tier": "clear", "part": "0", "sha": "0" * 64, "action": "forget"}


def addresses(gate: Gate) -> Iterator[tuple[str, str]]:
    """(method, path) of every route, with its parameters filled in; static files too."""
    for route in gate.app.routes:  # type: ignore[attr-defined]
        if isinstance(route, Route):
            path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda m: FILLED[m[1]], route.path)
            yield ("POST" if "POST" in route.methods else "GET", path)
        else:
            yield "GET", f"{route.path}/viewer.css"
            yield "GET", f"{route.path}/viewer.js"
