"""What tokens cost, and when a change pays although the provider's cache has to be written again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import inf, isfinite, sqrt

import optical_memory.cost.tables as tables
from optical_memory.errors import ConfigError


@dataclass(frozen=True)
class Price:
    """USD per million input tokens: plain, read from the cache, written to it.

    `ttl` is how long the cache lives unused, in seconds (0: there is none); `min_prefix` the shortest
    prompt that is cached, in tokens; `steps` are (prompt tokens, factor): above so many tokens the whole
    prompt costs so many times more; `output` is the price of a million answered tokens. Raises ConfigError
    for what cannot be a price.
    """

    base: float
    read: float
    write: float
    ttl: float
    min_prefix: int = 0
    steps: tuple[tuple[int, float], ...] = ()
    output: float | None = None

    def __post_init__(self) -> None:
        for name in ("base", "read", "write", "ttl"):
            value = getattr(self, name)
            if not isfinite(value) or value < 0:
                raise ConfigError(f"Price({name}={value}): pass a number of at least 0")
        if self.base == 0 or self.write == 0:
            raise ConfigError(
                f"Price(base={self.base}, write={self.write}): nothing can be saved at a price of zero; "
                f"for a free or local model pass Price(base=1, read=1, write=1, ttl=0), which counts tokens"
            )

    @property
    def rewrite_ratio(self) -> float:
        """How many reads a write costs; infinite where reading is free."""
        return self.write / self.read if self.read else inf

    def factor(self, prompt: int) -> float:
        """What a prompt of so many tokens costs over the base price (1.0 below the first step)."""
        return max((f for tokens, f in self.steps if prompt > tokens), default=1.0)

    def bill(self, fresh: int, read: int = 0, written: int = 0, answer: int = 0) -> float:
        """USD of one call: tokens beside the cache, read from it, written to it, and answered."""
        money = fresh * self.base + read * self.read + written * self.write
        factor = self.factor(fresh + read + written)
        return (money * factor + answer * (self.output or 0.0)) / 1e6


UNKNOWN = Price(base=5.0, read=0.5, write=6.25, ttl=300.0, min_prefix=1024)  # a dear model with the commonest ratios


def price_of(model: str, on: str | None = None) -> Price:
    """The dated price of a model; `on` is an ISO day, by default the day of the tables. Raises ConfigError."""
    if on is not None and not _is_day(on):
        raise ConfigError(f"on={on!r} is no ISO day: give one such as '2026-11-22'")
    mine = tables.registered(model) or {}
    if "price" in mine:
        found: Price = mine["price"]
        return found
    row = tables.row("price", mine.get("like", model), on)
    if row is None:
        return UNKNOWN
    steps = tuple((int(tokens), float(factor)) for tokens, factor in row.get("steps", ()))
    return Price(row["base"], row["read"], row["write"], row["ttl"], row["least"], steps, row.get("output"))


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def break_even(old_tokens: int, new_tokens: int, suffix: int, price: Price) -> float:
    """Further turns after which a change of the warm prefix has paid for writing the cache again; inf: never.

    `old_tokens` of the span that changes, `new_tokens` of what replaces it, `suffix` cached tokens behind
    it. With C = old + suffix and D = old - new it is (w (C - D) - r C) / (r D): writing all behind the first
    changed byte instead of reading it, over what each later turn saves.
    """
    saved, behind = old_tokens - new_tokens, old_tokens + suffix
    if saved <= 0:
        return inf
    if not price.ttl:
        return 0.0
    extra = price.write * (behind - saved) - price.read * behind
    return max(0.0, extra / (price.read * saved)) if price.read else (inf if extra > 0 else 0.0)


def flush_tokens(growth: float, kept: int, ratio: float, price: Price) -> float:
    """Tokens of text after which turning them into pages in one batch is cheapest, on a warm cache.

    `growth` in text tokens a turn, `kept` the recent text that is written again behind the new pages, `ratio`
    text tokens for each image token: sqrt(2 growth kept rho / (1 - 1/ratio)). inf where pages save nothing or
    where reading is free.
    """
    if ratio <= 1 or price.rewrite_ratio == inf:
        return inf
    return sqrt(2 * growth * kept * price.rewrite_ratio / (1 - 1 / ratio))


def step_pays(old_tokens: int, new_tokens: int, suffix: int, turns: float, price: Price) -> bool:
    """Does putting `new_tokens` for `old_tokens`, `suffix` cached tokens behind, pay within `turns` turns?

    For a warm cache. On a cold one everything is written anyway, so any change that saves tokens pays.
    """
    needed = break_even(old_tokens, new_tokens, suffix, price)
    return needed < inf and turns >= needed
