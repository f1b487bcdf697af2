"""Tiers of the user's own: other styles than those that the model's profile names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from optical_memory.cost import Profile
from optical_memory.errors import ConfigError
from optical_memory.pages import Style
from optical_memory.planning.tiers import DRAWN


def restyled(profile: Profile, tiers: Mapping[Any, str]) -> Profile:
    """The profile with these styles (by their keys) in place of its own for the tiers that are named.

    Where a style is smaller than the profile's own, ids and numbers no longer count as safe in it. Raises ConfigError for a
    style that does not exist, and where a lower tier would take more pixels for a character than the one above it.
    """
    if not tiers:
        return profile
    mine: dict[str, Style] = {tier: Style.of(key) for tier, key in tiers.items()}
    styles: dict[str, Style | None] = {tier: mine.get(tier, profile.tiers.get(tier)) for tier in DRAWN}
    there = [(tier, style) for tier, style in styles.items() if style is not None]
    for (upper, above), (lower, below) in pairwise(there):
        if below.area > above.area:
            raise ConfigError(
                f"tiers: {lower} = {below.key!r} is coarser than {upper} = {above.key!r}, the tier above it: "
                f"give smaller or narrower type from vivid to dense"
            )
    safe: dict[str, bool] = {
        tier: profile.exact.get(tier, False) and not _smaller(profile, tier, mine.get(tier)) for tier in DRAWN
    }
    return replace(profile, tiers=styles, exact=safe)


def _smaller(profile: Profile, tier: str, style: Style | None) -> bool:
    """Is this style smaller than what the profile names for the tier?"""
    own = profile.tiers.get(tier)
    return style is not None and (own is None or style.area < own.area)
