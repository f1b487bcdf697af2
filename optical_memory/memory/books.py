"""What each model call was predicted to cost and what was billed: noted in this process, stored with the next write.

A call is noted when its context is made, without a write of its own: it goes into the database with the next turn that is
remembered, with `observe`, or when the memory is closed. A process that dies loses the calls since its last write from
the ledger, and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any

from optical_memory.cost.ledger import LEARNED, Correction
from optical_memory.errors import ConfigError
from optical_memory.memory.assemble import Context
from optical_memory.memory.kept import Kept
from optical_memory.planning.context import Segment
from optical_memory.planning.spans import Settings
from optical_memory.storage import NewUsage

log = logging.getLogger("optical_memory")

Pairs = Callable[[str], Sequence[tuple[int, int]]]  # from a model to its stored (predicted, billed), oldest first

JUDGED = (
    1_000  # predicted tokens from which a bill teaches: below, a provider's fixed extras are most of the difference
)
AGREE = 20  # bills that must all be lower than predicted before more is sent than the tables allow
THREADS = 1_024  # threads whose last call is known
WAITING = 256  # calls of a thread that wait for its next write, at most
MOST_TOKENS = 2**31 - 1  # of one call: what PostgreSQL cannot keep would hold up every turn that is stored after it


# --------------------------------------------------------------------------------------------- what a provider says


@dataclass(frozen=True, slots=True)
class Billed:
    """The usage of one answer, in tokens; None where the provider says nothing of its cache."""

    tokens: int
    output: int
    read: int | None
    written: int | None


def billed(usage: Mapping[str, Any], predicted: int) -> Billed:
    """LangChain's `usage_metadata`, checked. Raises ConfigError where it contradicts itself or the request."""
    details = usage.get("input_token_details") or {}
    found = Billed(
        _tokens(usage, "input_tokens"), _tokens(usage, "output_tokens"),
        _tokens(details, "cache_read") if "cache_read" in details else None, _written(details),
    )  # fmt: skip
    cached = (found.read or 0) + (found.written or 0)
    if found.tokens == 0 < predicted or cached > found.tokens:
        raise ConfigError(
            f"a usage of {found.tokens} input tokens, {found.read or 0} of them read from the cache and "
            f"{found.written or 0} written to it, is not that of a request of about {predicted} tokens: pass the "
            f"usage_metadata of the answer, in which input_tokens is the whole input, cached tokens included"
        )
    return found


