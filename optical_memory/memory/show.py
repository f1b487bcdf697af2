"""A view to a context: segments, their images and messages. What was shown last is kept in this process."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optical_memory.memory.pictures as pictures
import optical_memory.memory.recollect as recollect
from optical_memory.errors import HashMismatchError, RenderError
from optical_memory.memory.assemble import Context, apart, assemble
from optical_memory.memory.kept import Kept
from optical_memory.memory.state import plan_key
from optical_memory.memory.view import View, left_out
from optical_memory.messages import as_langchain, from_stored
from optical_memory.planning.context import Segment
from optical_memory.storage import Path, Reader

log = logging.getLogger("optical_memory")

Encoded = tuple[str, ...]  # a segment's PNGs as base64
Drawn = tuple[tuple[int, int] | None, str | None]  # a segment's turns and look
Found = recollect.Recollection | None


class Shown:
    """Makes contexts; images and parsed messages of earlier calls are reused, since a plan sends them with every call."""

    def __init__(self, search: recollect.Search) -> None:
        self._search = search
        self._images: Kept[tuple[Any, ...], Encoded] = Kept(512)
        self._messages: Kept[tuple[int, int], list[Any]] = Kept(4_096)

    def drop(self) -> None:
        """Forget what is kept in this process."""
        self._images.drop()
        self._messages.drop()

    def context(
        self, reader: Reader, view: View, query: str | None, slice_: int, mine: Mapping[int, Sequence[Any]]
    ) -> tuple[Context, Found]:
        """The context of a view, and what the query brought back by itself, which the caller has to keep."""
        told, found = self._recollected(reader, view, query, slice_)
        segments = view.segments(told)
        images = self._pictures(reader, view, segments)
        own = _whole(reader, view, mine) if mine else {}
        turns = {n: list(messages) for n, messages in own.items()} | self._texts(reader, view.path, segments, own)
        messages = assemble(
            segments, lambda s: images.get((s.turns, s.look), ()), lambda n: turns.get(n, ()), view.plan.floor
        )
        made = Context(
            view.thread, messages, sum(s.tokens for s in segments), tuple(segments), left_out(segments, view.state.end),
            view.settings.budget, view.reserved, view.settings.profile.name, view.kept.id if view.kept else None,
            view.reason, view.state.end,
        )  # fmt: skip
        return made, found

    def _recollected(
        self, reader: Reader, view: View, query: str | None, slice_: int
    ) -> tuple[list[tuple[int, Segment]], Found]:
        """What was recalled by itself since the plan was made, and what this query brings back now."""
        told = recollect.standing(reader, view, plan_key(view.settings), view.since)
        room = min(slice_, view.settings.budget - view.tokens - view.state.reserved)
        done = any(anchor == view.state.anchor for anchor, _ in told)
        if not query or room <= 0 or done or not view.at_anchor:
            return told, None
        found = recollect.find(reader, view, query, room, self._search)
        return ([*told, (found.anchor, found.segment)], found) if found else (told, None)

    def _texts(
        self, reader: Reader, path: Path, segments: Sequence[Segment], mine: Mapping[int, Any]
    ) -> dict[int, list[Any]]:
        """The LangChain messages of every turn that is shown as text and that the caller did not bring."""
        wanted = [s.turns for s in segments if s.kind in ("text", "current") and s.turns and s.text is None]
        numbers = {n for first, last in wanted for n in range(first, last + 1)} - set(mine)
        rows = reader.turns_at(path, numbers)
        have = {t.id: self._messages.get((t.id, t.messages)) for t in rows}
        stored = reader.messages([i for i, kept in have.items() if kept is None])
        out: dict[int, list[Any]] = {}
        for turn in rows:
            kept = have[turn.id]
            if kept is None:
                kept = [as_langchain(from_stored(m.form, m.data)) for m in stored[turn.id]]
                self._messages.put((turn.id, turn.messages), kept)
            out[turn.number] = [apart(m) for m in kept]
        return out

    def _pictures(self, reader: Reader, view: View, segments: Sequence[Segment]) -> dict[Drawn, Encoded]:
        """The images of every drawn segment: kept in this process, stored, or drawn now (previews, recalled pages)."""
        wanted = [s for s in segments if s.look and s.turns]
        found = {(s.turns, s.look): self._images.get(view.key(s)) for s in wanted}
        missing = [s for s in wanted if found[s.turns, s.look] is None]
        stored = _sound(reader, missing)
        for segment in missing:
            images = stored.get((segment.page or 0, segment.look or "")) or _drawn(reader, view, segment)
            if not images:
                continue
            encoded = tuple(base64.b64encode(png).decode() for png in images)
            found[segment.turns, segment.look] = self._images.put(view.key(segment), encoded)
        return {drawn: images for drawn, images in found.items() if images}


def _whole(reader: Reader, view: View, mine: Mapping[int, Sequence[Any]]) -> dict[int, Sequence[Any]]:
    """The caller's own turns but for those of which it holds a part: a tool's result may have come without its call.

    Of what is sealed only the first can be one, where the host has cut off what came before.
    """
    first = min(mine, default=0)
    rows = [*view.state.fresh, *(reader.turns(view.path, first, first) if first <= view.plan.through else ())]
    stored = {turn.number: turn.messages for turn in rows}
    return {number: own for number, own in mine.items() if len(own) == stored.get(number, len(own))}


def _drawn(reader: Reader, view: View, segment: Segment) -> pictures.PNGs:
    """A segment's images drawn anew; none where they are damaged and were all that was left of its turns."""
    try:
        return view.draw(reader, segment)
    except (HashMismatchError, RenderError) as error:
        log.warning("thread %r, turns %s: %s", view.thread, segment.turns, error)
        return ()


