"""A chat over months of dated talk: pages carry the days, and an early detail comes back by itself.

python examples/months.py                                       # a scripted model, no key
python examples/months.py --model anthropic:claude-opus-4-5
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from langchain_core.messages import AIMessage, BaseMessage
from scripted import chosen

from optical_memory import OpticalMemory

START = datetime(2026, 1, 5, 18, 30, tzinfo=UTC)


def play(messages: Sequence[BaseMessage]) -> AIMessage:
    """Finds the street in what it is shown as text."""
    found = re.search(r"to Tromsø, (\w+ \d+)", " ".join(str(m.text) for m in messages))
    return AIMessage(f"To {found[1]}." if found else "I cannot see it.")


def main() -> None:
    """Four months of a diary, then a question about the first week."""
    model, name = chosen(__doc__, play)
    with tempfile.TemporaryDirectory() as folder:
        memory = OpticalMemory(Path(folder) / "memory.db", model=name, budget=6_000)
        for day in range(120):
            at = START + timedelta(days=day)
            said = (
                f"I ran {day % 9 + 4} km and read {day * 7 % 40 + 5} pages. "
                + "It was a quiet evening by the sea. " * 6
            )
            if day == 3:
                said += "My sister Ida moved to Tromsø, Storgata 114."
            talk = [("user", said), ("assistant", "A good day. Sleep well.")]
            memory.remember("diary", [{"role": r, "content": c, "created_at": at.isoformat()} for r, c in talk])
        question = "Which street in Tromsø did Ida move to?"
        memory.remember("diary", [{"role": "user", "content": question}])
        context = memory.context("diary", query=question)
        print(f"{context.tokens:,} tokens for 241 turns:", {s.kind for s in context.segments})
        print("Recalled by itself: turns", [s.turns for s in context.segments if s.kind == "recalled"])
        print(model.invoke(context.messages).text)
        for page in memory.pages("diary")[:3]:
            print(f"page {page.number}: turns {page.turns[0]}-{page.turns[1]}, {page.tier}, {page.tokens} tokens")
        memory.close()


if __name__ == "__main__":
    main()
