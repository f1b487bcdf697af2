"""What was spent and what other ways would have cost: model calls to bills, and the same conversation told otherwise.

A `Talk` is a conversation by its sizes. A policy (`plain_text`, `trim`, `clear`, `summarise`; pages in `simulate`) makes of
it the `Call`s that would have been sent, `bill` prices them by the provider's cache rules, and a `Ledger` sets what was
really sent beside them. Money is in USD, sizes in tokens of the model's input, times in seconds.

The cache as it is simulated: exact prefix; a call within `Price.ttl` of the one before reads what both begin with and
writes the rest; a prompt below `Price.min_prefix` is neither read nor written. It is taken for granted that a breakpoint
stands where the prefix ends, that nobody else's traffic evicts it, and that an answer does not extend it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import accumulate
from statistics import median
from typing import Any

from optical_memory.cost.prices import UNKNOWN, Price
from optical_memory.errors import ConfigError

SYSTEM = 3_000  # tokens of the system prompt and tools before every call, where nothing else is said
PAUSE = 60.0  # seconds between calls, where nothing else is said
CLEARED = 10  # tokens of what stands for a cleared tool result
SUMMARY = 1_000  # tokens of a summary; LangChain's middleware sets no length, its examples come out about so
SUMMARY_PROMPT = 300  # tokens of the instructions of the summary's own call
OUTPUT = 5.0  # times the base price: an answer where no price of answers is known


# --------------------------------------------------------------------------------------------- the conversation


@dataclass(frozen=True, slots=True)
class TurnSize:
    """One turn: its text tokens, of which `results` are tool output, its characters, and seconds since the turn before.

    Raises ConfigError for sizes below 0 or more results than tokens.
    """

    tokens: int
    chars: int = 0
    role: str = "user"
    results: int = 0
    idle: float = PAUSE

    def __post_init__(self) -> None:
        if min(self.tokens, self.chars, self.results, self.idle) < 0 or self.results > self.tokens:
            raise ConfigError(f"{self}: give sizes of 0 or more, and at most as many results as tokens")

    @property
    def calls(self) -> bool:
        """Does the model answer this turn? Everything but an assistant's turn without tool results."""
        return self.role != "assistant" or self.results > 0


