"""Any client in a plain loop, without LangChain's agents: the context as a request for OpenAI's or Anthropic's own client.

python examples/plain_loop.py                   # a function stands in for the client
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from optical_memory import OpticalMemory

THREAD = "garden"


def openai_client(messages: list[dict[str, Any]]) -> str:
    """In its place: OpenAI().chat.completions.create(model="gpt-5.2", messages=messages).choices[0].message.content."""
    images = sum(
        part["type"] == "image_url" for m in messages if isinstance(m["content"], list) for part in m["content"]
    )
    return f"{len(messages)} messages with {images} images came in OpenAI's form."


def anthropic_client(system: str, messages: list[dict[str, Any]]) -> str:
    """In its place: Anthropic().messages.create(model="claude-opus-4-5", system=system, messages=messages, ...)."""
    images = sum(block["type"] == "image" for m in messages for block in m["content"])
    return f"{len(messages)} messages with {images} images came in Anthropic's form."


def main() -> None:
    """A talk in which every other answer comes from the other provider; each sees pages that it can read."""
    with tempfile.TemporaryDirectory() as folder:
        memory = OpticalMemory(Path(folder) / "memory.db", model="gpt-5.2", budget=4_000)
        for n in range(60):
            said = (
                f"Entry {n}: bed {n % 12} was watered with {n * 3 % 17 + 2} litres. "
                + "The soil is dry and light. " * 10
            )
            memory.remember(THREAD, [{"role": "user", "content": said}])
            if n % 2:
                answer = openai_client(memory.context(THREAD, reserved=50).to_openai())
            else:
                system, messages = memory.context(THREAD, model="claude-opus-4-5", reserved=50).to_anthropic()
                answer = anthropic_client(system, messages)
            memory.remember(THREAD, [{"role": "assistant", "content": answer}])
        print(openai_client(memory.context(THREAD).to_openai()))
        print(anthropic_client(*memory.context(THREAD, model="claude-opus-4-5").to_anthropic()))
        for hit in memory.recall(THREAD, '"bed 7" watered', limit=2):
            print(hit.turn, hit.text[:60])
        memory.close()


if __name__ == "__main__":
    main()
