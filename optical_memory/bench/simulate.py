"""The price of a conversation, call by call, for plain text, trimming, clearing, frozen pages and this memory.

Pure: sizes in, tables out. Ours is no model of the planner but the planner itself (`planning.steps.decide`), which works on
sizes where a real thread has text.

What is assumed, beside the cache rules in `ledger`: input only, answers cost the same in every way (a summary's own call is
counted whole); pages hold `Density` characters for each image token; one exact string of 12 characters stands in every 1,000
of text, which the fact sheet repeats within its share of the budget; a turn that is shown counts as readable by what
`READABLE` says of its tier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from math import ceil
from statistics import fmean
from typing import Any, Protocol

from optical_memory.config import DEFAULT_BUDGET, MemoryConfig
from optical_memory.cost import ledger
from optical_memory.cost.ledger import SYSTEM, Bill, Call, Moment, Talk, TurnSize, made, moments, real
from optical_memory.cost.prices import Price
from optical_memory.cost.profiles import SHARES, Profile
from optical_memory.errors import BudgetError, ConfigError
from optical_memory.pages import Sheet, Style, TurnText, measure
from optical_memory.planning.context import READABLE, Plan, Segment
from optical_memory.planning.decay import Age, Schedule, named, staircase
from optical_memory.planning.looks import PAGE_SHARE, SMALLEST, sheet_for
from optical_memory.planning.spans import Known, Look, Placed, Settings, State
from optical_memory.planning.steps import decide
from optical_memory.planning.tiers import DRAWN, Tier

CARD = 0.12  # of a turn is left on its card: an assumption, not what the planner thinks a card worth
SHOWN: Mapping[str, float] = {**READABLE, **SHARES, "card": CARD, "summary": CARD, "excerpt": CARD, "gone": 0.0}
STRINGS = 1_000  # characters of text to each exact string
HYSTERESIS = (0.25, 0.5, 0.75)  # low marks among which a trim of equal money or tokens may choose its best
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # ages in hours are not simulated
# Stand-ins: a simulated page is priced by its tokens alone; its style only tells the tiers apart.
_STYLES: Mapping[str, Style] = {"vivid": Style(9), "clear": Style(8), "dense": Style(7)}
_SHEET = Sheet(28, 28, 28, True)


@dataclass(frozen=True, slots=True)
class Density:
    """Characters that a page holds for each of its image tokens, per tier; None: the model does not read that tier.

    As shipped: cells of 144, 72 and 50 pixels, 92 % of them filled, on Claude's 784 pixels a token. `exact` are the tiers
    at which exact strings are safe in the picture; `images` is the most that one request may hold.
    """

    vivid: float | None = 5.0
    clear: float | None = 10.0
    dense: float | None = 14.4
    exact: tuple[str, ...] = ("vivid",)
    images: int = 100

    def __post_init__(self) -> None:
        given = [d for d in self.tiers.values() if d is not None]
        if not given or min(given) <= 0:
            raise ConfigError(f"{self}: give characters per image token above 0 for one tier or more")

    @property
    def tiers(self) -> dict[Tier, float | None]:
        """The densities by tier, sharpest first."""
        return {"vivid": self.vivid, "clear": self.clear, "dense": self.dense}

    def at(self, tier: Tier) -> float:
        """The density of a tier, or of the nearest one that is read."""
        order = sorted(DRAWN, key=lambda t: abs(DRAWN.index(t) - DRAWN.index(tier)))
        return next(d for t in order if (d := self.tiers[t]) is not None)


def density(profile: Profile, budget: int, sample: str) -> Density:
    """What the pages of a model really hold, measured by laying out `sample` (some thousands of characters).

    Raises ConfigError for a model that cannot see or a sample too short to fill a page.
    """
    sheet = sheet_for(profile, budget)
    if not profile.vision or sheet is None:
        raise ConfigError(f"{profile.name!r} cannot read pages ({profile.note}): simulate a model that sees images")
    if len(sample) < 1_000:
        raise ConfigError(f"a sample of {len(sample)} characters says nothing of a page: pass 1000 or more")
    measured = {tier: _measured(profile, style, sheet, sample) for tier, style in profile.tiers.items()}
    exact = tuple(tier for tier, safe in profile.exact.items() if safe)
    return Density(measured["vivid"], measured["clear"], measured["dense"], exact, profile.max_images)


def _measured(profile: Profile, style: Style | None, sheet: Sheet, sample: str) -> float | None:
    if style is None:
        return None
    pages = measure([TurnText(1, "user", sample, None, None)], style, sheet)
    return len(sample) / sum(profile.image(width, height) for _, _, width, height in pages)


# --------------------------------------------------------------------------------------------- policies


class Policy(Protocol):
    """A way of showing a conversation: its name and the calls that it makes."""

    @property
    def name(self) -> str: ...

    def __call__(self, talk: Talk, price: Price) -> list[Call]: ...


@dataclass(frozen=True, slots=True)
class PlainText:
    """Everything as text in every call."""

    name: str = "plain text"

    def __call__(self, talk: Talk, price: Price) -> list[Call]:
        return ledger.plain_text(talk)


@dataclass(frozen=True, slots=True)
class Trim:
    """The newest turns in `window` tokens; `low` below 1 is hysteresis: cut to that share of it."""

    window: int
    low: float = 1.0

    @property
    def name(self) -> str:
        return f"trim {self.window}" + (f" with hysteresis to {self.low:.0%}" if self.low < 1 else "")

    def __call__(self, talk: Talk, price: Price) -> list[Call]:
        return ledger.trim(talk, self.window, self.low)


@dataclass(frozen=True, slots=True)
class Clear:
    """Old tool results are cleared above `trigger` tokens, if that frees `least`; see `ledger.clear`."""

    trigger: int = 32_000
    keep: int = 3
    least: int = 3_200
    name: str = "clear tool results"

    def __call__(self, talk: Talk, price: Price) -> list[Call]:
        return ledger.clear(talk, self.trigger, self.keep, self.least)


@dataclass(frozen=True, slots=True)
class Summarise:
    """Everything old becomes a summary above `window` tokens; see `ledger.summarise`."""

    window: int = 32_000
    name: str = "summary"

    def __call__(self, talk: Talk, price: Price) -> list[Call]:
        return ledger.summarise(talk, self.window)


@dataclass(frozen=True, slots=True)
class Frozen:
    """Every `flush` characters the text since the last flush becomes pages of one tier, which never change; no budget."""

    flush: int = 24_000
    tier: Tier = "clear"
    density: Density = Density()
    name: str = "frozen pages"

    def __call__(self, talk: Talk, price: Price) -> list[Call]:
        calls, last, pages, through = list[Call](), 0, 0, 0
        for m in talk.moments:
            fresh, prefix = talk.turns[through : m.turns], last
            if sum(turn.chars for turn in fresh) > self.flush:
                prefix = min(last, talk.system + pages)
                pages += ceil(sum(turn.chars for turn in fresh[:-1]) / self.density.at(self.tier))
                through, fresh = m.turns - 1, fresh[-1:]
            last = talk.system + pages + sum(turn.tokens for turn in fresh)
            shown: dict[str, float] = {self.tier: through, "text": len(fresh)}
            calls.append(Call(last, prefix, m.idle, m.output, at=m.turns, shown=shown))
        return calls


@dataclass(frozen=True, slots=True)
class Falling:
    """The mistake that this memory exists not to make: the resolution of every page falls a little on every turn."""

    keep: int = 6
    over: int = 50  # turns of age from the sharpest to the faintest
    density: Density = Density()
    name: str = "falls every turn"

    def __call__(self, talk: Talk, price: Price) -> list[Call]:
        calls, last = list[Call](), 0
        for m in talk.moments:
            old = max(0, m.turns - self.keep)
            pages = sum(ceil(turn.chars / self._at(m.turns - n)) for n, turn in enumerate(talk.turns[:old], 1))
            prefix = min(last, talk.system) if old else last
            last = talk.system + pages + sum(turn.tokens for turn in talk.turns[old : m.turns])
            shown = {"clear": old, "text": m.turns - old}
            calls.append(Call(last, prefix, m.idle, m.output, at=m.turns, shown=shown))
        return calls

    def _at(self, age: int) -> float:
        """Characters for each image token at an age in turns."""
        sharp, faint = self.density.at("vivid"), self.density.at("dense")
        return float(sharp * (faint / sharp) ** min(1.0, age / self.over))


@dataclass(frozen=True, slots=True)
class Ours:
    """This memory: text, pages that fall in batches, cards, a handle, within `budget` tokens, stepping when it pays.

    The fields are those of `MemoryConfig`, and `Ours.of(config)` takes them from one; `recall` is what automatic recall adds
    to each user message, in tokens. The defaults are for money: little text is kept, since it is written again with every
    step, pages begin clear, and a step goes down far enough that the next is some dozen calls away.
    """

    budget: int = 32_000
    keep: tuple[str, int] = ("tokens", 4_000)
    low_mark: float = 0.6
    horizon: float = 20
    schedule: Schedule = field(default_factory=lambda: staircase(clear=("turns", 0), dense=("turns", 200)))
    facts: float = 0.08
    recall: int = 0
    density: Density = Density()
    chars_per_token: float = 2.9
    name: str = "optical memory"

    @staticmethod
    def of(config: MemoryConfig, pages: Density | None = None, *, chars_per_token: float = 2.9) -> Ours:
        """What a memory of these settings would do; automatic recall is left out."""
        return Ours(
            config.budget or DEFAULT_BUDGET, config.keep, config.low_mark, config.horizon, named(config.schedule),
            config.facts, density=pages or Density(), chars_per_token=chars_per_token,
        )  # fmt: skip

    def __call__(self, talk: Talk, price: Price) -> list[Call]:
        return list(_Run(self, talk, price).calls())


# --------------------------------------------------------------------------------------------- ours


@dataclass(frozen=True, slots=True)
class _Row:
    """A turn as planning asks for it, without its text."""

    number: int
    role: str
    tokens: int
    chars: int
    calls: int
    name: str | None = None
    text: str = ""
    messages: int = 0
    attachments: None = None
    importance: float = 0.0
    weight: float | None = None
    pinned: bool = False
    purged: bool = False
    duplicate_of: int | None = None
    recalls: int = 0
    created_at: datetime | None = None
    stored_at: datetime = _LONG_AGO


class _Run:
    """One conversation under the planner: the plan in force and its spans, carried from call to call."""

    def __init__(self, ours: Ours, talk: Talk, price: Price) -> None:
        self.ours, self.talk = ours, talk
        self.settings = _settings(ours, price)
        self.rows = [_row(number, turn) for number, turn in enumerate(talk.turns, 1)]
        self.plan, self.spans, self.standing = Plan(), tuple[Known, ...](), False
        self.extra = 0  # tokens recalled by themselves since the last step

    def calls(self) -> Iterator[Call]:
        last = 0
        for m in self.talk.moments:
            asked = self.talk.turns[m.turns - 1].role == "user"
            old, reason = self.plan, self._step(m)
            fresh = sum(row.tokens + row.calls for row in self.rows[self.plan.through : m.turns])
            tokens = self.talk.system + self.plan.tokens + self.extra + fresh
            recalled = max(0, min(self.ours.recall, self.ours.budget - tokens)) if asked and self.plan.segments else 0
            self.extra, tokens = self.extra + recalled, tokens + recalled
            tokens = max(self.talk.system, min(tokens, self.ours.budget)) if reason == "cut" else tokens
            prefix = min(last, tokens, self.talk.system + _shared(old, self.plan) if reason else last)
            shown = _shown(self.plan, m.turns)
            yield Call(tokens, prefix, m.idle, m.output, self.extra, m.turns, shown=shown, reason=reason)
            last = tokens

    def _step(self, m: Moment) -> str:
        """Puts a new plan in force if one is due; the reason, or nothing."""
        state = self._state(m)
        try:
            proposal, reason, _ = decide(state, self.settings, self.standing, m.idle)
        except BudgetError:  # the newest turn alone is too long: its head and tail are sent
            hidden = Placed(Known(1, m.turns - 1, 0, {}, "", (), "handle", hidden=True), "handle", 0)
            self._adopt(Plan(m.turns - 1), [hidden])
            return "cut"
        if proposal is not None:
            self._adopt(proposal.plan, proposal.placed)
        return reason if proposal else ""

    def _adopt(self, plan: Plan, placed: Sequence[Placed]) -> None:
        self.plan, self.standing, self.extra = plan, True, 0
        drawn = [replace(p.span, tier=p.tier, page=p.span.first, guard=0) for p in placed]
        visible = next((n for n, span in enumerate(drawn) if span.tier != "handle"), len(drawn))
        hidden = [Known(1, drawn[visible - 1].last, 0, {}, "", (), "handle", hidden=True)] if visible else []
        self.spans = (*hidden, *drawn[visible:])

    def _state(self, m: Moment) -> State:
        fresh = tuple(self.rows[self.plan.through : m.turns])
        anchor = next((row.number for row in reversed(self.rows[: m.turns]) if row.role == "user"), 0)
        standing = (replace(s, guard=3) if s.first == s.last == anchor else s for s in self.spans)
        spans = (*standing, *self._drafts(fresh[:-1], anchor, m.turns))
        return State(m.turns, anchor, self.plan, spans, fresh, self.talk.system, None, self.extra)

    def _drafts(self, rows: Sequence[_Row], anchor: int, end: int) -> Iterator[Known]:
        """Pages of whole turns, as full as the tier at which they are first shown allows; the anchor apart."""
        page = max(SMALLEST, self.ours.budget // PAGE_SHARE)
        part: list[_Row] = []
        for row in rows:
            tier = self.ours.schedule(Age(end - (part or [row])[0].number, 0, 0))
            full = sum(r.chars for r in part) + row.chars > page * self.ours.density.at(_drawn(tier))
            if part and (full or row.number == anchor or part[0].number == anchor):
                yield self._known(part, anchor)
                part = []
            part.append(row)
        if part:
            yield self._known(part, anchor)

    def _known(self, rows: Sequence[_Row], anchor: int) -> Known:
        chars = sum(row.chars for row in rows)
        looks = {t: _look(t, chars, d) for t, d in self.ours.density.tiers.items() if d is not None}
        strings = tuple(f"{rows[0].number:06d}-{n:05d}" for n in range(chars // STRINGS))
        text = sum(row.tokens + row.calls for row in rows)
        card = "x" * min(280, max(80, chars // 12))
        guard = 3 if rows[0].number == anchor else 0
        return Known(
            rows[0].number, rows[-1].number, text, looks, card, strings, guard=guard, chars=chars,
            raw=sum(row.tokens for row in rows), worth=sum(row.tokens for row in rows),
        )  # fmt: skip


def _row(number: int, turn: TurnSize) -> _Row:
    """The turn's row; that of an assistant who waits for tools has a call, which costs the planner one token."""
    waits = int(turn.calls and turn.role != "user")
    return _Row(number, turn.role, max(0, turn.tokens - waits), turn.chars, waits)


