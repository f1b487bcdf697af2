"""What a tight budget keeps: turns that say most, pointers for what was said before, and what the newest message asks for."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

from PIL import Image

from optical_memory.cost import profile
from optical_memory.pages import Style
from optical_memory.planning.tiers import DRAWN

CHATTER = ("That's great! How are you?", "Thanks! Wow.", "Nice, good to hear!", "Hello again, how is it going?")


def told(number: int) -> str:
    """A turn that says something."""
    return f"Last week I took the night train {number:03d} from Vienna to Turin-{number * 7} and lost my umbrella-{number}."


def talk(count: int) -> list[dict[str, str]]:
    """News in every fourth turn, small talk between."""
    texts = [told(n) if n % 4 == 0 else CHATTER[n % 4] for n in range(1, count + 1)]
    return [
        {"id": f"m{n}", "role": "user" if n % 2 else "assistant", "content": text} for n, text in enumerate(texts, 1)
    ]


def shown(context) -> set[int]:
    """The turns that can be read in a context."""
    kinds = ("text", "current", "vivid", "clear", "dense", "recalled")
    return {n for s in context.segments if s.kind in kinds for first, last in s.shown for n in range(first, last + 1)}


def test_what_says_least_is_left_out_first_and_listed(make):
    """With room for a part, the news of all ages is shown rather than the newest small talk, and the rest is in left_out."""
    memory = make(budget=1_500, keep=("turns", 2), facts=0.0)
    memory.remember("t", talk(600))
    context = memory.context("t")
    news = set(range(4, 597, 4))
    seen = shown(context)
    assert len(news & seen) / len(news) > 0.8
    assert len(seen - news) < 0.4 * len(seen)  # of the thread it is three quarters
    hidden = {n for first, last in context.left_out for n in range(first, last + 1)}
    cards = {n for s in context.segments if s.kind == "card" and s.turns for n in range(s.turns[0], s.turns[1] + 1)}
    assert seen | hidden | cards == set(range(1, 601))
    assert not seen & hidden
    assert {t.number for t in memory.turns("t") if t.tier == "handle"} == hidden


def test_a_turn_left_out_of_its_page_comes_back_when_it_is_recalled(make):
    """The page is drawn with it from the next step on, and every later context shows the same page."""
    memory = make(budget=1_500, keep=("turns", 2), facts=0.0)
    memory.remember("t", talk(400))
    context = memory.context("t")
    lacking = [a for s in context.segments if s.kind in DRAWN for a, _ in s.left[:1]]
    assert len(lacking) > 3
    for number in lacking:  # one of each page
        memory.recall("t", f"{number}")
    memory.remember("t", talk(430))
    memory.step("t")
    again = memory.context("t")
    assert set(lacking) <= shown(again)
    assert _images(memory.context("t")) == _images(again)


def _blocks(context):
    return [b for m in context.messages if isinstance(m.content, list) for b in m.content]


def _images(context):
    return [b["base64"] for b in _blocks(context) if "base64" in b]


def test_what_was_said_before_is_drawn_as_a_pointer(make):
    """A file that an agent reads eight times costs a page once."""
    body = "\n".join(f"line {i}: value {i * 37 % 101} of the file config/settings_{i}.py" for i in range(60))
    once, often = make("once.db"), make("often.db")
    for memory, times in ((once, 1), (often, 8)):
        memory.remember("t", [m for n in range(times) for m in _reading(n, body)])
    assert often.context("t").tokens < once.context("t").tokens + 150
    assert "recalled" not in {s.kind for s in often.context("t").segments}


def _reading(n, body):
    call = {"id": f"c{n}", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    return [
        {"role": "user", "content": f"Look at it again, case {n}."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{n}", "content": body},
        {"role": "assistant", "content": f"Done with case {n}."},
    ]


def test_what_is_asked_for_comes_back_as_one_page_where_that_holds_more(make):
    """The page stands before the question, is a picture of the size that was billed, and stays, in other processes too."""
    reader = profile("ocr:tesseract")
    inexact = replace(reader, exact=dict.fromkeys(DRAWN, False), shares={**reader.shares, "clear": 0.8, "dense": 0.7})
    settings = {
        "profile": inexact, "model": None, "budget": 2_000, "keep": ("turns", 2), "facts": 0.0, "low_mark": 0.4,
        "recall": ("tokens", 600),
    }  # fmt: skip
    memory, question = make(**settings), "What did I lose on the night train to Turin?"
    memory.remember("t", [*talk(1_200), {"id": "q", "role": "user", "content": question}])
    context = memory.context("t", query=question)
    recalled = next(s for s in context.segments if s.kind == "recalled")
    assert recalled.look is not None
    assert recalled.tokens <= 600
    assert context.segments[-1].kind == "current"
    assert sum(last - first + 1 for first, last in recalled.shown) > 8
    with Image.open(io.BytesIO(base64.b64decode(_images(context)[-1]))) as image:
        assert inexact.image(*image.size) <= recalled.tokens
    beside = [b["text"] for b in _blocks(context) if "Recalled" in b.get("text", "")]
    assert beside[0].count(" · ") > 5
    assert memory.context("t").messages == context.messages
    assert make(**settings).context("t").messages == context.messages


def test_pages_are_filled_with_smaller_type_where_that_shows_more(make):
    """A page that costs the same however much is on it: with smaller type at hand, a tight budget shows more of the news."""
    whole = profile("gpt-4o")
    fine = replace(
        whole, name="fine", tiers={**whole.tiers, **SMALL}, shares={**whole.shares, "vivid": 0.99, "clear": 0.96}
    )
    coarse = replace(fine, name="coarse", tiers={**fine.tiers, "clear": None, "dense": None})
    seen = {}
    for reader in (fine, coarse):
        memory = make(profile=reader, budget=1_500, keep=("turns", 2), facts=0.0, schedule="never")
        memory.remember("t", talk(900))
        seen[reader.name] = len(shown(memory.context("t")))
    assert seen["fine"] > 1.2 * seen["coarse"]


SMALL = {"vivid": Style.of("sans9g1"), "clear": Style.of("sans8g1"), "dense": None}