def _tokens(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        raise ConfigError(
            f"usage {name}={value!r}: pass tokens as a whole number, 0 to {MOST_TOKENS} (the answer's usage_metadata)"
        )
    return value


def _written(details: Mapping[str, Any]) -> int | None:
    """Tokens put into the cache; Anthropic's are told by lifetime, and then the sum beside them may be 0."""
    parts = [name for name in details if name.startswith("ephemeral_") and name.endswith("_input_tokens")]
    if not parts and "cache_creation" not in details:
        return None
    return max(_tokens(details, "cache_creation"), sum(_tokens(details, name) for name in parts))


# --------------------------------------------------------------------------------------------- two calls in a row


def shared(old: Context | None, new: Context) -> int:
    """Tokens that two calls of a thread begin with, what stands beside the memory included; 0 if that has changed."""
    if old is None or (old.model, old.reserved) != (new.model, new.reserved):
        return 0
    if old.segments is new.segments:
        return new.reserved + new.tokens
    tokens = new.reserved
    for one, other in zip(_plain(old.segments), _plain(new.segments), strict=False):
        if _face(one) != _face(other):
            grown = one.kind == other.kind == "text" and one.turns and other.turns and one.turns[0] == other.turns[0]
            return tokens + (min(one.tokens, other.tokens) if grown and one.text is other.text is None else 0)
        tokens += min(one.tokens, other.tokens)
    return tokens


def _plain(segments: Sequence[Segment]) -> list[Segment]:
    """The segments, neighbouring turns of plain text as one: whether a run goes on changes no byte."""
    out: list[Segment] = []
    for segment in segments:
        plain = segment.kind in ("text", "current") and segment.text is None
        now = replace(segment, kind="text") if plain else segment
        last = out[-1] if out else None
        if plain and last and last.kind == "text" and last.text is None and last.turns and now.turns:
            out[-1] = replace(last, turns=(last.turns[0], now.turns[1]), tokens=last.tokens + now.tokens)
        else:
            out.append(now)
    return out


def _face(segment: Segment) -> tuple[object, ...]:
    return segment.kind, segment.turns, segment.text, segment.look


def call_of(context: Context, before: Context | None, at: datetime) -> NewUsage:
    """The call in which a context is sent."""
    would = context.would
    return NewUsage(
        context.model, context.tokens + context.reserved, at, at=context.end, prefix=shared(before, context),
        recalled=sum(s.tokens for s in context.segments if s.kind == "recalled"), reserved=context.reserved,
        would=would.tokens + would.reserved if would else None,
        would_prefix=shared(before.would if before else None, would) if would else 0,
    )  # fmt: skip


def _bare(context: Context) -> Context:
    """The context without its messages: images are not kept for the sake of a comparison of segments."""
    would = replace(context.would, messages=[]) if context.would else None
    return replace(context, messages=[], would=would)


# --------------------------------------------------------------------------------------------- the books


class Books:
    """The calls of this process that are not stored yet, the last one of each thread, and what bills have taught."""

    def __init__(self, stored: Pairs) -> None:
        self._stored = stored
        self._numbers, self._lock = count(1), threading.Lock()
        self._last: Kept[str, Context] = Kept(THREADS)
        self._noted: Kept[int, NewUsage] = Kept(THREADS)  # stored ones too: a bill may come after the next turn
        self._pending: dict[str, dict[int, NewUsage]] = {}
        self._learned: dict[str, Correction] = {}
        self._warned: set[str] = set()

    def note(self, context: Context, at: datetime) -> Context:
        """The context with the number of its call, which is noted."""
        call = call_of(context, self._last.get(context.thread), at)
        self._last.put(context.thread, _bare(context))
        number = next(self._numbers)
        with self._lock:
            self._pending.setdefault(context.thread, {})[number] = self._noted.put(number, call)
        return replace(context, call=number)

    def due(self, thread: str) -> bool:
        """Have so many calls of a thread been noted that they should not wait for its next turn?"""
        return len(self._pending.get(thread, ())) >= WAITING

    def observed(self, context: Context, usage: Billed, at: datetime) -> NewUsage:
        """The call with its bill, to be stored; one that was not noted by `project` is made now."""
        with self._lock:
            self._pending.get(context.thread, {}).pop(context.call or 0, None)
        call = self._noted.get(context.call or 0)
        if call is None:
            call = call_of(context, self._last.get(context.thread), at)
            self._last.put(context.thread, _bare(context))
        return replace(call, billed=usage.tokens, output=usage.output, cache_read=usage.read, cache_write=usage.written)

    def take(self, thread: str) -> list[NewUsage]:
        """The calls of a thread that are not stored yet; the caller stores them, or gives them `back`."""
        with self._lock:
            return [*self._pending.pop(thread, {}).values()]

    def back(self, thread: str, calls: Sequence[NewUsage]) -> None:
        """Calls that could not be stored, to be stored later."""
        if calls:
            with self._lock:
                old = {next(self._numbers): call for call in calls}
                self._pending[thread] = old | self._pending.get(thread, {})

    def waiting(self, thread: str | None = None) -> list[NewUsage]:
        """The calls that are not stored yet, of one thread or of all."""
        with self._lock:
            threads = list(self._pending) if thread is None else [thread]
            return [call for name in threads for call in self._pending.get(name, {}).values()]

    def threads(self) -> list[str]:
        """The threads with calls that are not stored yet."""
        with self._lock:
            return list(self._pending)

    def drop(self, thread: str) -> None:
        """Forget a thread."""
        self.take(thread)
        self._last.pop(thread)

    # ----------------------------------------------------------------------------------------- learning

    def correction(self, model: str) -> Correction:
        """What the bills of a model teach; read from the store once, then carried on."""
        found = self._learned.get(model)
        if found is None:
            found = Correction(tuple(p for p in self._stored(model) if _teaches(*p))[-LEARNED:])
            self._learned[model] = found
        return found

    def learn(self, model: str, predicted: int, tokens: int) -> None:
        """One more bill; a drift of more than 2 % is told once for each model. Raises ConfigError for an absurd one."""
        known = self.correction(model)
        if predicted < JUDGED or tokens <= 0:
            return
        self._learned[model] = learned = known.learn(predicted, tokens)
        drift = learned.drift(model)
        if drift and model not in self._warned:
            self._warned.add(model)
            log.warning("%s", drift)

    def margin(self, settings: Settings) -> int:
        """Tokens of the budget to leave free because this model's bills are higher than predicted; below 0: lower.

        A prediction times its factor fits into the budget just if the prediction and this margin do.
        """
        return settings.budget - int(settings.budget / factor(self.correction(settings.profile.name)))

    def told(self, calls: Sequence[NewUsage]) -> dict[str, Any]:
        """Predicted and billed tokens of the calls that have a bill, and the factors learned; empty if none has."""
        seen = [u for u in calls if u.billed is not None]
        if not seen:
            return {}
        found = {model: factor(self.correction(model)) for model in dict.fromkeys(u.model for u in seen)}
        factors = {model: round(by, 4) for model, by in found.items() if by != 1}
        sums = {"predicted": sum(u.predicted for u in seen), "billed": sum(u.billed or 0 for u in seen)}
        return {"calls": len(seen)} | sums | ({"correction": factors} if factors else {})


def _teaches(predicted: int, tokens: int) -> bool:
    """May this pair be learned from? What `Correction.learn` would refuse is left out."""
    try:
        return predicted >= JUDGED and bool(Correction().learn(predicted, tokens))
    except ConfigError:
        return False


def factor(learned: Correction) -> float:
    """By what predictions are multiplied before they are held against the budget, 0.5 to 2.

    Where bills are higher, their median. Where they are lower, 1 until 20 of them agree, and then no less than the highest.
    """
    if learned.factor >= 1:
        return learned.factor
    highest = max(b / p for p, b in learned.pairs)
    return max(learned.factor, min(1.0, highest)) if len(learned.pairs) >= AGREE else 1.0


__all__ = ["Billed", "Books", "billed", "call_of", "factor", "shared"]
