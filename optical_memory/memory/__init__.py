"""The facade: `OpticalMemory`, and the values that it hands back."""

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