@dataclass(frozen=True, slots=True)
class Moment:
    """A model call: how many turns stood before it, seconds since the call before (None: the first), answered tokens."""

    turns: int
    idle: float | None = None
    output: int = 0


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation: its turns, the calls made in it, and the tokens that stand before every call."""

    turns: tuple[TurnSize, ...]
    moments: tuple[Moment, ...]
    system: int = SYSTEM

    def before(self) -> list[int]:
        """Text tokens of the first n turns, for n from 0."""
        return [0, *accumulate(turn.tokens for turn in self.turns)]


def moments(turns: Sequence[TurnSize]) -> tuple[Moment, ...]:
    """The calls that a conversation implies: one after each turn that the model answers."""
    found: list[Moment] = []
    idle = 0.0
    for number, turn in enumerate(turns, 1):
        idle += turn.idle
        if turn.calls:
            found.append(Moment(number, idle if found else None))
            idle = 0.0
    return tuple(found)


def made(
    turns: int = 200, chars: int = 4_000, *, chars_per_token: float = 2.9, asks: int = 4, results: float = 0.7
) -> list[TurnSize]:
    """A made conversation of equal turns, each with a call: every `asks`-th is the user's, the others are tool rounds.

    `results` is the share of a tool round that is the tools' output. 2.9 characters per token is prose on Claude.
    """
    if turns < 1 or chars < 1 or chars_per_token <= 0 or asks < 1 or not 0 < results <= 1:
        raise ConfigError(
            f"made(turns={turns}, chars={chars}, chars_per_token={chars_per_token}, asks={asks}, results={results}): "
            f"give at least one turn of one character, asks of at least 1 and a share of results above 0 and up to 1"
        )
    tokens = round(chars / chars_per_token)
    user = TurnSize(tokens, chars)
    tools = TurnSize(tokens, chars, "assistant", max(1, round(results * tokens)))
    return [user if number % asks == 0 else tools for number in range(turns)]


def real(rows: Iterable[tuple[str, int, int]]) -> list[TurnSize]:
    """Turns from (role, characters, text tokens); the role "tool" is a tool round, all of it tool output."""
    return [TurnSize(tokens, chars, role, tokens if role == "tool" else 0) for role, chars, tokens in rows]


# --------------------------------------------------------------------------------------------- calls and bills


@dataclass(frozen=True, slots=True)
class Call:
    """What one model call sent: `tokens` of input, the first `prefix` of them as in the call before.

    `idle` seconds since then (None: never called); `recalled` of the tokens were recalled by themselves. `read` and
    `written` are what the provider says it took from its cache and put there; None: simulate it. `at` is the number of
    turns that stood; `shown` how many turns are shown at each tier; `reason` why tiers changed. `aside` is a call that
    has nothing to do with the conversation's prompt, such as a summary's own. Raises ConfigError for a usage that
    contradicts itself.
    """

    tokens: int
    prefix: int = 0
    idle: float | None = None
    output: int = 0
    recalled: int = 0
    at: int = 0
    read: int | None = None
    written: int | None = None
    shown: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    aside: bool = False

    def __post_init__(self) -> None:
        parts = (self.tokens, self.prefix, self.output, self.recalled, self.read or 0, self.written or 0)
        cached = (self.read or 0) + (self.written or 0)
        if min(parts) < 0 or max(self.prefix, self.recalled, cached) > self.tokens:
            raise ConfigError(
                f"a call of {self.tokens} input tokens cannot have {self.prefix} as in the call before, {self.read} read "
                f"from the cache, {self.written} written to it and {self.recalled} recalled: pass the whole input as "
                f"tokens, cached tokens included (LangChain's usage_metadata['input_tokens'])"
            )


@dataclass(frozen=True, slots=True)
class Bill:
    """Calls, tokens by what they cost, and USD. `recalled` and its money are within the others; `over` counts calls above a
    long-context price step."""

    calls: int = 0
    fresh: int = 0
    read: int = 0
    written: int = 0
    output: int = 0
    recalled: int = 0
    over: int = 0
    money: float = 0.0
    recalled_money: float = 0.0

    @property
    def input(self) -> int:
        """All tokens sent."""
        return self.fresh + self.read + self.written

    def __add__(self, other: Bill) -> Bill:
        return Bill(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Bill)))

    def to_json(self) -> dict[str, Any]:
        """JSON-safe values."""
        return asdict(self) | {"input": self.input}


def bills(calls: Iterable[Call], price: Price) -> Iterator[Bill]:
    """The bill of each call in turn; the provider's cache is carried from call to call."""
    cached = 0
    for call in calls:
        yield _one(call, cached, price)
        if not call.aside:
            cached = call.tokens if _cacheable(call.tokens, price) else 0


def bill(calls: Iterable[Call], price: Price) -> Bill:
    """The sum of the calls' bills."""
    return sum(bills(calls, price), Bill())


def _cacheable(tokens: int, price: Price) -> bool:
    return price.ttl > 0 and tokens >= price.min_prefix


def _one(call: Call, cached: int, price: Price) -> Bill:
    read, written = _split(call, cached, price)
    fresh = call.tokens - read - written
    money = price.bill(fresh, read, written)
    share = call.recalled / call.tokens if call.tokens else 0.0
    over = int(price.factor(call.tokens) > 1)
    total = money + call.output * output_price(price) / 1e6
    return Bill(1, fresh, read, written, call.output, call.recalled, over, total, money * share)


