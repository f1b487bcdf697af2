"""The tools of a model: `recall_memory` gives turns of its conversation back word for word, `pin_memory` keeps turns as text.

Forgetting is never the model's to do.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolArg
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from optical_memory.errors import ConfigError, OpticalMemoryError, StoreError, ThreadNotFoundError
from optical_memory.langchain.health import PAUSE, Health, log
from optical_memory.langchain.where import configured
from optical_memory.memory import Hit, OpticalMemory
from optical_memory.memory.finding import turn_range
from optical_memory.planning.context import ranges, told_ranges

Resolve = Callable[[Any], str | None]  # from the tool's runtime (None outside of an agent) to the thread's name
Count = Callable[[str], int]

TOKENS = 1_500
HITS = 5  # turns of a search that one answer shows
RANGE = 20  # turns of a range that one answer shows
FOOTER = 40  # tokens for the line that names what else was found
LEAST = 60  # tokens: less than this is not worth showing of a turn
DESCRIPTION = (
    "Look up earlier parts of this conversation, word for word. Use it whenever something was said or seen before that "
    "you cannot read or find in what is in front of you: pages too small to read, turns that are only listed, exact "
    "strings, long results that were cut. Give words to search for, or the number of a turn, or a range of turns."
)  # fmt: skip
PINS = 8  # turns that one call may pin
PINNING = (
    "Keep turns of this conversation readable, word for word, however long it grows. Use it seldom, for what must stay "
    "exact: a requirement, a decision, an address, a list that will be needed again. Give the number of a turn or a range."
)
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


def pin_memory(memory: OpticalMemory, *, thread: str | Resolve | None = None, most: int = PINS) -> BaseTool:
    """The tool `pin_memory(turns) -> text` for a memory, for hosts that let their model decide what stays as it is.

    A call pins at most `most` turns. `thread` is as for `recall_memory`. It never raises: what went wrong is said in its
    answer.
    """
    return PinMemory(memory, thread, most)


def checked(memory: object) -> None:
    """Raise ConfigError for what is no memory, such as the URL of one."""
    if not isinstance(memory, OpticalMemory):
        raise ConfigError(f'memory={memory!r}: pass a memory, such as OpticalMemory("sqlite:///memory.db")')


class PinArguments(BaseModel):
    """What a model says to pin; `runtime` is put in by the agent and not shown to the model."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    turns: str = Field(description='The number of a turn, or a range of turns, such as "12" or "12-15".')
    runtime: Annotated[Any, InjectedToolArg()] = None


class _MemoryTool(BaseTool):
    """What both tools share: the memory, the thread, and that nothing is raised into an agent's run."""

    _memory: OpticalMemory = PrivateAttr()
    _thread: str | Resolve | None = PrivateAttr()

    def __init__(self, memory: OpticalMemory, thread: str | Resolve | None) -> None:
        super().__init__()
        checked(memory)
        self._memory, self._thread = memory, thread

    def _told(self, answer: Callable[[], str]) -> str:
        """The answer, or what went wrong in words."""
        try:
            return answer()
        except ThreadNotFoundError:
            return f"Nothing is remembered of this conversation yet. {GO_ON}"
        except OpticalMemoryError as error:
            log.warning("%s: %s", self.name, error)
            return f"The memory cannot be reached at the moment. {GO_ON}"
        except Exception:
            log.exception("%s failed", self.name)
            return f"The memory could not answer this. {GO_ON}"

    def _named(self, runtime: Any, config: RunnableConfig) -> str | None:
        if callable(self._thread):
            return self._thread(runtime)
        return self._thread or config.get("configurable", {}).get("thread_id") or configured("thread_id")


class PinMemory(_MemoryTool):
    """See `pin_memory`."""

    name: str = "pin_memory"
    description: str = PINNING
    args_schema: type[BaseModel] = PinArguments
    _most: int = PrivateAttr()

    def __init__(self, memory: OpticalMemory, thread: str | Resolve | None, most: int) -> None:
        super().__init__(memory, thread)
        self._most = most

    def _run(self, turns: str, runtime: Any = None, *, config: RunnableConfig) -> str:
        """What was pinned, as text; never raises."""
        return self._told(lambda: self._pinned(turns, self._named(runtime, config)))

    async def _arun(self, turns: str, runtime: Any = None, *, config: RunnableConfig) -> str:
        """`_run` in a worker thread."""
        return await asyncio.to_thread(self._run, turns, runtime, config=config)

    def _pinned(self, turns: str, thread: str | None) -> str:
        asked = turn_range(turns)
        if thread is None:
            return f"Nothing is remembered here: this run has no thread. {GO_ON}"
        if asked is None:
            return f'{turns[:60]!r} names no turns. Give a number or a range, such as "12" or "12-15".'
        first, last = asked
        if not 0 <= last - first < self._most:
            return f"Turns {first}-{last} cannot be pinned: at most {self._most} turns at once, the first one first."
        there = [t.number for t in self._memory.turns(thread, first=first, last=last)]
        if not there:
            return f"There is no turn {first} in this conversation."
        self._memory.pin(thread, there)
        return (
            f"Pinned: {_numbers(there)}. They stay readable as text, however old they grow, as long as there is room."
        )


