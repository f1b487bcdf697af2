"""Random histories of agents, as their graphs hand them to a model: parallel calls, errors, interrupts, edits, forks."""

from __future__ import annotations

import base64
import io
from typing import Any

from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from PIL import Image

WORDS = "the order 4711 was sent to berth C7 and is 12.50 € ⟪late⟫ résumé 日本 \u200b x9f3"


def picture() -> dict[str, Any]:
    """A small image of a user's own."""
    out = io.BytesIO()
    Image.new("L", (96, 64), 200).save(out, "PNG")
    return {"type": "image", "base64": base64.b64encode(out.getvalue()).decode(), "mime_type": "image/png"}


PICTURE = picture()
texts = st.one_of(
    st.sampled_from(["", " ", "\n", "Yes.", "<|endoftext|>"]),
    st.integers(1, 120).map(lambda n: f"{n}: " + f"{WORDS} " * (n % 24 + 1)),
    st.text(max_size=40).filter(lambda t: t.isprintable()),
)
results = st.one_of(
    texts, st.integers(1, 60).map(lambda n: "\n".join(f"row {r}: value {r * n} of pump {n}" for r in range(2 * n)))
)


class Talk:
    """A history as it grows; `draw` is hypothesis'."""

    def __init__(self, draw: Any) -> None:
        self.draw, self.messages, self.made = draw, list[AnyMessage](), 0

    def name(self) -> str | None:
        """An id of a message; some hosts give none."""
        self.made += 1
        return None if self.draw(st.integers(0, 9)) == 0 else f"m{self.made}"

    def person(self) -> None:
        text, kind = self.draw(texts), self.draw(st.integers(0, 19))
        if kind == 19:
            text = f"{WORDS} " * self.draw(st.integers(400, 900))  # more than the whole budget
        content: Any = [{"type": "text", "text": text or "Look."}, PICTURE] if kind < 2 else text
        self.messages.append(HumanMessage(content, id=self.name()))

    def step(self) -> None:
        """A round of tools: some calls fail, and now and then a person interrupts before the results are there."""
        ids = [f"call_{self.made}_{n}" for n in range(self.draw(st.sampled_from([1, 1, 1, 2, 3, 5])))]
        calls = [{"name": self.draw(st.sampled_from(["look", "boom"])), "args": {"path": i}, "id": i} for i in ids]
        self.messages.append(AIMessage(self._said("I look."), id=self.name(), **self._as_called(calls)))
        kept = ids if self.draw(st.integers(0, 7)) else ids[: self.draw(st.integers(0, len(ids) - 1))]
        for call, made in zip(ids, calls, strict=True):
            if call in kept:
                status = "error" if self.draw(st.integers(0, 5)) == 0 else "success"
                text = self.draw(results)
                self.messages.append(
                    ToolMessage(text, tool_call_id=call, name=str(made["name"]), status=status, id=self.name())
                )
        if len(kept) < len(ids):
            self.person()

    def _as_called(self, calls: list[dict[str, Any]]) -> dict[str, Any]:
        """The calls as a model makes them: now and then the first one's arguments are broken."""
        if self.draw(st.integers(0, 19)):
            return {"tool_calls": calls}
        return {"tool_calls": calls[1:], "invalid_tool_calls": [calls[0] | {"args": "{", "error": "no JSON"}]}

    def answer(self) -> None:
        self.messages.append(AIMessage(self._said(self.draw(texts)), id=self.name()))

    def _said(self, text: str) -> Any:
        if self.draw(st.integers(0, 3)):
            return text
        thought = {"type": "thinking", "thinking": "hm " * 20, "signature": f"sig{self.made}"}
        return [thought, {"type": "text", "text": text}] if text.strip() else [thought]

    def other(self) -> None:
        """What hosts do beside talking: a system message in between, an answer that opens, an edit, a fork."""
        kind = self.draw(st.integers(0, 3))
        if kind == 0:
            self.messages.append(SystemMessage("The user has moved to Bergen.", id=self.name()))
        elif kind == 1:
            self._edit()
        elif kind == 2 and len(self.messages) > 4:
            del self.messages[self._end(self.draw(st.integers(1, len(self.messages) - 1))) :]
        else:
            self.answer()

    def _edit(self) -> None:
        at = [i for i, m in enumerate(self.messages) if m.type == "human" and m.id]
        if at:
            index = self.draw(st.sampled_from(at))
            self.messages[index] = HumanMessage(f"Edited: {self.draw(texts)}", id=self.messages[index].id)

    def _end(self, index: int) -> int:
        """The next place at which a person speaks."""
        return next(
            (i for i in range(index, len(self.messages)) if self.messages[i].type == "human"), len(self.messages)
        )


@st.composite
def calls(draw: Any) -> list[list[AnyMessage]]:
    """The lists of messages of an agent's calls, one after the other, each ending with a person's or a tool's message."""
    talk, asked = Talk(draw), list[list[AnyMessage]]()
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.integers(0, 5)) == 0:
            talk.other()
        talk.person()
        for _ in range(draw(st.sampled_from([0, 1, 1, 2, 4]))):
            if draw(st.integers(0, 2)) == 0:
                asked.append(list(talk.messages))
            talk.step()
        asked.append(list(talk.messages))
        talk.answer()
    return asked[-6:]
