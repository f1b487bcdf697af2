"""Age to tier: the schedules by which a memory fades.

Age is counted back from the newest turn of the thread, in turns, tokens (raw text tokens between) or hours. A schedule
names the tier that a span *may* still have at an age; the budget may lower it further, pins and recalls keep it up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from optical_memory.errors import ConfigError
from optical_memory.planning.tiers import RANK, TIERS, Tier
from optical_memory.shown import Shown

Unit = Literal["turns", "tokens", "hours"]
UNITS: tuple[Unit, ...] = ("turns", "tokens", "hours")


@dataclass(frozen=True, slots=True)
class Age:
    """How old a span is: turns and raw text tokens that came after it, hours since its last turn. None is negative."""

    turns: float
    tokens: float
    hours: float

    def slowed(self, factor: float) -> Age:
        """The age that a stronger span feels: `factor` >= 1 times younger."""
        return Age(self.turns / factor, self.tokens / factor, self.hours / factor)


@dataclass(frozen=True, slots=True)
class Stair:
    """From this age on, at most this tier. Raises ConfigError for what is no tier below text, no unit, or no age."""

    tier: Tier
    amount: float
    unit: Unit

    def __post_init__(self) -> None:
        if self.tier not in TIERS[1:]:
            raise ConfigError(f"schedule: unknown tier {self.tier!r}, use one of {', '.join(TIERS[1:])}")
        if self.unit not in UNITS or not 0 <= self.amount < inf:
            raise ConfigError(
                f"schedule: {self.tier} after {(self.unit, self.amount)!r}: the unit is one of {', '.join(UNITS)}, "
                f"the amount 0 or more"
            )


@dataclass(frozen=True)
class DecaySchedule(Shown):
    """Stairs from vivid downwards; an age stands on the lowest stair that it has reached.

    Raises ConfigError where a lower tier begins earlier than a higher one by the same unit.
    """

    stairs: tuple[Stair, ...] = ()
    name: str = "staircase"

    def __post_init__(self) -> None:
        begins = {(s.tier, s.unit): s.amount for s in sorted(self.stairs, key=lambda s: -s.amount)}
        latest: dict[Unit, float] = {}
        for (tier, unit), amount in sorted(begins.items(), key=lambda b: RANK[b[0][0]]):
            if amount < latest.get(unit, 0):
                raise ConfigError(
                    f"schedule: {tier!r} begins at {amount:g} {unit}, earlier than a sharper tier "
                    f"({latest[unit]:g}): give growing ages from vivid to handle"
                )
            latest[unit] = amount

    def __call__(self, age: Age) -> Tier:
        """The sharpest tier that the schedule allows at this age."""
        lowest: Tier = "vivid"
        for stair in self.stairs:
            if getattr(age, stair.unit) >= stair.amount and RANK[stair.tier] > RANK[lowest]:
                lowest = stair.tier
        return lowest

    def to_json(self) -> str:
        """A JSON text from which `from_json` makes the same schedule."""
        return json.dumps({"name": self.name, "stairs": [[s.tier, [s.unit, s.amount]] for s in self.stairs]})

    @staticmethod
    def from_json(text: str) -> DecaySchedule:
        """The schedule that `to_json` wrote. Raises ConfigError on anything else."""
        try:
            given = json.loads(text)
            stairs = tuple(_stair(tier, after) for tier, after in given["stairs"])
            return DecaySchedule(stairs, str(given["name"]))
        except (ValueError, TypeError, KeyError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"not a schedule: {text[:80]!r}; write one with DecaySchedule.to_json()") from error


Schedule = Callable[[Age], Tier]


def _stair(tier: Any, after: Any) -> Stair:
    try:
        unit, amount = after
        amount = float(amount)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"schedule: {tier} has {after!r}, give (unit, amount) such as ('turns', 40)") from None
    return Stair(tier, amount, unit)


def staircase(**after: tuple[Unit, float] | Sequence[tuple[Unit, float]]) -> DecaySchedule:
    """Steps down at fixed ages: `staircase(clear=("turns", 60), dense=("tokens", 50_000))`.

    Each keyword is a tier, each value (unit, amount) or a list of these, of which the first reached counts.
    Without arguments: clear after 60 turns, dense after 200, card after 1,000.
    """
    chosen: Mapping[str, Any] = after or {"clear": ("turns", 60), "dense": ("turns", 200), "card": ("turns", 1_000)}
    stairs = []
    for tier, value in chosen.items():
        several = isinstance(value, list | tuple) and value and all(isinstance(one, list | tuple) for one in value)
        stairs += [_stair(tier, one) for one in (value if several else [value])]
    return DecaySchedule(tuple(stairs))


def half_life(amount: float, unit: Unit = "turns") -> DecaySchedule:
    """What may be read halves every `amount` of `unit`: clear after one, dense after two, card after four half-lives.

    The form is Ebbinghaus's exponential forgetting, R = 2 ** (-age / half-life), cut into the tiers that exist.
    """
    if not isinstance(amount, int | float) or not 0 < amount < inf:
        raise ConfigError(f"half_life({amount!r}): give an amount above 0, such as half_life(100)")
    if unit not in UNITS:
        raise ConfigError(f"half_life({amount!r}, {unit!r}): the unit is one of {', '.join(UNITS)}")
    stairs = tuple(_stair(tier, (unit, amount * n)) for tier, n in (("clear", 1), ("dense", 2), ("card", 4)))
    return DecaySchedule(stairs, "half_life")


def never() -> DecaySchedule:
    """Pages stay vivid; only the budget lowers them."""
    return DecaySchedule((), "never")


def named(value: Schedule | str) -> Schedule:
    """A schedule from its name ("staircase", "half_life", "never"), its JSON text, or a callable as it is."""
    if callable(value):
        return value
    ready = {"staircase": staircase, "half_life": lambda: half_life(100), "never": never}
    if value in ready:
        return ready[value]()
    if value.lstrip().startswith("{"):
        return DecaySchedule.from_json(value)
    raise ConfigError(f"unknown schedule {value!r}: use staircase, half_life, never, a DecaySchedule or a callable")