def _split(call: Call, cached: int, price: Price) -> tuple[int, int]:
    """(read, written) tokens of a call: as reported, else by the rules above."""
    if call.read is not None or call.written is not None:
        return call.read or 0, call.written or 0
    if call.aside or not _cacheable(call.tokens, price):
        return 0, 0
    warm = call.idle is not None and call.idle <= price.ttl
    read = min(call.prefix, cached) if warm else 0
    read = read if read >= price.min_prefix else 0
    return read, call.tokens - read


def output_price(price: Price) -> float:
    """USD of a million answered tokens: the table's, else five times the base price."""
    return OUTPUT * price.base if price.output is None else price.output


# --------------------------------------------------------------------------------------------- other ways with text


def plain_text(talk: Talk) -> list[Call]:
    """Everything as text in every call; no window is too small for it."""
    before, calls, last = talk.before(), list[Call](), 0
    for m in talk.moments:
        tokens = talk.system + before[m.turns]
        calls.append(Call(tokens, last, m.idle, m.output, at=m.turns, shown={"text": m.turns}))
        last = tokens
    return calls


def trim(talk: Talk, window: int, low: float = 1.0) -> list[Call]:
    """The newest turns that fit in `window` tokens, system prompt included; the newest one always.

    With `low` below 1 (hysteresis) a prompt that has outgrown the window is cut to that share of it, which leaves the
    prefix alone for many calls; at 1 it is cut to the window, so that once it is full every call changes the prefix.
    """
    before, calls, last, start = talk.before(), list[Call](), 0, 0
    for m in talk.moments:
        old = start
        if talk.system + before[m.turns] - before[start] > window:
            start = _cut(before, talk.system, m.turns, start, int(low * window))
        tokens = talk.system + before[m.turns] - before[start]
        prefix = last if start == old else min(last, talk.system)
        shown = {"text": m.turns - start, "gone": start}
        reason = "" if start == old else f"{start - old} turns dropped"
        calls.append(Call(tokens, prefix, m.idle, m.output, at=m.turns, shown=shown, reason=reason))
        last = tokens
    return calls


def _cut(before: Sequence[int], system: int, end: int, start: int, target: int) -> int:
    """The first turn to keep, so that at most `target` tokens are left or one turn."""
    while start < end - 1 and system + before[end] - before[start] > target:
        start += 1
    return start


def clear(talk: Talk, trigger: int = 100_000, keep: int = 3, least: int = 10_000) -> list[Call]:
    """Above `trigger` tokens old tool results are replaced by a placeholder, all but those of the newest `keep` tool rounds.

    Only if that frees `least` tokens, so that the prefix is not changed for little. What is left is not bounded.
    """
    before, calls, last, first, freed, gone = talk.before(), list[Call](), 0, 0, 0, 0.0
    rounds = [number for number, turn in enumerate(talk.turns) if turn.results]
    for m in talk.moments:
        prefix, reason = last, ""
        over = talk.system + before[m.turns] - freed > trigger
        old = talk.turns[first : _clearable(rounds, m.turns, keep)] if over else ()
        gain = sum(map(_frees, old))
        if gain >= max(1, least):
            changed = rounds[bisect_left(rounds, first)]
            prefix, reason = min(last, talk.system + before[changed] - freed), f"{gain} tokens of results cleared"
            freed, gone, first = freed + gain, gone + sum(map(_lost, old)), first + len(old)
        tokens = talk.system + before[m.turns] - freed
        shown = {"text": m.turns - gone, "gone": gone}
        calls.append(Call(tokens, prefix, m.idle, m.output, at=m.turns, shown=shown, reason=reason))
        last = tokens
    return calls


def _clearable(rounds: Sequence[int], end: int, keep: int) -> int:
    """Turns before this one may be cleared: the tool rounds among the first `end` turns, but for the newest `keep`."""
    found = bisect_left(rounds, end)
    return 0 if found <= keep else rounds[found - keep] if keep else end


def _frees(turn: TurnSize) -> int:
    return max(0, turn.results - CLEARED)