def _drawn(tier: Tier) -> Tier:
    return tier if tier in DRAWN else "dense"


def _look(tier: Tier, chars: int, per_token: float) -> Look:
    """A page that is as many pixels wide as it costs tokens."""
    return Look(_STYLES[tier], _SHEET, ((ceil(chars / per_token), 1),))


def _width(width: int, height: int) -> int:
    return width


def _same(width: int, height: int) -> tuple[int, int]:
    return width, height


def _settings(ours: Ours, price: Price) -> Settings:
    """The planner's settings: tokens of text by its length, tokens of a page by its width, see `_look`."""
    tiers: dict[str, Style | None] = {t: None if d is None else _STYLES[t] for t, d in ours.density.tiers.items()}
    profile = Profile(
        "simulated", True, _width, _same, 1.0, 4, 0, (), tiers, {t: t in ours.density.exact for t in DRAWN}, None,
        ours.density.images, 8_000, 2**25, price, "simulated", "",
    )  # fmt: skip

    def count(text: str) -> int:
        return ceil(len(text) / ours.chars_per_token)

    return Settings(
        profile, ours.budget, count, ours.schedule, ours.keep, ours.low_mark, ours.facts, ours.horizon
    )  # fmt: skip


def _shared(old: Plan, new: Plan) -> int:
    """Tokens of the segments that both plans begin with."""
    tokens = 0
    for one, other in zip(old.segments, new.segments, strict=False):
        if _face(one) != _face(other):
            break
        tokens += one.tokens
    return tokens


