"""What text and images cost and what models read: dated tables, and small pure functions over them."""

from __future__ import annotations

from optical_memory.cost.counter import token_counter
from optical_memory.cost.fallbacks import shared
from optical_memory.cost.images import image_size, image_tokens, served_size
from optical_memory.cost.prices import Price, break_even, flush_tokens, price_of, step_pays
from optical_memory.cost.profiles import Profile, capped, known, profile, register_model
from optical_memory.cost.tables import UNNAMED
from optical_memory.cost.text import count_o200k, counter_name, text_tokens

__all__ = [
    "UNNAMED",
    "Price",
    "Profile",
    "break_even",
    "capped",
    "count_o200k",
    "counter_name",
    "flush_tokens",
    "image_size",
    "image_tokens",
    "known",
    "price_of",
    "profile",
    "register_model",
    "served_size",
    "shared",
    "step_pays",
    "text_tokens",
    "token_counter",
]
