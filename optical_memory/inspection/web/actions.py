"""What can be changed from the viewer: each change is first told in words (`ask`), then done (`ACTIONS`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import optical_memory.inspection.looking as looking
from optical_memory.errors import ConfigError
from optical_memory.inspection.opening import NotFoundError, RefusedError
from optical_memory.inspection.output import many
from optical_memory.inspection.web.lookout import Lookout
from optical_memory.planning.context import ranges
from optical_memory.planning.tiers import RANK

Values = dict[str, Any]
Turns = Sequence[int] | None


def ask(lookout: Lookout, head: Values, action: str, turns: Turns) -> Values:
    """What a change would do, for the dialog that asks. Raises NotFoundError for what is no change."""
    if action not in ACTIONS:
        raise NotFoundError(f"{action!r} is nothing that this viewer can do")
    thread = head["thread"]
    told: Values = {"thread": thread, "action": action, "turns": [list(r) for r in ranges(turns or ())]}
    if action == "forget":
        return told | lookout.doomed(thread, turns)
    if action == "decay":
        return told | _due(lookout, thread)
    if action == "undo":
        return told | {"step": _newest(lookout, thread)}
    return told | _weight(lookout, thread, _given(turns))


def _due(lookout: Lookout, thread: str) -> Values:
    """The step that is due, the tier from which on this thread keeps no text, and turns that would lose theirs.

    Others may lose theirs with them: a plan without the words may lower more pages at once.
    """
    memory = lookout.desk.memory(thread)
    step, retain = looking.step(memory.step(thread, dry_run=True)), memory.config.retain
    losing = [c["turns"] for c in step["changes"] if retain != "forever" and RANK[c["after"]] >= RANK[retain]]
    return {"step": step, "retain": retain, "lets_go": losing}


def _given(turns: Turns) -> Sequence[int]:
    if not turns:
        raise ConfigError("no turns were chosen: choose some in the timeline")
    return turns


def _weight(lookout: Lookout, thread: str, turns: Sequence[int]) -> Values:
    """How many turns, and what they cost in every call as text."""
    memory = lookout.desk.memory(thread)
    rows = [t for first, last in ranges(turns) for t in looking.turns(memory, thread, first, last)]
    return {"count": len(rows), "tokens": sum(t["tokens"] for t in rows), "budget": memory.budget}


def _newest(lookout: Lookout, thread: str) -> Values:
    """The newest step that stands. Raises NotFoundError without one."""
    steps = [looking.step(s) for s in lookout.desk.memory(thread).steps(thread)]
    found = next((s for s in reversed(steps) if not s["undone"]), None)
    if found is None:
        raise NotFoundError(f"thread {thread!r} has no step that could be taken back")
    return dict(found)


# --------------------------------------------------------------------------------------------- done


def _pin(lookout: Lookout, thread: str, turns: Turns, body: Mapping[str, Any]) -> Values:
    with lookout.desk.changing(thread) as memory:
        count = memory.pin(thread, _given(turns))
    return {"done": f"{many(count, 'turn')} pinned; shown as text from the next step on", "count": count}


def _unpin(lookout: Lookout, thread: str, turns: Turns, body: Mapping[str, Any]) -> Values:
    with lookout.desk.changing(thread) as memory:
        count = memory.unpin(thread, _given(turns))
    return {"done": f"{many(count, 'turn')} may fade again", "count": count}


def _forget(lookout: Lookout, thread: str, turns: Turns, body: Mapping[str, Any]) -> Values:
    going = lookout.doomed(thread, turns)
    if bool(body.get("whole")) != going["whole"]:
        raise ConfigError("say which turns are to go, or that the whole thread is")
    if going["asked_to_type"] and str(body.get("typed", "")).strip() != str(going["count"]):
        raise RefusedError(f"nothing was forgotten: type {going['count']}, the number of turns that would go")
    with lookout.desk.changing(thread) as memory:
        gone = memory.forget(thread, turns=turns)
    later = "; another process still reads the old state: it is overwritten when the database is next opened"
    held = later if gone.held else ""
    what = f"{many(gone.turns, 'turn')}, {many(gone.pages, 'page')} and {many(gone.images, 'image')}"
    words = f"{what} are gone from the database{held}"
    return {"done": words, "whole": going["whole"]} | asdict(gone)


def _undo(lookout: Lookout, thread: str, turns: Turns, body: Mapping[str, Any]) -> Values:
    newest = _newest(lookout, thread)
    if (body.get("at_turn"), body.get("created_at")) != (newest["at_turn"], newest["created_at"]):
        raise RefusedError("nothing was taken back: another step has come since this page was made, look again")
    with lookout.desk.changing(thread) as memory:
        done = looking.step(memory.undo(thread))
    return {"done": f"the step at turn {done['at_turn']} was taken back", "step": done}


def _decay(lookout: Lookout, thread: str, turns: Turns, body: Mapping[str, Any]) -> Values:
    with lookout.desk.changing(thread) as memory:
        done = looking.step(memory.step(thread))
    return {"done": f"{len(done['changes'])} stretches changed their tier", "step": done}


Action = Callable[[Lookout, str, Turns, Mapping[str, Any]], Values]
ACTIONS: Mapping[str, Action] = {"pin": _pin, "unpin": _unpin, "forget": _forget, "undo": _undo, "decay": _decay}


__all__ = ["ACTIONS", "ask"]
