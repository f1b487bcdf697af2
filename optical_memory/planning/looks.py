"""How a span is drawn at each tier: the page geometry, the style, the turns that are left out, and the sizes of its images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from optical_memory.cost import Profile
from optical_memory.pages import Sheet, Style, TurnText, fitted, measure
from optical_memory.planning.context import ranges
from optical_memory.planning.information import MARK, best
from optical_memory.planning.spans import Look
from optical_memory.planning.tiers import DRAWN, RANK, Tier

PAGE_SHARE = 16  # a page costs at most about this part of the budget, so that a step is never a jump
SMALLEST = 150  # tokens: a page is not made smaller than this for the sake of PAGE_SHARE
AROUND = 120  # tokens that stand around pages
NEARLY = 0.9  # of the most pixels that the budget buys
FEWER: Mapping[Tier, float] = {"clear": 0.6, "dense": 0.5}  # of the tier above's pixels, where no smaller type is read


@dataclass(frozen=True, slots=True)
class Old:
    """A turn that may be sealed: what is drawn of it, its raw text tokens, and whether it must stay text (see Span.guard).

    `worth` is how much it says, `weight` how strong it is beside others (age, recalls, the host's word). `shown` is the tier at
    which it is shown until now, `handle` for one that was left out and stays so; `type` the tier in whose type it is drawn.
    """

    drawn: TurnText
    tokens: int
    guard: int = 0
    drawable: bool = True
    worth: float = 1.0
    weight: float = 1.0
    shown: Tier = "text"
    type: Tier = "text"


def sheet_for(profile: Profile, budget: int) -> Sheet | None:
    """The page geometry for a budget in tokens; None where not even one page fits.

    Where area is what is priced, a page costs about a sixteenth of the budget; where pages have fixed prices, it is the
    page of which the budget buys the most pixels, or nearly, for the fewest tokens.
    """
    if not profile.vision or not profile.sheet_steps:
        return None
    widest = profile.sheet_steps[-1]
    if widest.crop:
        return _cropped(profile, widest, max(budget // PAGE_SHARE, SMALLEST))
    room = budget - AROUND
    bought = {s: room // profile.image(s.width, s.height) * s.width * s.height for s in profile.sheet_steps}
    most = max(bought.values())
    nearly = [s for s, pixels in bought.items() if pixels >= NEARLY * most]
    return max(nearly, key=lambda s: (_area_a_token(profile, s), s.height)) if most > 0 else None


def _area_a_token(profile: Profile, sheet: Sheet) -> float:
    return sheet.width * sheet.height / profile.image(sheet.width, sheet.height)


def _cropped(profile: Profile, sheet: Sheet, most: int) -> Sheet:
    height = sheet.height
    while height > sheet.step and profile.image(sheet.width, height) > most:
        height -= sheet.step
    return replace(sheet, height=height)


def smaller(profile: Profile, sheet: Sheet) -> list[Sheet]:
    """The geometries that a lower tier of a page may have, smallest first: only whole-page sheets come in steps."""
    if sheet.crop:
        return [sheet]
    return [s for s in profile.sheet_steps if s.width * s.height <= sheet.width * sheet.height]


def looks(
    profile: Profile, sheet: Sheet, turns: Sequence[Old], chosen: set[int] | None = None
) -> dict[Tier, Look]:  # fmt: skip
    """How these turns would be drawn at each tier that is a picture, at the cheapest geometry.

    Below the sharpest tier a page has either smaller type or fewer turns, whichever keeps more of what it says in as many
    pixels: where a model reads no smaller type, the turns that say least are left out. `chosen` are the turns (by number)
    that are drawn at all; those that are on a page already are drawn no sharper than there. Empty where the model reads no
    tier, and where fonts that there were are gone.
    """
    shown = [t for t in turns if chosen is None or t.drawn.number in chosen]
    if not all(t.drawable for t in shown):
        return {}
    found: dict[Tier, Look] = {}
    above: tuple[Look, list[Old], float] | None = None
    top, like = faintest(t.shown for t in shown), faintest(t.type for t in shown)
    for tier in [t for t in DRAWN if shown and RANK[t] >= RANK[top]]:
        own = like if tier == top else tier
        style = profile.tiers.get(own) if RANK[own] >= RANK[like] else None
        options = [(_measured(turns, shown, style, profile, sheet), shown, profile.shares[own])] if style else []
        if above is not None:
            options += _fewer(turns, above, FEWER[tier], options[0][0] if options else None, profile, sheet)
        if options:
            above = max(options, key=lambda o: o[0].held * o[2])
            found[tier], shown = above[0], above[1]
    return found


def faintest(tiers: Iterable[Tier]) -> Tier:
    """The lowest of some tiers; `text` of none."""
    return max(tiers, key=RANK.__getitem__, default="text")


def _fewer(
    turns: Sequence[Old], above: tuple[Look, list[Old], float], share: float, rival: Look | None, profile: Profile,
    sheet: Sheet,
) -> list[tuple[Look, list[Old], float]]:  # fmt: skip
    """The look above with only the turns that say most, in as many pixels as the rival has; none if that leaves no turn."""
    look, shown, readable = above
    share = _area(rival) / _area(look) if rival else share
    kept = best([t.worth * t.weight for t in shown], [len(t.drawn.text) for t in shown], share * characters(shown))
    some = [t for i, t in enumerate(shown) if i in kept]
    return [(_measured(turns, some, look.style, profile, sheet), some, readable)] if 0 < len(some) < len(shown) else []


def characters(turns: Sequence[Old]) -> int:
    """Characters that turns take on a page, their marks included."""
    return sum(len(t.drawn.text) + MARK for t in turns)


def _area(look: Look) -> int:
    return sum(w * h for w, h in look.sizes)


def _measured(turns: Sequence[Old], shown: Sequence[Old], style: Style, profile: Profile, sheet: Sheet) -> Look:
    """The cheapest look of those turns that are shown, in this style."""
    texts = [t.drawn for t in shown]
    style = fitted(style.plain, [t.text for t in texts])
    sizes = [(s, tuple((w, h) for _, _, w, h in measure(texts, style, s))) for s in smaller(profile, sheet)]
    chosen, cheapest = min(sizes, key=lambda o: sum(profile.image(*size) for size in o[1]))
    numbers = {t.number for t in texts}
    left = tuple(ranges(t.drawn.number for t in turns if t.drawn.number not in numbers))
    whole = sum(t.worth for t in turns)
    held = sum(t.worth for t in shown) / whole if whole else len(shown) / len(turns)
    return Look(style, chosen, cheapest, left, round(held, 4))