def _numbers(turns: Sequence[int]) -> str:
    return f"turn {turns[0]}" if len(turns) == 1 else f"turns {turns[0]}-{turns[-1]}"


class RecallMemory(_MemoryTool):
    """See `recall_memory`."""

    name: str = "recall_memory"
    description: str = DESCRIPTION
    args_schema: type[BaseModel] = RecallArguments
    _tokens: int = PrivateAttr()
    _health: Health = PrivateAttr()

    def __init__(self, memory: OpticalMemory, thread: str | Resolve | None, tokens: int, health: Health) -> None:
        super().__init__(memory, thread)
        self._tokens, self._health = tokens, health

    def _run(self, query: str, offset: int = 0, runtime: Any = None, *, config: RunnableConfig) -> str:
        """The answer as text; never raises."""
        return self._told(lambda: self._answer(query, offset, runtime, config))

    def _answer(self, query: str, offset: int, runtime: Any, config: RunnableConfig) -> str:
        thread = self._named(runtime, config)
        if thread is None:
            return f"Nothing is remembered here: this run has no thread. {GO_ON}"
        hits, until = self._hits(thread, query, messages_in(getattr(runtime, "state", None)))
        if not hits:
            return f"Nothing found for {query[:100]!r}. {TRY}"
        return told(hits, query, offset if len(hits) == 1 else 0, self._tokens, self._memory.settings().text, until)

    async def _arun(self, query: str, offset: int = 0, runtime: Any = None, *, config: RunnableConfig) -> str:
        """`_run` in a worker thread."""
        return await asyncio.to_thread(self._run, query, offset, runtime, config=config)

    def _hits(self, thread: str, query: str, messages: Sequence[Any]) -> tuple[list[Hit], int]:
        """Recalled turns, and the last turn that was asked for where a range goes on behind them, else 0.

        A number that is no turn's is taken as a word. A search leaves out the question that is being answered.
        """
        span = turn_range(query)
        hits = self._found(thread, query, RANGE + 1) if span else []
        if hits and span:
            return hits[:RANGE], span[1] if len(hits) > RANGE else 0
        hits = self._found(thread, f'"{query}"' if span else query, HITS + 1)
        asked = newest_question(messages)
        return [h for h in hits if h.text != asked][:HITS] or hits[:HITS], 0

    def _found(self, thread: str, query: str, limit: int) -> list[Hit]:
        """Recalled turns; only read, without growing stronger, while the database cannot be written."""
        if not self._health.resting:
            try:
                return self._memory.recall(thread, query, limit=limit)
            except ThreadNotFoundError:
                raise
            except StoreError as error:
                self._health.failed(error, "recall_memory only reads, turns do not grow stronger")
        return self._memory.search(thread, query, limit=limit)


def newest_question(messages: Sequence[Any]) -> str:
    """The text of the user's newest message: it matches every query made from it."""
    human = (m for m in reversed(messages) if getattr(m, "type", "") == "human")
    return next((str(m.text) for m in human), "")


def messages_in(state: Any) -> Sequence[Any]:
    """The messages in an agent's state, whatever kind of value it is; empty where there is none."""
    found = state.get("messages") if isinstance(state, Mapping) else getattr(state, "messages", None)
    return found or ()


# --------------------------------------------------------------------------------------------- the answer


def told(hits: Sequence[Hit], query: str, offset: int, tokens: int, count: Count, until: int = 0) -> str:
    """Turns word for word within `tokens`, in the order of the talk; where not all fit, the first of `hits` get most.

    A last line names the turns for which there was no room; `until` is the last one asked for, if that is beyond `hits`.
    """
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
    rest = _left([h.turn for h in hits], shown, until)
    more = [f"[also turns {rest}: ask for them by number]"] if rest else []
    return "\n".join([*(shown[n] for n in sorted(shown)), *more])


def _left(turns: Sequence[int], shown: Container[int], until: int) -> str:
    """The turns that are not shown, as ranges in words."""
    rest, last = ranges(n for n in sorted(turns) if n not in shown), max(turns)
    if until > last:
        first = rest.pop()[0] if rest and rest[-1][1] == last else last + 1
        rest.append((first, until))
    return told_ranges(rest)


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