def _lost(turn: TurnSize) -> float:
    """The share of a turn's text that was tool output."""
    return turn.results / turn.tokens if turn.tokens else 0.0


def summarise(talk: Talk, window: int, keep: float = 0.5, length: int = SUMMARY) -> list[Call]:
    """Above `window` tokens everything but the newest turns (`keep` of the window) becomes one summary of `length` tokens.

    The summary is a call of its own, not cached, that reads the old summary and the turns that go.
    """
    before, calls, last, start = talk.before(), list[Call](), 0, 0
    for m in talk.moments:
        prefix, old = last, start
        head = talk.system + (length if start else 0)
        if head + before[m.turns] - before[start] > window:
            start = _cut(before, talk.system + length, m.turns, start, int(keep * window))
        if start != old:
            sent = SUMMARY_PROMPT + (length if old else 0) + before[start] - before[old]
            calls.append(Call(sent, 0, m.idle, length, at=m.turns, reason="summary", aside=True))
            prefix = min(last, talk.system)
        tokens = talk.system + (length if start else 0) + before[m.turns] - before[start]
        shown = {"text": m.turns - start, "summary": start}
        calls.append(Call(tokens, prefix, m.idle, m.output, at=m.turns, shown=shown))
        last = tokens
    return calls


# --------------------------------------------------------------------------------------------- the ledger


@dataclass(frozen=True)
class Ledger:
    """What a conversation cost as it was sent, and what the same calls would have cost in other ways, by name."""

    spent: Bill
    instead: Mapping[str, Bill]
    assumptions: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Input tokens of plain text for each one that was sent: the effective ratio, everything sent included.

        Preamble, labels, facts, cards, recalls and the system prompt are in it. 1.0 where nothing was sent.
        """
        plain = self.instead["plain text"].input
        return plain / self.spent.input if self.spent.input else 1.0

    def saved(self, name: str = "plain text") -> float:
        """Share of the money that the way `name` would have cost; below 0 where it would have been cheaper."""
        other = self.instead[name].money
        return 1 - self.spent.money / other if other else 0.0

    def rows(self) -> list[dict[str, str | int | float]]:
        """A small table: what was spent, automatic recall within it, and each other way."""
        spent, part = self.spent, replace(Bill(), money=self.spent.recalled_money, fresh=self.spent.recalled)
        return [
            _row("spent", spent, spent),
            _row("of it recalled", part, spent) | {"calls": ""},
            *(_row(name, other, spent) for name, other in self.instead.items()),
        ]

    def to_json(self) -> dict[str, Any]:
        """JSON-safe values."""
        return {
            "spent": self.spent.to_json(),
            "instead": {name: other.to_json() for name, other in self.instead.items()},
            "ratio": round(self.ratio, 4),
            "saved": {name: round(self.saved(name), 4) for name in self.instead},
            "assumptions": list(self.assumptions),
        }


def _row(name: str, of: Bill, spent: Bill) -> dict[str, str | int | float]:
    share = round(of.money / spent.money, 3) if spent.money else 0.0
    return {
        "policy": name, "calls": of.calls, "input": of.input, "read": of.read, "written": of.written,
        "output": of.output, "usd": round(of.money, 4), "of spent": share,
    }  # fmt: skip


def others(window: int) -> dict[str, Callable[[Talk], list[Call]]]:
    """The ways that a ledger compares with, for a window of so many tokens."""
    return {
        "plain text": plain_text,
        "trim": lambda talk: trim(talk, window),
        "trim with hysteresis": lambda talk: trim(talk, window, 0.5),
        "clear tool results": lambda talk: clear(talk, window, least=window // 10),
        "summary": lambda talk: summarise(talk, window),
    }


def ledger(
    calls: Sequence[Call], turns: Sequence[TurnSize], price: Price, window: int, *, system: int = SYSTEM
) -> Ledger:
    """What `calls` cost, and what they would have cost in other ways with a window of so many tokens.

    `turns` are the conversation's turns as text; each call says by `at` how many of them stood when it was made. Raises
    ConfigError where a call says more than there are.
    """
    late = next((c for c in calls if c.at > len(turns)), None)
    if late is not None:
        raise ConfigError(f"a call was made at turn {late.at}, but {len(turns)} turns are given: pass all turns")
    talk = Talk(tuple(turns), tuple(Moment(c.at, c.idle, c.output) for c in calls if not c.aside), system)
    instead = {name: bill(way(talk), price) for name, way in others(window).items()}
    return Ledger(bill(calls, price), instead, assumptions(window, price))


def assumptions(window: int, price: Price) -> tuple[str, ...]:
    """What the other ways' figures stand on, in sentences."""
    answer = "the table's" if price.output is not None else "taken as five times the input's, for want of a figure"
    cache = f"lives {price.ttl:.0f} s and starts at {price.min_prefix} tokens" if price.ttl else "does not exist"
    guess = ": a guess, since no table holds this model's price" if price == UNKNOWN else ""
    return (
        f"${price.base:g} for a million tokens, ${price.read:g} from the cache, ${price.write:g} written to it{guess}",
        f"the provider's cache {cache}; it is read up to the first changed byte and never evicted early",
        f"trim, clear and summary work in a window of {window} tokens; hysteresis cuts to half of it",
        f"tool results are cleared above the window, all but the newest 3, if that frees {window // 10} tokens",
        f"a summary is {SUMMARY} tokens long and a call of its own that is not cached",
        f"every way answers as the real calls did; the price of answers is {answer}",
        "plain text fits into the model's window however long it gets",
    )


