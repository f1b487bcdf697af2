"""The demo: an agent at work on this machine, and how its memory holds the conversation afterwards.

tools   what the agent can do: read the installed Python's standard library and packages, and nothing else
agent   the scripted chat model and the tasks that it works through
run     the conversation, what is measured of it, and what is printed
report  one self-contained page to look at
"""

from __future__ import annotations

from optical_memory.inspection.demo.run import run

__all__ = ["run"]
