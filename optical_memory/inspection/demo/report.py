"""One page to look at: self-contained HTML with the pages as images, no script, no address outside of itself."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files

from optical_memory.inspection.demo.measure import HELD, Held, Recalled, Shown
from optical_memory.inspection.looking import Part, pixels
from optical_memory.inspection.output import WORDS, turn_range
from optical_memory.planning.context import Segment
from optical_memory.planning.tiers import DRAWN
from optical_memory.shown import one_line, safe

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
SEEKER = ("this page asks", "it calls what the model would call", "it finds")  # where no model took part


def page(shown: Shown) -> str:
    """The whole page."""
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    title = f"{len(shown.turns)} turns in {shown.context.tokens:,} tokens"
    body = "".join(
        [
            _head(shown),
            _stretches(shown),
            *_samples(shown),
            *_recall(shown.recalled),
            _call(shown),
            _others(shown),
            _foot(shown),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{style}</style></head><body><main>{body}</main></body></html>"
    )


def _text(text: object) -> str:
    """Text of any origin, harmless in HTML."""
    return html.escape(safe(text))


def _image(png: bytes) -> str:
    width, height = pixels(png)
    data = base64.b64encode(png).decode()
    return (
        f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="a page of the conversation">'
    )


def _css(kind: str) -> str:
    return "card-tier" if kind == "card" else _text(kind)


def _chip(kind: str) -> str:
    return f'<span class="chip"><i class="{_css(kind)}"></i>{_text(kind)}</span>'


# --------------------------------------------------------------------------------------------- at the top


def _head(shown: Shown) -> str:
    context, held = shown.context, shown.held
    tiles = [
        _tile(f"{len(shown.turns)}", f"turns: {shown.source}"),
        _tile(f"{held.text_tokens:,}", "tokens, if all of it were sent as text"),
        _tile(f"{context.tokens:,}", f"tokens in the next call; the budget is {context.budget:,}", "ours"),
        _tile(
            f"{shown.readable}",
            f"turns readable in that call; dropping the oldest would keep {shown.kept_by_dropping}",
            "ours",
        ),
    ]
    return (
        "<h1>What a model remembers when the past becomes pictures</h1>"
        '<p class="lead">Recent turns stay text. Older turns are drawn as pages, which a vision model reads for fewer tokens; '
        "as they age the type gets smaller, then a headline remains, then a single line. The text itself is kept, and one call "
        "of a tool brings any turn back word for word.</p>"
        f'<div class="tiles">{"".join(tiles)}</div>'
        f'<p class="small">Counted and drawn for <b>{_text(context.model)}</b>.{_spent(shown)}</p>'
    )


def _tile(figure: str, words: str, kind: str = "") -> str:
    return f'<div class="tile {kind}"><b>{_text(figure)}</b><span>{_text(words)}</span></div>'


def _spent(shown: Shown) -> str:
    spent = shown.spent
    if spent is None:
        return ""
    return (
        f" The agent made {spent.calls} model calls: {spent.total:,} input tokens in all, at most {spent.most:,} in one call. "
        f"Carrying everything as text: {spent.plain_total:,} in all, {spent.plain_most:,} in the last. "
        "These are tokens, not money: prompt caching changes the bill of both."
    )


# --------------------------------------------------------------------------------------------- how it is held


def _stretches(shown: Shown) -> str:
    segments = [s for s in shown.context.segments if s.turns and s.kind != "recalled"]
    whole = len(shown.turns)
    ours = "".join(_placed(segments, whole))
    kept = shown.kept_by_dropping
    dropped = f'<i class="gone" style="width:{100 * (whole - kept) / max(whole, 1):.2f}%" title="dropped"></i>'
    rows = "".join(_row(shown, s) for s in segments)
    return (
        "<h2>How each stretch is held now</h2><p>From the oldest turn on the left to the newest on the right.</p>"
        f'<p class="label"><b>With optical memory</b>: {_tally(shown.held)}</p><div class="strip">{ours}</div>'
        f'<p class="label"><b>Dropping the oldest</b>, same budget: {kept} turns left</p>'
        f'<div class="strip">{dropped}{_bar("text", kept, whole, f"{kept} newest turns")}</div>'
        f'<div class="axis"><span>turn 1</span><span>turn {whole}</span></div>{_key((*(s.kind for s in segments), "handle"))}'
        f'<details><summary><b>{len(segments)} stretches</b>, turn by turn</summary><div class="scroll" style="padding:0 16px">'
        '<table><tr><th>turns</th><th>held as</th><th class="n">tokens</th><th class="n">as text</th><th>begins</th></tr>'
        f"{rows}</table></div></details>"
    )


def _placed(segments: Sequence[Segment], whole: int) -> Iterator[str]:
    """A bar for each segment at the place of its turns, and for what lies between two of them a handle."""
    at = 1
    for segment in segments:
        first, last = segment.turns or (at, at - 1)
        if first > at:
            yield _bar("handle", first - at, whole, f"turns {turn_range((at, first - 1))}: handle")
        yield _bar(segment.kind, last - first + 1, whole, f"turns {turn_range((first, last))}: {segment.kind}")
        at = last + 1
    if at <= whole:
        yield _bar("handle", whole - at + 1, whole, f"turns {turn_range((at, whole))}: handle")


def _bar(kind: str, part: float, whole: float, title: str) -> str:
    return f'<i class="{_css(kind)}" style="width:{100 * part / max(whole, 1):.2f}%" title="{_text(title)}"></i>'


def _tally(held: Held) -> str:
    return _text(", ".join(f"{held.turns[kind]} {kind}" for kind in HELD if held.turns.get(kind)))


def _key(kinds: Iterable[str]) -> str:
    items = "".join(f'<li><i class="{_css(k)}"></i>{_text(k)}: {WORDS.get(k, "")}</li>' for k in dict.fromkeys(kinds))
    return f'<ul class="key">{items}</ul>'


def _row(shown: Shown, segment: Segment) -> str:
    first, last = segment.turns or (1, 1)
    return (
        f'<tr><td class="nowrap">{turn_range(segment.turns)}</td><td>{_chip(segment.kind)}</td>'
        f'<td class="n">{segment.tokens:,}</td>'
        f'<td class="n">{shown.text_tokens(first, last):,}</td>'
        f'<td class="begins">{_text(one_line(shown.turns[first - 1].text, 90))}</td></tr>'
    )


# --------------------------------------------------------------------------------------------- one page, ageing


def _samples(shown: Shown) -> Iterator[str]:
    if not shown.samples:
        return
    looks = list(shown.samples.values())
    first, last = looks[0].turns
    yield (
        f"<h2>One page, ageing</h2><p>Turns {first} to {last}, {shown.text_tokens(first, last):,} tokens as text. "
        "The upper left corner of each picture at its true pixels: smaller type or fewer turns, fewer pixels, fewer tokens.</p>"
        '<div class="samples">'
    )
    for page in looks:
        yield (
            f"<figure><figcaption><b>{_chip(page.tier)}</b><span>{page.width} × {page.height} px</span>"
            f'<span>{page.tokens:,} tokens</span></figcaption><div class="crop">{_image(page.png)}</div></figure>'
        )
    if shown.card:
        yield f"<figure><figcaption><b>{_chip('card')}</b><span>text</span></figcaption><pre>{_text(shown.card)}</pre></figure>"
    yield "</div>"


# --------------------------------------------------------------------------------------------- recall


def _recall(found: Recalled | None) -> Iterator[str]:
    if found is None:
        return
    checked = {
        True: ' <span class="yes">Checked: this is what the machine has.</span>',
        False: ' <span class="no">Checked: this is not what the machine has.</span>',
        None: "",
    }[found.checked]
    asks, calls, says = ("user", "the model calls", "the model answers") if found.checked is not None else SEEKER
    yield (
        "<h2>One old fact, brought back</h2>"
        f"<p>It was in turn {found.turn}, which was held as <b>{_text(found.held_before)}</b> when the question came.</p>"
        f'<div class="talk"><p><span class="who">{asks}</span>{_text(found.question)}</p>'
        f'<p><span class="who">{calls}</span><code>recall_memory({_text(found.query)})</code></p>'
        f'<p><span class="who">{says}</span>{_text(found.answer)}{checked}</p></div>'
        "<details><summary><b>What came back</b>, word for word from the database</summary>"
        f"<pre>{_marked(found)}</pre></details>"
    )


def _marked(found: Recalled) -> str:
    """The recalled text with the answer's exact string marked in it."""
    text = _text(found.text)
    for word in found.answer.split()[::-1]:
        exact = _text(word.strip(".,;"))
        if len(exact) > 12 and exact in text:
            return text.replace(exact, f"<mark>{exact}</mark>")
    return text


