"""The tiers, from the sharpest to the faintest, and what it means to be above or below one another."""

from __future__ import annotations

from typing import Literal, get_args

Tier = Literal["text", "vivid", "clear", "dense", "card", "handle"]
TIERS: tuple[Tier, ...] = get_args(Tier)
DRAWN: tuple[Tier, ...] = ("vivid", "clear", "dense")  # the tiers that are images
CARD: Tier = "card"  # words, and a picture of words where the text is gone
RANK: dict[str, int] = {tier: rank for rank, tier in enumerate(TIERS)}


def fainter(one: Tier, other: Tier) -> Tier:
    """The lower of two tiers."""
    return one if RANK[one] >= RANK[other] else other
