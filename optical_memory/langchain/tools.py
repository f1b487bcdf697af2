"""`recall_memory`: the tool by which a model gets turns of its conversation back, word for word."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from optical_memory.errors import OpticalMemoryError, StoreError, ThreadNotFoundError
from optical_memory.langchain.health import PAUSE, Health, log
from optical_memory.langchain.where import configured
from optical_memory.memory import Hit, OpticalMemory

Resolve = Callable[[Any], str | None]  # from the tool's runtime (None outside of an agent) to the thread's name
Count = Callable[[str], int]

TOKENS = 1_500
HITS = 5
FOOTER = 40  # tokens for the line that names what else was found
LEAST = 60  # tokens: less than this is not worth showing of a turn
DESCRIPTION = (
    "Look up earlier parts of this conversation, word for word. Use it whenever something was said or seen before that "
    "you cannot read or find in what is in front of you: pages too small to read, turns that are only listed, exact "
    "strings, long results that were cut. Give words to search for, or the number of a turn, or a range of turns."
)  # fmt: skip
GO_ON = "Go on with what is in front of you."
TRY = 'Try fewer or other words, a "quoted phrase", a prefix*, or turn numbers such as "12" or "12-15".'


class RecallArguments(BaseModel):
    """What a model says to recall; `runtime` is put in by the agent and not shown to the model."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    query: str = Field(
        description='Words to search for, a "quoted phrase", a prefix*, or turn numbers such as "12" or "12-15".'
    )
    offset: int = Field(
        default=0, ge=0, description="Characters of a long turn to skip; a cut answer says which offset goes on."
    )
    runtime: Annotated[Any, InjectedToolArg()] = None


def recall_memory(memory: OpticalMemory, *, thread: str | Resolve | None = None, tokens: int = TOKENS) -> BaseTool:
    """The tool `recall_memory(query, offset=0) -> text` for a memory.

    `thread` names the thread, or finds its name from the tool's runtime; by default it is the run's `thread_id`.
    The answer takes at most `tokens` by the memory's own counter. It never raises: what went wrong is said in it.
    """
    return RecallMemory(memory, thread, tokens, Health(PAUSE))


class RecallMemory(BaseTool):
    """See `recall_memory`."""

    name: str = "recall_memory"
    description: str = DESCRIPTION
    args_schema: type[BaseModel] = RecallArguments
    _memory: OpticalMemory = PrivateAttr()
    _thread: str | Resolve | None = PrivateAttr()
    _tokens: int = PrivateAttr()
    _health: Health = PrivateAttr()

    def __init__(self, memory: OpticalMemory, thread: str | Resolve | None, tokens: int, health: Health) -> None:
        super().__init__()
        self._memory, self._thread, self._tokens, self._health = memory, thread, tokens, health

    def _run(self, query: str, offset: int = 0, runtime: Any = None, *, config: RunnableConfig) -> str:
        """The answer as text; never raises."""
        try:
            return self._answer(query, offset, runtime, config)
        except ThreadNotFoundError:
            return f"Nothing is remembered of this conversation yet. {GO_ON}"
        except OpticalMemoryError as error:
            log.warning("recall_memory: %s", error)
            return f"The memory cannot be read at the moment. {GO_ON}"
        except Exception:
            log.exception("recall_memory(%r) failed", query)
            return f"The memory could not answer this. {GO_ON}"

    def _answer(self, query: str, offset: int, runtime: Any, config: RunnableConfig) -> str:
        thread = self._named(runtime, config)
        if thread is None:
            return f"Nothing is remembered here: this run has no thread. {GO_ON}"
        asked = newest_question(messages_in(getattr(runtime, "state", None)))
        hits = self._hits(thread, query, asked)
        if not hits:
            return f"Nothing found for {query[:100]!r}. {TRY}"
        return told(hits, query, offset if len(hits) == 1 else 0, self._tokens, self._memory.settings().text)

    async def _arun(self, query: str, offset: int = 0, runtime: Any = None, *, config: RunnableConfig) -> str:
        """`_run` in a worker thread."""
        return await asyncio.to_thread(self._run, query, offset, runtime, config=config)

    def _hits(self, thread: str, query: str, asked: str) -> list[Hit]:
        """Recalled turns without the question that is being answered; a number that is no turn's is taken as a word."""
        hits = self._found(thread, query)
        if not hits and query.strip().isdigit():
            hits = self._found(thread, f'"{query}"')
        return [h for h in hits if h.text != asked][:HITS] or hits[:HITS]

    def _found(self, thread: str, query: str) -> list[Hit]:
        """Recalled turns; only read, without growing stronger, while the database cannot be written."""
        if not self._health.resting:
            try:
                return self._memory.recall(thread, query, limit=HITS + 1)
            except ThreadNotFoundError:
                raise
            except StoreError as error:
                self._health.failed(error, "recall_memory only reads, turns do not grow stronger")
        return self._memory.search(thread, query, limit=HITS + 1)

    def _named(self, runtime: Any, config: RunnableConfig) -> str | None:
        if callable(self._thread):
            return self._thread(runtime)
        return self._thread or config.get("configurable", {}).get("thread_id") or configured("thread_id")


