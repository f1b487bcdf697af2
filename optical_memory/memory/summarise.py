"""Headline cards in the words of the host's model, where it passes one, instead of sentences of the source.

A page gets its card once, when it is sealed and put in force; the card is stored with it and never made anew. A page that
is shown as a card at once keeps the extract, on whose size its plan rests. What the model fails to say, the extract says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from optical_memory.errors import ConfigError
from optical_memory.planning.propose import Proposal
from optical_memory.planning.seal import CARD_CHARS
from optical_memory.planning.spans import Placed, StoredTurn

log = logging.getLogger("optical_memory")

Summarizer = Callable[[str, int], str]  # a stretch of conversation, and the most characters of what is to be said of it
MOST = 24_000  # characters of a page that are handed over: its beginning and its end
ASKED = (
    "In at most {chars} characters, in the language of the conversation: what was decided, corrected, asked for or "
    "forbidden in it, with its names and numbers. One line, no introduction.\n\n{text}"
)


def summarizer(given: Any) -> Summarizer | None:
    """A callable as it is, a chat model of LangChain as a callable. Raises ConfigError for anything else."""
    if given is None or (callable(given) and not hasattr(given, "invoke")):
        return given  # type: ignore[no-any-return]
    if hasattr(given, "invoke"):
        return lambda text, chars: _text(given.invoke(ASKED.format(text=text, chars=chars)))
    raise ConfigError(f"summarizer={given!r}: pass a function of (text, characters) or a LangChain chat model")


def _text(answer: Any) -> str:
    """The words of an answer: a string, or a message with text in blocks."""
    content = getattr(answer, "content", answer)
    if isinstance(content, str):
        return content
    return " ".join(str(block.get("text") or "") for block in content if isinstance(block, dict))


def with_cards(proposal: Proposal, rows: Sequence[StoredTurn], ask: Summarizer | None) -> Proposal:
    """The proposal with cards of the model for the pages that are new in it; as it is where there is no model."""
    if ask is None:
        return proposal
    return replace(proposal, placed=tuple(_with_card(item, rows, ask) for item in proposal.placed))


def _with_card(item: Placed, rows: Sequence[StoredTurn], ask: Summarizer) -> Placed:
    span = item.span
    mine = [row for row in rows if span.first <= row.number <= span.last]
    if span.page is not None or span.hidden or item.tier == "card" or not (span.card and mine):
        return item
    low, high = CARD_CHARS
    said = _said(
        "\n".join(f"{row.name or row.role}: {row.text}" for row in mine), min(high, max(low, span.chars // 12)), ask
    )
    return replace(item, span=replace(span, card=said or span.card))


def _said(text: str, chars: int, ask: Summarizer) -> str:
    """One line of at most `chars` characters; nothing where the model fails."""
    if len(text) > MOST:
        text = f"{text[: MOST // 2]}\n[...]\n{text[-MOST // 2 :]}"
    try:
        said = " ".join(str(ask(text, chars) or "").split())
    except Exception as error:  # whatever it is: an agent is not stopped for want of a headline
        log.warning(
            "no card from the summarizer, sentences of the source stand in: %s: %s", type(error).__name__, error
        )
        return ""
    return said if len(said) <= chars else said[:chars].rpartition(" ")[0] or said[:chars]