def _sound(reader: Reader, segments: Sequence[Segment]) -> dict[tuple[int, str], pictures.PNGs]:
    """The stored images of these segments; where one is damaged, none: they are drawn again from the text."""
    try:
        return pictures.stored(reader, segments) if segments else {}
    except HashMismatchError as error:
        log.warning("%s", error)
        return {}


@dataclass(frozen=True, slots=True)
class _Made:
    """A context, the version of the thread that it was made at, and what of the caller's own stands in it, by turn number."""

    version: int
    own: Mapping[int, Sequence[Any] | None]
    context: Context

    def again(self) -> Context:
        """The same for another call: what is the caller's own as it is, everything else in copies."""
        mine = {id(message) for messages in self.own.values() for message in messages or ()}
        messages = [m if id(m) in mine else apart(m) for m in self.context.messages]
        return replace(self.context, messages=messages, reason="")  # no step was taken for it


class Contexts:
    """The contexts made last, for as long as their thread does not change."""

    def __init__(self, most: int = 32) -> None:
        self._kept: Kept[tuple[Any, ...], _Made] = Kept(most)

    def get(self, key: tuple[Any, ...], version: int, mine: Mapping[int, Sequence[Any]]) -> Context | None:
        """The context made under this key at this version of the thread, of the same messages of the caller's."""
        found = self._kept.get(key)
        if found is None or found.version != version:
            return None
        same = all(mine.get(number) == messages for number, messages in found.own.items())
        return found.again() if same else None

    def put(self, key: tuple[Any, ...], version: int, context: Context, mine: Mapping[int, Sequence[Any]]) -> None:
        """Keep a context that was made with these messages of the caller's."""
        shown = [s.turns for s in context.segments if s.kind in ("text", "current") and s.turns and s.text is None]
        own = {number: mine.get(number) for first, last in shown for number in range(first, last + 1)}
        made = _Made(version, own, context)
        self._kept.put(key, replace(made, context=made.again()))

    def drop(self) -> None:
        """Forget all."""
        self._kept.drop()