def newest_question(messages: Sequence[Any]) -> str:
    """The text of the user's newest message: it matches every query made from it."""
    human = (m for m in reversed(messages) if getattr(m, "type", "") == "human")
    return next((str(m.text) for m in human), "")


def messages_in(state: Any) -> Sequence[Any]:
    """The messages in an agent's state, whatever kind of value it is; empty where there is none."""
    found = state.get("messages") if isinstance(state, Mapping) else getattr(state, "messages", None)
    return found or ()


# --------------------------------------------------------------------------------------------- the answer


def told(hits: Sequence[Hit], query: str, offset: int, tokens: int, count: Count) -> str:
    """Turns word for word within `tokens`, in the order of the talk; the best get most where not all fit."""
    shown: dict[int, str] = {}
    left = tokens - (FOOTER if len(hits) > 1 else 0)
    for index, hit in enumerate(hits):
        others = sum(count(_whole(h)) for h in hits[index + 1 :])
        text = _fitted(hit, query, offset, max(left // 2, left - others), count)
        if text:
            shown[hit.turn] = text
            left -= count(text) + 1
        if left < LEAST:
            break
    rest = [str(h.turn) for h in sorted(hits, key=lambda h: h.turn) if h.turn not in shown]
    more = [f"[also turns {', '.join(rest)}: ask for them by number]"] if rest else []
    return "\n".join([*(shown[n] for n in sorted(shown)), *more])


def _label(hit: Hit) -> str:
    date = f", {hit.created_at:%Y-%m-%d}" if hit.created_at else ""
    return f"[turn {hit.turn}, {hit.role}{date}]"


def _whole(hit: Hit) -> str:
    return f"{_label(hit)} {hit.text}"


def _fitted(hit: Hit, query: str, offset: int, room: int, count: Count) -> str:
    """The turn, or as much of it as fits, from `offset` or around the place that was asked for; "" if nothing does."""
    if not offset and count(_whole(hit)) <= room:
        return _whole(hit)
    if offset >= len(hit.text) > 0:
        return f"{_label(hit)} has {len(hit.text)} characters; offset={offset} is past its end."
    start = offset or _place(hit.text, query, room * 3)
    chars = min(len(hit.text) - start, room * 8)
    while chars > 20:
        text = _window(hit, start, chars)
        if count(text) <= room:
            return text
        chars = chars * 4 // 5
    return ""


def _window(hit: Hit, start: int, chars: int) -> str:
    end = min(len(hit.text), start + chars)
    before = f"[... {start} characters before ...] " if start else ""
    left = len(hit.text) - end
    after = f' [... {left} characters follow: recall_memory("{hit.turn}", offset={end}) ...]' if left else ""
    return f"{_label(hit)} {before}{hit.text[start:end]}{after}"


def _place(text: str, query: str, chars: int) -> int:
    """Where to begin with a long turn: the line before the stretch of `chars` characters that holds most of the query.

    Each word of the query counts once in a stretch, a rare word more than one that stands everywhere in the turn.
    """
    low = text.lower()
    words = {w for w in re.findall(r"[^\W_]{2,}", query.lower()) if w in low}
    found = sorted((m.start(), word) for word in words for m in re.finditer(re.escape(word), low))
    if not found:
        return 0
    often = Counter(word for _, word in found)
    best, best_value, inside, first = 0, 0.0, Counter[str](), 0
    for at, word in found:
        inside[word] += 1
        while found[first][0] < at - chars // 2:
            inside[found[first][1]] -= 1
            first += 1
        value = sum(1 / often[w] for w, times in inside.items() if times > 0)
        if value > best_value + 1e-9:
            best, best_value = found[first][0], value
    start = low.rfind("\n", 0, max(0, best - 80)) + 1
    return start if start < len(text) - 20 else 0
