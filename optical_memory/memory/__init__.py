"""The facade: `OpticalMemory`, and the values that it hands back. Its methods are short, and each has a room here.

    remember                ingest (which messages are new, and where they belong)
    context, project        making (which plan) -> state (what is stored of a thread) -> applying (a new plan is drawn and stored)
                            -> view, show, recollect (segments, pages, what comes back by itself) -> assemble (messages)
    step, explain, undo     stepping          pin, weigh, forget      marking
    recall, search          finding, meaning  turns, pages, stats     reading
    observe, ledger         books, accounts   retain=, summarizer=    retain, summarise

`pictures` draws or fetches a page, `restyle` puts tiers of the user's own into a profile, `kept` is a small cache, `values` are
what comes back.
"""

from __future__ import annotations

from optical_memory.memory.accounts import ThreadLedger
from optical_memory.memory.assemble import Context
from optical_memory.memory.facade import OpticalMemory
from optical_memory.memory.values import Change, Forgotten, Hit, Page, Remembered, Stats, Step, ThreadInfo

__all__ = [
    "Change",
    "Context",
    "Forgotten",
    "Hit",
    "OpticalMemory",
    "Page",
    "Remembered",
    "Stats",
    "Step",
    "ThreadInfo",
    "ThreadLedger",
]