def _face(segment: Segment) -> tuple[object, ...]:
    return segment.kind, segment.turns, segment.text, segment.look


def _shown(plan: Plan, end: int) -> dict[str, float]:
    """How many turns are shown at each tier; what the plan does not name is behind a handle."""
    shown: dict[str, float] = {"text": end - plan.through}
    for segment in plan.segments:
        if segment.turns:
            shown[segment.kind] = shown.get(segment.kind, 0) + segment.turns[1] - segment.turns[0] + 1
    missing = end - sum(shown.values())
    return shown | ({"handle": shown.get("handle", 0) + missing} if missing > 0 else {})


# --------------------------------------------------------------------------------------------- simulations


@dataclass(frozen=True)
class Simulation:
    """One policy over one conversation: the calls it made and the bill of each."""

    name: str
    calls: tuple[Call, ...]
    bills: tuple[Bill, ...]

    @cached_property
    def bill(self) -> Bill:
        """The sum."""
        return sum(self.bills, Bill())

    @property
    def money(self) -> float:
        """USD in all."""
        return self.bill.money

    @cached_property
    def turns(self) -> tuple[Call, ...]:
        """The calls of the conversation itself, without a summary's own."""
        return tuple(call for call in self.calls if not call.aside)

    @property
    def peak(self) -> int:
        """Tokens of the largest call."""
        return max((call.tokens for call in self.calls), default=0)

    @property
    def tokens(self) -> float:
        """Tokens of a call, on average."""
        return fmean(call.tokens for call in self.turns) if self.turns else 0.0

    @property
    def readable(self) -> float:
        """Turns that can be read in a call, on average."""
        return fmean(readable(call) for call in self.turns) if self.turns else 0.0

    @property
    def least(self) -> float:
        """Turns that can be read in the poorest call after the first at which old bytes changed."""
        first = next((n for n in range(1, len(self.turns)) if self._changed(n)), 0)
        return min(map(readable, self.turns[first:]), default=0.0)

    @property
    def steps(self) -> int:
        """Calls at which old bytes changed, other than by being appended to."""
        return sum(map(self._changed, range(1, len(self.turns))))

    def _changed(self, number: int) -> bool:
        return self.turns[number].prefix < self.turns[number - 1].tokens

    def total(self) -> dict[str, str | int | float]:
        """One row of a table of policies."""
        last = readable(self.turns[-1]) if self.turns else 0.0
        return {
            "policy": self.name, "usd": round(self.money, 4), "tokens": round(self.tokens), "peak": self.peak,
            "written": self.bill.written, "steps": self.steps, "readable": round(self.readable, 1),
            "at least": round(self.least, 1),
            "at the end": round(last, 1),
        }  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        """One row for each call: turns so far, tokens, what of them was cached, USD in all until then, tiers."""
        rows, money = [], 0.0
        for call, of in zip(self.calls, self.bills, strict=True):
            money += of.money
            rows.append(
                {
                    "turn": call.at, "tokens": call.tokens, "read": of.read, "written": of.written, "fresh": of.fresh,
                    "usd": round(money, 6), "readable": round(readable(call), 2), "reason": call.reason,
                    "shown": {tier: round(n, 2) for tier, n in call.shown.items() if n},
                }
            )  # fmt: skip
        return rows

    def to_json(self) -> dict[str, Any]:
        """JSON-safe values: the total and every call."""
        return {"total": self.total(), "calls": self.rows()}


