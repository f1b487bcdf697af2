"""What one model reads and what it costs, as one value: the tables of models.toml brought together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache, partial
from math import inf
from typing import TYPE_CHECKING, Any

import optical_memory.cost.images as images
import optical_memory.cost.tables as tables
from optical_memory.cost.prices import Price, price_of
from optical_memory.cost.text import text_factor
from optical_memory.errors import ConfigError

if TYPE_CHECKING:
    from optical_memory.pages import Sheet, Style

Level = Callable[[int, int], str | None]  # width, height in pixels -> the level to send with the image
TIERS = ("vivid", "clear", "dense")
SHARES: Mapping[str, float] = {"vivid": 0.97, "clear": 0.9, "dense": 0.6}  # assumed where nothing was measured


@dataclass(frozen=True)
class Profile:
    """What one model reads and what it costs; a pure value."""

    name: str  # as it was asked for
    vision: bool  # False: memory as text only, and `note` says why
    image: Callable[[int, int], int]  # width, height in pixels -> tokens at the level `detail` names
    served: Callable[[int, int], tuple[int, int]]  # width, height -> width, height as the model sees it
    text_factor: float  # tokens per o200k token
    message_overhead: int  # tokens added for each message
    call_overhead: int  # tokens added for each tool call
    sheet_steps: tuple[Sheet, ...]  # the page sizes that waste nothing, cheapest first
    tiers: Mapping[str, Style | None]  # "vivid", "clear", "dense"; None: this model cannot read it
    exact: Mapping[str, bool]  # are ids and numbers safe in pixels at this tier?
    chars_per_token: float | None  # characters per image token of the densest published page
    max_images: int  # in one request
    max_side: int  # pixels
    max_bytes: int  # decoded image bytes in one request
    price: Price
    source: str
    date: str
    detail: Level = lambda w, h: None  # the level to send beside an image
    marks: int = 0  # tokens around each image, beside its own
    note: str = ""  # what a person should know of this model's reading
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)  # share of turns still readable at each tier

    def readable(self, tier: str) -> bool:
        """Can this model read pages of the tier?"""
        return self.vision and self.tiers.get(tier) is not None

    def check(self, width: int, height: int) -> None:
        """Raises ConfigError for a page (sides in pixels) that the provider would refuse or make smaller."""
        if max(width, height) > self.max_side:
            raise ConfigError(
                f"a page of {width}x{height} pixels is over the side limit of {self.max_side} for "
                f"{self.name!r}: pass a sheet with sides of at most {self.max_side}"
            )
        if self.shrinks(width, height):
            w, h = self.served(width, height)
            raise ConfigError(
                f"{self.name!r} would see a page of {width}x{height} pixels at {w}x{h}, which small type "
                f"does not survive: pass a sheet of at most {' or '.join(s.key for s in self.sheet_steps)}"
            )

    def shrinks(self, width: int, height: int) -> bool:
        """Does the model see a page of this size smaller than it is?"""
        w, h = self.served(width, height)
        return w < width or h < height


def capped(of: Profile, tiers: Mapping[str, Style | None]) -> dict[str, Style | None]:
    """The tiers, none denser than what was published for this model: type that is too small is drawn larger.

    A full page of the densest text is held against `chars_per_token`. A tier that would then be no denser than the one
    above it is left out, and so is one that would need type above 24 pixels.
    """
    pixels = max((s.width * s.height / of.image(s.width, s.height) for s in of.sheet_steps), default=0.0)
    least, above = pixels / (of.chars_per_token or inf), inf
    made: dict[str, Style | None] = {}
    for tier, style in tiers.items():
        grown = style and _grown(style, least)
        made[tier] = grown if grown and grown.area < above else None
        above = min(above, grown.area) if grown else above
    return made


def _grown(style: Style, least: float) -> Style | None:
    """The style at the smallest line pitch that gives each character so many pixels; None if none is large enough."""
    from optical_memory.pages.sheets import SIZES

    larger = (replace(style, size=size) for size in SIZES if size >= style.size)
    return next((one for one in larger if one.area >= least), None)


_FIELDS = frozenset(f.name for f in fields(Profile))
_NOTHING: Mapping[str, Any] = {}
SAFE_PAGE = (756, 1568)  # pixels: no model in use makes such a page smaller
_UNKNOWN_SHEETS = [[*SAFE_PAGE, 28, ""]]
_UNKNOWN_TEXT: Mapping[str, Any] = {"message": 8, "call": 30}
_UNKNOWN_LIMITS: Mapping[str, Any] = {"images": 20, "side": 1568, "bytes": 10 * 2**20}
_UNKNOWN_READER: Mapping[str, Any] = {
    "vivid": 18,
    "cap": 8.0,
    "source": "guessed",
    "note": "unknown model: large type only",
}


def known(model: str) -> bool:
    """Are this model's costs in the tables or registered? (Unknown ones are counted high.)"""
    return tables.known(model)