# --------------------------------------------------------------------------------------------- the next call


def _call(shown: Shown) -> str:
    context = shown.context
    bar = "".join(
        _bar(s.kind, s.tokens, context.budget, f"{s.kind} {turn_range(s.turns)}: {s.tokens:,} tokens")
        for s in context.segments
    )
    pieces = "".join(_piece(shown, part) for part in shown.parts)
    free = context.budget - context.tokens
    return (
        "<h2>The next model call</h2><p>In the order and with the bytes that the model would get.</p>"
        f'<p class="label"><b>{context.tokens:,} of {context.budget:,} tokens</b>, {free:,} free for what comes next</p>'
        f'<div class="strip">{bar}</div><div class="axis"><span>0</span><span>{context.budget:,}</span></div>'
        f"{_key(s.kind for s in context.segments)}{pieces}"
    )


def _piece(shown: Shown, part: Part) -> str:
    """One piece of the call: pages as images, our own lines open, turns as text folded."""
    segment = part.segment
    cost = f"{segment.tokens:,} tokens{_saved(shown, segment)}"
    caption = f"<b>{_chip(segment.kind)}</b> {_where(segment.turns)} <span>{cost}</span>"
    if part.images:
        images = "".join(_image(png) for png in part.images)
        return f'<figure><figcaption>{caption}</figcaption><div class="scroll">{images}</div></figure>'
    if segment.text is not None and len(segment.text) < 1_200:
        return f'<div class="piece"><figcaption>{caption}</figcaption><pre>{_text(segment.text)}</pre></div>'
    body = _text(segment.text) if segment.text is not None else _talk(shown, segment.turns)
    return f"<details><summary>{caption}</summary><pre>{body}</pre></details>"