def readable(call: Call) -> float:
    """Turns that can be read in this call, each by what its tier leaves of it."""
    return sum(SHOWN.get(tier, 0.0) * turns for tier, turns in call.shown.items())


def talk_of(turns: Sequence[TurnSize], price: Price, *, system: int = SYSTEM, cold: int | None = None) -> Talk:
    """The conversation and its calls; the cache is cold at every `cold`-th call (1: always), else by the turns' pauses.

    Raises ConfigError for no turns, or `cold` below 1.
    """
    if not turns or system < 0 or (cold is not None and cold < 1):
        raise ConfigError(f"{len(turns)} turns, system={system}, cold={cold}: give turns, 0 or more, None or 1 or more")
    calls = moments(turns)
    if cold is not None:
        calls = tuple(replace(m, idle=price.ttl + 1) if n and n % cold == 0 else m for n, m in enumerate(calls))
    return Talk(tuple(turns), calls, system)


def simulate(
    turns: Sequence[TurnSize], policy: Policy, price: Price, *, system: int = SYSTEM, cold: int | None = None
) -> Simulation:
    """A policy over a conversation, call by call: tokens, money, tiers and readable turns."""
    return _run(talk_of(turns, price, system=system, cold=cold), policy, price)


def _run(talk: Talk, policy: Policy, price: Price) -> Simulation:
    calls = tuple(policy(talk, price))
    return Simulation(policy.name, calls, tuple(ledger.bills(calls, price)))