# --------------------------------------------------------------------------------------------- learning from usage

LEARNED = 25  # pairs that a correction looks back on
ENOUGH = 3  # pairs before anything is corrected
BOUNDS = (0.5, 2.0)
DRIFT = 0.02  # share from which a warning is due
ABSURD = 10.0  # times more or less: not a wrong table but another request's usage


@dataclass(frozen=True, slots=True)
class Correction:
    """What a model's bills teach about its predictions: the newest (predicted, billed) input tokens, oldest first."""

    pairs: tuple[tuple[int, int], ...] = ()

    def learn(self, predicted: int, billed: int) -> Correction:
        """With one more pair; the oldest beyond 25 is forgotten.

        Raises ConfigError for a usage that cannot belong to the request: nothing, or ten times more or less.
        """
        if predicted <= 0 or billed <= 0 or not 1 / ABSURD <= billed / predicted <= ABSURD:
            raise ConfigError(
                f"{predicted} input tokens were predicted and {billed} billed, which is not the usage of this request: "
                f"pass the usage_metadata of the answer to it, with cached tokens counted in input_tokens"
            )
        return Correction((*self.pairs, (predicted, billed))[-LEARNED:])

    @property
    def measured(self) -> float:
        """Billed over predicted: the median of the pairs, which one odd call does not move; 1.0 below three pairs."""
        return median(b / p for p, b in self.pairs) if len(self.pairs) >= ENOUGH else 1.0

    @property
    def factor(self) -> float:
        """What to multiply a prediction by, between 0.5 and 2."""
        return min(BOUNDS[1], max(BOUNDS[0], self.measured))

    def drift(self, model: str) -> str | None:
        """A warning where bills and tables differ by more than 2 %; None where they agree."""
        off = round(self.measured - 1, 6)
        if abs(off) <= DRIFT:
            return None
        more, bounded = "more" if off > 0 else "less", "" if self.factor == self.measured else ", the most allowed"
        return (
            f"{model}: the provider bills {abs(off):.1%} {more} input tokens than predicted (median of the last "
            f"{len(self.pairs)} calls); predictions are multiplied by {self.factor:.3f}{bounded}. If it lasts, tell the "
            f"right figures with register_model({model!r}, ...)"
        )