def _where(turns: Sequence[int] | None) -> str:
    return f"<span>{'turn' if turns[0] == turns[1] else 'turns'} {turn_range(turns)}</span>" if turns else ""


def _saved(shown: Shown, segment: Segment) -> str:
    if segment.kind not in (*DRAWN, "card", "handle") or not segment.turns:
        return ""
    return f"; as text {shown.text_tokens(*segment.turns):,}"


def _talk(shown: Shown, turns: Sequence[int] | None) -> str:
    first, last = turns or (1, 0)
    return "\n\n".join(
        f"[{t.number}] {_text(t.name or t.role)}\n{_text(t.text)}" for t in shown.turns[first - 1 : last]
    )


# --------------------------------------------------------------------------------------------- other models, foot


def _others(shown: Shown) -> str:
    rows = "".join(_other(held, held.model == shown.context.model) for held in shown.others)
    heads = "".join(f'<th class="n">{kind}</th>' for kind in HELD)
    return (
        f"<h2>The same budget with other models</h2><p>{shown.context.budget:,} tokens each. What a picture costs and how "
        "small a type can be read differ by model, and so does the gain; where nothing has been published we draw large, "
        "and where a page costs more than its text the turns stay text, headlines and handles.</p>"
        '<div class="scroll"><table><tr><th>model</th><th class="n">all as text</th><th class="n">next call</th>'
        f"{heads}<th>of its reading</th></tr>{rows}</table></div>"
    )


def _other(held: Held, mine: bool) -> str:
    turns = "".join(f'<td class="n">{held.turns.get(kind) or ""}</td>' for kind in HELD)
    return (
        f'<tr class="{"mine" if mine else ""}"><td class="nowrap">{_text(held.model)}</td><td class="n">{held.text_tokens:,}</td>'
        f'<td class="n">{held.tokens:,}</td>{turns}<td class="begins">{_text(held.note)}</td></tr>'
    )


def _foot(shown: Shown) -> str:
    return (
        "<footer><p>Image tokens follow the providers' published rules; text tokens are counted with the o200k vocabulary and a "
        "published or measured factor for each model family, so they are estimates for models whose tokeniser is not public. "
        "Which type sizes a model reads is taken from published tests; no model was asked for this page.</p>"
        "<p>Made by <code>optical-memory demo</code> without network and without a key. The chat model of the demo follows a "
        "script; its tools, their results, the memory and the pages are real.</p></footer>"
        if shown.spent
        else "<footer><p>Made by <code>optical-memory demo --transcript</code>: token counts follow the "
        "providers' published rules and are estimates where a tokeniser is not public; no model was asked for this "
        "page.</p></footer>"
    )