def register_model(prefix: str, **told: Any) -> None:
    """Tells the costs of every model whose bare name begins with `prefix`.

    Takes any field of `Profile` (price=..., image=..., tiers=..., text_factor=...) and `like`, the name of a
    model that counts and reads alike; what is not told comes from that model, else from the tables. Raises
    ConfigError for a field that does not exist.
    """
    wrong = sorted(set(told) - _FIELDS - {"like"})
    if wrong or not prefix.strip():
        raise ConfigError(
            f"register_model({prefix!r}): no field {', '.join(wrong) or 'without a model name'}; "
            f"pass like= or any of {', '.join(sorted(_FIELDS))}"
        )
    if "like" in told and not known(told["like"]):
        raise ConfigError(f"register_model(like={told['like']!r}): that model is not known; pass one that is")
    tables.register(prefix, {"served": _as_sent, **told} if "image" in told else told)


def _as_sent(width: int, height: int) -> tuple[int, int]:
    return width, height


def profile(model: str, *, on: str | None = None) -> Profile:
    """The profile of a model, with or without its provider before the name; an unknown one warns once.

    `on` is the ISO day whose prices it has, by default the day of the tables. Raises ConfigError for what is no day.
    """
    found = _profile(model)
    price = found.price if on is None else price_of(model, on)
    return found if price == found.price else replace(found, price=price)


@tables.forgets
@lru_cache(256)
def _profile(model: str) -> Profile:
    mine = tables.registered(model) or _NOTHING
    base = _from_tables(mine.get("like", model), model)
    base = replace(base, tiers=capped(base, base.tiers))
    return replace(base, name=model, **{k: v for k, v in mine.items() if k not in ("like", "name")})


def _from_tables(model: str, asked: str) -> Profile:
    if not known(model) and asked == model:
        tables.warn_once(model)
    image, text, limit, reader = (tables.row(kind, model) for kind in ("image", "text", "limit", "reader"))
    text, limit, reader = (
        text or _UNKNOWN_TEXT,
        limit or _UNKNOWN_LIMITS,
        (image and reader) or _UNKNOWN_READER,
    )
    blind = tables.blind(model)
    return Profile(
        name=asked,
        vision=not blind and reader.get("pages", True),
        **_pictures(model, image or _NOTHING, blind),
        text_factor=text_factor(model),
        message_overhead=text["message"],
        call_overhead=text["call"],
        **_reading(_NOTHING if blind else reader),
        max_images=limit["images"],
        max_side=limit["side"],
        max_bytes=limit["bytes"],
        price=price_of(model),
        source=f"images: {(image or _NOTHING).get('source', 'unknown')}; reading: {reader['source']}",
        date=(image or _NOTHING).get("date", tables.data()["date"]),
        note="this model cannot see images" if blind else reader["note"],
    )


def _pictures(model: str, row: Mapping[str, Any], blind: bool) -> dict[str, Any]:
    """The fields that say what an image costs and which pages waste nothing."""
    from optical_memory.pages import Sheet

    rule = images.unknown if blind else images.rule(model)
    sheets = row.get("sheets", _UNKNOWN_SHEETS)
    levels = {(w, h): level or None for w, h, _, level in sheets}
    detail = partial(_detail, levels, sheets[-1][3] or None)
    return {
        "image": partial(_image, rule, detail, row.get("marks", 0)),
        "marks": row.get("marks", 0),
        "served": partial(_served, rule, detail),
        "detail": detail,
        "sheet_steps": tuple(Sheet(w, h, step or 1, bool(step)) for w, h, step, _ in sheets),
    }


def _detail(levels: Mapping[tuple[int, int], str | None], usual: str | None, w: int, h: int) -> str | None:
    return levels.get((w, h), usual)


def _image(rule: images.Rule, detail: Level, marks: int, width: int, height: int) -> int:
    return rule(width, height, detail(width, height))[2] + marks


def _served(rule: images.Rule, detail: Level, width: int, height: int) -> tuple[int, int]:
    return rule(width, height, detail(width, height))[:2]


def _reading(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say which pages the model reads."""
    from optical_memory.pages import Style

    return {
        "tiers": {tier: Style.of(row[tier]) if tier in row else None for tier in TIERS},
        "exact": {tier: tier in row.get("exact", ()) for tier in TIERS},
        "chars_per_token": row.get("cap") or None,
        "shares": SHARES | row.get("shares", {}),
    }