def uncached(price: Price) -> Price:
    """The same price at a provider without a prompt cache."""
    return replace(price, read=price.base, write=price.base, ttl=0.0)


# --------------------------------------------------------------------------------------------- comparisons


@dataclass(frozen=True)
class Comparison:
    """Policies over one conversation, and trims that cost as much, or send as many tokens, as ours."""

    ours: Simulation
    others: tuple[Simulation, ...]
    equal_money: Simulation
    equal_tokens: Simulation

    @property
    def better(self) -> str:
        """What keeps more turns readable for the same money: "pages" or "text"."""
        return "pages" if self.ours.readable > self.equal_money.readable else "text"

    @property
    def words(self) -> str:
        """The same in a sentence."""
        mine, theirs = self.ours, self.equal_money
        said = f"{theirs.name} costs ${theirs.money:.2f} and keeps {theirs.readable:.1f} turns readable"
        said += f", pages cost ${mine.money:.2f} and keep {mine.readable:.1f}"
        return f"{said}: {'pages keep more for the money' if self.better == 'pages' else 'text is the better choice'}"

    def named(self, name: str) -> Simulation:
        """The simulation of a policy. Raises KeyError for a name that is not there."""
        return {s.name: s for s in (self.ours, *self.others)}[name]

    def rows(self) -> list[dict[str, str | int | float]]:
        """A small table: every policy, its money also as a share of cached plain text's."""
        plain = self.others[0].money
        matched = [("equal money: ", self.equal_money), ("equal tokens: ", self.equal_tokens)]
        every = [("", self.ours), *(("", s) for s in self.others), *matched]
        return [
            s.total() | {"policy": label + s.name, "of plain text": round(s.money / plain, 3)} for label, s in every
        ]

    def to_json(self) -> dict[str, Any]:
        """JSON-safe values: the table, and every call of ours."""
        return {"policies": self.rows(), "better": self.better, "words": self.words, "ours": self.ours.to_json()}


