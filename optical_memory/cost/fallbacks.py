"""One profile for several models, where one falls back on another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from optical_memory.cost.profiles import SAFE_PAGE, TIERS, Profile
from optical_memory.errors import ConfigError

if TYPE_CHECKING:
    from optical_memory.pages import Sheet, Style


def shared(profiles: Sequence[Profile]) -> Profile:
    """One profile that holds for each of several models, as where one falls back on another.

    Costs are the highest, limits and caps the lowest, type the largest, and the pages such that no model
    makes them smaller. The price is the first one's. Raises ConfigError for no profiles at all.
    """
    if not profiles:
        raise ConfigError("shared() needs at least one profile: pass profile(model) for each model")
    image = partial(_dearest, profiles)
    caps = [p.chars_per_token for p in profiles if p.chars_per_token is not None]
    side = min(p.max_side for p in profiles)
    return replace(
        profiles[0],
        name=" + ".join(p.name for p in profiles),
        vision=all(p.vision for p in profiles),
        image=image,
        served=partial(_smallest, profiles),
        text_factor=max(p.text_factor for p in profiles),
        message_overhead=max(p.message_overhead for p in profiles),
        call_overhead=max(p.call_overhead for p in profiles),
        sheet_steps=_common_sheets(profiles, image, side),
        tiers={tier: _largest([p.tiers[tier] for p in profiles]) for tier in TIERS},
        exact={tier: all(p.exact[tier] for p in profiles) for tier in TIERS},
        shares={tier: min(p.shares.get(tier, 0.0) for p in profiles) for tier in profiles[0].shares},
        chars_per_token=min(caps, default=None),
        max_images=min(p.max_images for p in profiles),
        max_side=side,
        max_bytes=min(p.max_bytes for p in profiles),
        source="; ".join(dict.fromkeys(p.source for p in profiles)),
        date=min(p.date for p in profiles),
        marks=max(p.marks for p in profiles),
        note=" ".join(dict.fromkeys(p.note for p in profiles if p.note)),
    )


def _dearest(profiles: Sequence[Profile], width: int, height: int) -> int:
    return max(p.image(width, height) for p in profiles)


def _smallest(profiles: Sequence[Profile], width: int, height: int) -> tuple[int, int]:
    return min((p.served(width, height) for p in profiles), key=lambda seen: seen[0] * seen[1])


def _largest(styles: Sequence[Style | None]) -> Style | None:
    """Letters as high and as wide, and lines as far apart, as in any of the styles; None if any model has none."""
    from optical_memory.pages import Style
    from optical_memory.pages.sheets import FACES

    there = [s for s in styles if s is not None]
    if len(there) < len(styles):
        return None
    size, gap = max(s.size for s in there), max(s.gap for s in there)
    face = max((s.face for s in there), key=FACES.__getitem__)
    return Style(size, face, all(s.bold for s in there), gap=gap)


def _common_sheets(profiles: Sequence[Profile], image: Callable[[int, int], int], side: int) -> tuple[Sheet, ...]:
    """Those pages of any of the models that none of them shrinks, cheapest first; never empty."""
    from optical_memory.pages import Sheet

    step = max((s.step for p in profiles for s in p.sheet_steps if s.crop), default=0)
    sizes = {(s.width, s.height) for p in profiles for s in p.sheet_steps} | {SAFE_PAGE}
    whole = [(w, h) for w, h in sizes if max(w, h) <= side and not any(p.shrinks(w, h) for p in profiles)]
    ordered = sorted(whole or [SAFE_PAGE], key=lambda size: (image(*size), size))
    return tuple(Sheet(w, h, step or 1, bool(step)) for w, h in ordered)
