"""What `simulate` and `bench` do, without the terminal: stored or made conversations in, plain values out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from optical_memory.bench.simulate import Comparison, Density, Ours, compare, density, made
from optical_memory.config import DEFAULT_BUDGET, MemoryConfig
from optical_memory.cost import Profile
from optical_memory.cost.ledger import PAUSE, SYSTEM, TurnSize, assumptions
from optical_memory.errors import ConfigError
from optical_memory.memory import Context, OpticalMemory
from optical_memory.messages import Turn, read
from optical_memory.planning.tiers import DRAWN

Row = dict[str, Any]
PROSE = 4.87  # characters of a made text for each token of o200k; with Claude's factor it is 2.9
SAMPLE = 60_000  # characters of a conversation that are laid out to measure what a page holds


def _paragraph(number: int) -> str:
    """Made text, no two alike: repeated lines are drawn once, and would make pages look denser than they are."""
    return (
        f"The ferry leaves at noon, and nobody on quay {number} has seen the harbour master since Monday. "
        f"Order {4_417 + 13 * number} was changed twice; the second time without a word to the warehouse. "
        f"Please look again at invoice {number}, because the sum of its rows is not the sum at its foot.\n"
    )


# --------------------------------------------------------------------------------------------- simulate


@dataclass(frozen=True)
class Scene:
    """A conversation by its sizes, who reads it, and with which settings; `sample` stands for its text."""

    name: str
    turns: tuple[TurnSize, ...]
    profile: Profile
    config: MemoryConfig
    sample: str
    chars_per_token: float

    @property
    def budget(self) -> int:
        """Tokens of a whole call."""
        return self.config.budget or DEFAULT_BUDGET


def scene_made(profile: Profile, config: MemoryConfig, turns: int, chars: int) -> Scene:
    """A made conversation of equal turns, a user's request in every four. Raises ConfigError."""
    each = PROSE / profile.text_factor
    sample = "".join(map(_paragraph, range(SAMPLE // len(_paragraph(0)))))
    sizes = tuple(made(turns, chars, chars_per_token=each))
    return Scene(f"a made conversation of {turns:,} turns", sizes, profile, config, sample, each)


def scene_of(memory: OpticalMemory, thread: str) -> Scene:
    """A stored conversation, as its memory's settings stand. Raises ThreadNotFoundError, and ConfigError if it is empty."""
    turns, settings = memory.turns(thread), memory.settings()
    with memory.store.read() as reader:
        row = reader.thread(thread)
        costs = {t.number: settings.turn(t) for t in reader.turns(reader.path(row))} if row else {}
    times = [None, *(turn.created_at for turn in turns)]
    sizes = tuple(_size(t, costs[t.number], before) for t, before in zip(turns, times, strict=False))
    drawn, length = [_drawn(turn.text) for turn in turns], sum(len(turn.text) for turn in turns)
    if not any(drawn):
        raise ConfigError(f"thread {thread!r} holds no text: there is nothing to simulate")
    each = length / max(1, sum(size.tokens for size in sizes))
    name = f"thread {thread!r}, {len(turns):,} turns"
    return Scene(name, sizes, memory.profile, memory.config, _sample(drawn), each)


def _sample(texts: Sequence[str]) -> str:
    """Some of every text, in equal shares, as much as is laid out."""
    share = SAMPLE / max(SAMPLE, sum(map(len, texts)))
    return "\n".join(text[: ceil(share * len(text))] for text in texts)


def _drawn(text: str) -> str:
    """A text as pages count it: of equal lines in a row one, and no runs of blanks, which are folded before they are drawn.

    With them a density would be what one blank turn makes of it.
    """
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line, _ in groupby(filter(None, lines)))


def _size(turn: Turn, tokens: int, before: datetime | None) -> TurnSize:
    """A turn by its sizes; tool output is the share of its characters that tools wrote."""
    messages = [read(m) for m in turn.messages]
    every = sum(len(m.text) for m in messages)
    tools = sum(len(m.text) for m in messages if m.role == "tool")
    results = min(tokens, round(tokens * tools / every)) if every else 0
    idle = (turn.created_at - before).total_seconds() if turn.created_at and before else PAUSE
    role = turn.role if turn.role in ("user", "assistant") else "assistant"  # a system message is not answered
    return TurnSize(tokens, len(_drawn(turn.text)), role, results, max(0.0, idle))


@dataclass(frozen=True)
class Outcome:
    """A comparison of policies over a scene, and what it stands on."""

    scene: Scene
    comparison: Comparison
    pages: Density
    assumptions: tuple[str, ...]

    def to_json(self) -> Row:
        """JSON-safe values: the conversation, the table, the assumptions, and every call of ours."""
        scene = self.scene
        told = {
            "conversation": scene.name, "turns": len(scene.turns), "text_tokens": sum(t.tokens for t in scene.turns),
            "model": scene.profile.name, "budget": scene.budget, "chars_per_token": round(scene.chars_per_token, 3),
            "chars_per_image_token": {t: d and round(d, 2) for t, d in self.pages.tiers.items()},
            "assumptions": list(self.assumptions),
        }  # fmt: skip
        return told | self.comparison.to_json()


def outcome(scene: Scene, cold: int | str | None = None, system: int = SYSTEM) -> Outcome:
    """Every policy over the scene; the cache is cold at every `cold`-th call, never ("never"), or as the pauses say.

    `system` tokens stand before every call. Raises ConfigError for a model that cannot see.
    """
    turns = [replace(t, idle=0.0) for t in scene.turns] if cold == "never" else scene.turns
    pages = density(scene.profile, scene.budget, scene.sample)
    ours = Ours.of(scene.config, pages, chars_per_token=scene.chars_per_token)
    every = None if isinstance(cold, str) else cold
    done = compare(turns, scene.profile.price, ours, system=system, cold=every)
    return Outcome(scene, done, pages, (*_stood_on(scene, pages, cold, system), *_others(scene)))


def _stood_on(scene: Scene, pages: Density, cold: int | str | None, system: int) -> list[str]:
    held = ", ".join(f"{tier} {d:.1f}" for tier, d in pages.tiers.items() if d is not None)
    calls = f"at every call number {cold}" if cold else "as the pauses between turns say"
    calls = "never" if cold == "never" else calls
    return [
        f"{scene.name}, {sum(t.tokens for t in scene.turns):,} tokens as text, {scene.chars_per_token:.1f} characters each",
        f"pages hold, as laid out for {scene.profile.name}, characters for each image token: {held}",
        f"{system:,} tokens stand before every call; the cache is cold {calls}",
        "readable is the sum over turns of what their tier leaves, as the model's profile says for pages",
        "input only: answers cost the same in every way, a summary's own call is counted whole",
    ]  # fmt: skip


def _others(scene: Scene) -> list[str]:
    """What the ledger says of the other ways, without what it says of real calls."""
    every = assumptions(scene.budget, scene.profile.price)
    return [a for a in every if not a.startswith("every way answers")]


# --------------------------------------------------------------------------------------------- bench recall


def kept(messages: Sequence[Mapping[str, Any]], **settings: Any) -> Row:
    """What one context keeps of a transcript: turns by how they are shown, and the tokens of each."""
    with OpticalMemory("sqlite://", **settings) as memory:
        memory.remember("talk", messages)
        context = memory.context("talk", dry_run=True)
        every = memory.turns("talk")
        plain = scene_of(memory, "talk").turns
    return _kept(context, len(every), sum(size.tokens for size in plain))


def _kept(context: Context, turns: int, plain: int) -> Row:
    shown: dict[str, Row] = {}
    for segment in context.segments:
        row = shown.setdefault(segment.kind, {"shown_as": segment.kind, "turns": 0, "tokens": 0})
        row["turns"] += segment.turns[1] - segment.turns[0] + 1 if segment.turns else 0
        row["tokens"] += segment.tokens
    words, pages = ("text", "current", "recalled"), DRAWN
    return {
        "model": context.model, "budget": context.budget, "tokens": context.tokens, "text_tokens": plain,
        "turns": turns, "as_text": _turns(shown, words), "as_pages": _turns(shown, pages),
        "left_out": sum(last - first + 1 for first, last in context.left_out), "shown": list(shown.values()),
    }  # fmt: skip


def _turns(shown: Mapping[str, Row], kinds: Iterable[str]) -> int:
    return sum(shown[kind]["turns"] for kind in kinds if kind in shown)


# --------------------------------------------------------------------------------------------- bench context

ROUNDS = 31  # timings of each kind; the median is told
Did = Callable[[], object]


def times(turns: Sequence[int], folder: Path, model: str = "claude-opus-5", did: Did = lambda: None) -> list[Row]:
    """Milliseconds (p50) of `memory.context` in made threads of so many turns: unchanged, and after one new turn.

    Each row's ratios compare it with the first. `did` is called after each size. Raises ConfigError for less than a turn.
    """
    rows: list[Row] = []
    for count in turns:
        rows.append(_timed(count, folder / f"{count}.db", model))
        did()
    first = rows[0]
    return [r | {f"{k}_ratio": round(r[f"{k}_ms"] / first[f"{k}_ms"], 2) for k in ("warm", "new_turn")} for r in rows]


def _timed(turns: int, file: Path, model: str) -> Row:
    if turns < 1:
        raise ConfigError(f"{turns} turns: give 1 or more")
    with OpticalMemory(file, model=model) as memory:
        for start in range(0, turns, 10_000):
            memory.remember("made", [_message(n) for n in range(start, min(turns, start + 10_000))])
        first = _ms(lambda: memory.context("made"))
        warm = [_ms(lambda: memory.context("made")) for _ in range(ROUNDS)]
        fresh = [_after_one(memory, turns + n) for n in range(ROUNDS)]
    return {
        "turns": turns, "first_ms": round(first, 1), "warm_ms": round(median(warm), 3),
        "new_turn_ms": round(median(fresh), 3),
    }  # fmt: skip


def _after_one(memory: OpticalMemory, number: int) -> float:
    memory.remember("made", [_message(number)])
    return _ms(lambda: memory.context("made"))


def _ms(work: Did) -> float:
    start = time.perf_counter()
    work()
    return 1_000 * (time.perf_counter() - start)


def _message(number: int) -> dict[str, str]:
    role = "assistant" if number % 2 else "user"
    return {"role": role, "content": _paragraph(number), "id": f"m{number}"}


__all__ = ["Outcome", "Scene", "kept", "outcome", "scene_made", "scene_of", "times"]
