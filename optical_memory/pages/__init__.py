"""Text to pages, pure: the same turns, style and sheet give the same bytes in any process.

turns -> `kinds` (compact text) -> `marks` (visible codes) -> `layout` (glyphs in their places) -> `render` (PNG)

`glyphs` holds the shipped atlas, `fonts` and `scripts` what it has not (Chinese, Arabic, emoji ..., with the extra
`scripts`), `card` knows what matters most in a text, `sheets` the words used here.
"""

from __future__ import annotations

from optical_memory.pages.card import headlines
from optical_memory.pages.found import ByText
from optical_memory.pages.layout import Layout, fit, layout, measure
from optical_memory.pages.marks import drawable
from optical_memory.pages.render import RENDERER, render_page, renderer, renderers
from optical_memory.pages.scripts import fitted, scripts_at_hand
from optical_memory.pages.sheets import Sheet, Style, TurnText

__all__ = [
    "RENDERER", "ByText", "Layout", "Sheet", "Style", "TurnText", "drawable", "fit", "fitted", "headlines", "layout", "measure",
    "render_page", "renderer", "renderers", "scripts_at_hand",
]  # fmt: skip
