"""Under which name an agent's messages are kept: the thread of a run, of a subagent, or of this run alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

Thread = str | Callable[[Any], str | None] | None
Subagents = Literal["skip", "isolate"]


@dataclass(frozen=True, slots=True)
class Place:
    """The thread's name; `ephemeral` if nobody can ever name it again, so that it is forgotten when the run ends."""

    thread: str
    ephemeral: bool = False


def place(given: Thread, subagents: Subagents, runtime: Any, messages: Sequence[Any]) -> Place | None:
    """Where a call belongs; None for a subagent that is skipped, and where nothing names the run.

    What the host gives comes first. A subagent runs in a namespace below its parent's and has its parent's thread id:
    under that name its messages would mix with the parent's.
    """
    named = given(runtime) if callable(given) else given
    if named:
        return Place(str(named))
    info = getattr(runtime, "execution_info", None)
    thread = getattr(info, "thread_id", None) or configured("thread_id")
    above = _above(str(getattr(info, "checkpoint_ns", None) or configured("checkpoint_ns") or ""))
    if above:
        return Place(f"{thread or 'run'}/{above}", ephemeral=True) if subagents == "isolate" else None
    if thread:
        return Place(str(thread))
    return _of_this_run(messages)


def is_subagent(runtime: Any) -> bool:
    """Does this agent run inside another graph?"""
    info = getattr(runtime, "execution_info", None)
    return bool(_above(str(getattr(info, "checkpoint_ns", None) or "")))


def _above(namespace: str) -> str:
    """The namespace without its own node: "" at the top level."""
    return namespace.rpartition("|")[0]


def configured(key: str) -> str | None:
    """A value of the run's configuration; None outside of a run."""
    try:
        from langgraph.config import get_config

        found = get_config().get("configurable", {}).get(key)
    except (ImportError, RuntimeError):
        return None
    return str(found) if found else None


def _of_this_run(messages: Sequence[Any]) -> Place | None:
    """A name by the random id that the graph gave the first message; an id of the host's may not be unique."""
    first = str(getattr(messages[0], "id", None) or "") if messages else ""
    try:
        return Place(f"run-{UUID(first)}", ephemeral=True) if UUID(first).version == 4 else None
    except ValueError:
        return None