def policies(ours: Ours) -> list[Policy]:
    """What ours is compared with: plain text first."""
    window = ours.budget
    return [
        PlainText(), Trim(window), Trim(window, 0.5), Clear(window, least=window // 10), Summarise(window),
        Frozen(density=ours.density), Falling(density=ours.density),
    ]  # fmt: skip


def compare(
    turns: Sequence[TurnSize], price: Price, ours: Ours | None = None, *, system: int = SYSTEM, cold: int | None = None
) -> Comparison:
    """Ours beside the other policies, and beside the best trim for equal money and for equal tokens."""
    talk, ours = talk_of(turns, price, system=system, cold=cold), ours or Ours()
    mine = _run(talk, ours, price)
    others = tuple(_run(talk, policy, price) for policy in policies(ours))
    money = _best_trim(talk, price, mine.money, lambda s: s.money)
    tokens = _best_trim(talk, price, mine.tokens, lambda s: s.tokens)
    return Comparison(mine, others, money, tokens)


def _best_trim(talk: Talk, price: Price, target: float, of: Callable[[Simulation], float]) -> Simulation:
    """Of the trims that come to at most `target`, the one that keeps most turns readable; plain text if that does."""
    plain = _run(talk, PlainText(), price)
    if of(plain) <= target:
        return plain
    found = [_widest(talk, price, low, target, of) for low in HYSTERESIS]
    return max(found, key=lambda s: s.readable)


def _widest(talk: Talk, price: Price, low: float, target: float, of: Callable[[Simulation], float]) -> Simulation:
    """The trim with the widest window that comes to at most `target`, by bisection to 1 %; the narrowest if none does."""
    least, most = talk.system + 1, talk.system + talk.before()[-1]
    while most - least > most // 100:
        middle = (least + most) // 2
        least, most = (middle, most) if of(_run(talk, Trim(middle, low), price)) <= target else (least, middle)
    return _run(talk, Trim(least, low), price)


__all__ = [
    "Clear", "Comparison", "Density", "Falling", "Frozen", "Ours", "PlainText", "Policy", "Simulation", "Summarise",
    "Trim", "TurnSize", "compare", "density", "made", "policies", "readable", "real", "simulate", "talk_of", "uncached",
]  # fmt: skip
