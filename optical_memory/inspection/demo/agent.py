"""A chat model that follows a script, so that the demo needs no network and no key. Tools and results are real."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from optical_memory.cost import token_counter
from optical_memory.messages import injected

Call = tuple[str, dict[str, Any]]
Answer = Callable[[Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Task:
    """A question, the rounds of tool calls with which the model answers it, and its answer from their results."""

    question: str
    rounds: tuple[tuple[Call, ...], ...]
    answer: Answer = field(repr=False)


class Seen:
    """What the model was sent, call by call, in tokens; a message that comes again is counted once."""

    def __init__(self, model: str) -> None:
        self.tokens: list[int] = []
        self._count = token_counter(model)
        self._known: dict[int, int] = {}

    def note(self, messages: Sequence[BaseMessage]) -> None:
        """Count a call."""
        self.tokens.append(sum(self._one(m) for m in messages))

    def _one(self, message: BaseMessage) -> int:
        key = hash((message.type, str(message.content), str(getattr(message, "tool_calls", ""))))
        if key not in self._known:
            self._known[key] = self._count([message])
        return self._known[key]


class ScriptedModel(BaseChatModel):
    """Looks for the newest question among the messages that it is sent, and takes the next step of that task.

    Early rounds of a long task may be pages by the time of the answer, so it notes each result when it first sees it.
    """

    tasks: Any
    seen: Any
    results: dict[str, str] = Field(default_factory=dict)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> ScriptedModel:
        """The script names the tools itself."""
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        self.seen.note(messages)
        self.results.update({m.tool_call_id: str(m.text) for m in messages if isinstance(m, ToolMessage)})
        return ChatResult(generations=[ChatGeneration(message=next_message(self.tasks, messages, self.results))])


def next_message(tasks: Sequence[Task], messages: Sequence[BaseMessage], results: Mapping[str, str]) -> AIMessage:
    """The next step: a round of tool calls, or the answer when every round has its results."""
    at = max(i for i, m in enumerate(messages) if isinstance(m, HumanMessage) and not injected(m))
    task = next(t for t in tasks if t.question == messages[at].text)
    place, done = tasks.index(task), _rounds(messages[at + 1 :])
    if done == len(task.rounds):
        asked = [_call_id(place, r, n) for r, calls in enumerate(task.rounds) for n in range(len(calls))]
        return AIMessage(task.answer([results[call] for call in asked]))
    calls = [
        {"name": name, "args": args, "id": _call_id(place, done, n), "type": "tool_call"}
        for n, (name, args) in enumerate(task.rounds[done])
    ]
    return AIMessage("", tool_calls=calls)


def _rounds(since: Sequence[BaseMessage]) -> int:
    """How many rounds of the task are done: the newest is always there as text, and its calls say which it is."""
    newest = next((m for m in reversed(since) if isinstance(m, AIMessage) and m.tool_calls), None)
    return int(str(newest.tool_calls[0]["id"]).split("-")[2]) + 1 if newest else 0


def _call_id(place: int, done: int, number: int) -> str:
    return f"call-{place}-{done}-{number}"


# --------------------------------------------------------------------------------------------- the script

RULES = (
    "I want to know the Python on this machine. Rules for this conversation: only read, never propose to change "
    "a file; always give the path and the line."
)
PACKAGES = ("sqlalchemy", "pydantic", "langchain-core", "alembic")
FACT_PACKAGE, FACT_FILE = "rich", "rich/panel.py"
RECALL = "recall_memory"

SURVEYS: tuple[tuple[str, str, str, str], ...] = (
    ("json", "json/decoder.py", r"raise \w+", "Where does json raise errors, and how is its decoder built?"),
    (
        "email",
        "email/header.py",
        r"^class \w+",
        "How does email encode headers, and which classes does the package have?",
    ),
    ("asyncio", "asyncio/locks.py", r"^__all__", "What does asyncio export, and how are its locks built?"),
    ("logging", "logging/handlers.py", r"DEFAULT_\w+ *=", "Which default ports do the logging handlers use?"),
    ("http", "http/cookies.py", r"_MAX\w* *=", "Which limits does http set, and how does it parse cookies?"),
    ("urllib", "urllib/robotparser.py", r"raise \w+", "How does urllib read robots.txt, and what does it raise?"),
    ("concurrent", "concurrent/futures/_base.py", r"TIMEOUT|timeout=None", "Where do futures take a timeout?"),
    ("collections", "collections/__init__.py", r"^class \w+", "Which classes does collections define in Python?"),
    ("xml", "xml/etree/ElementPath.py", r"^def \w+", "How does ElementTree find paths?"),
    ("unittest", "unittest/suite.py", r"^class \w+", "Which classes make up unittest?"),
    ("importlib", "importlib/util.py", r"^def \w+", "Which helpers does importlib offer?"),
    ("html", "html/parser.py", r"re\.compile", "Which patterns does the HTML parser compile?"),
)


def script() -> list[Task]:
    """The tasks of the demo, oldest first; the last one asks for what the first one found."""
    tasks = [_opening()]
    for index, survey in enumerate(SURVEYS):
        tasks.append(_survey(*survey))
        if index % 3 == 1:
            tasks.append(_package(PACKAGES[index // 3]))
    return [*tasks, _closing()]


def _opening() -> Task:
    first = f"First, list what is installed, and note the recorded hash of {FACT_FILE}: I will ask for it at the end."
    rounds: tuple[tuple[Call, ...], ...] = (
        (("list_packages", {}),),
        (("package_record", {"name": FACT_PACKAGE, "contains": "rich/p"}),),
        (("package_metadata", {"name": FACT_PACKAGE}),),
    )
    return Task(
        f"{RULES} {first}",
        rounds,
        lambda found: f"{_count(found[0])} packages are installed. I noted {FACT_PACKAGE}'s record.",
    )


def _survey(folder: str, file: str, pattern: str, question: str) -> Task:
    rounds: tuple[tuple[Call, ...], ...] = (
        (("list_modules", {"folder": folder}),),
        (("outline", {"path": file}),),
        (("grep", {"pattern": pattern, "folder": folder}),),
        (
            ("read_module", {"path": file, "first": 1, "last": 60}),
            ("read_module", {"path": file, "first": 61, "last": 110}),
        ),
    )

    def answer(found: Sequence[str]) -> str:
        first = next((line for line in found[2].splitlines() if ":" in line), "no line")
        return (
            f"{folder} has {_count(found[0])} files. {file} defines {_count(found[1])} classes and functions. "
            f"The pattern {pattern} is on {_count(found[2])} lines, first on {first}."
        )

    return Task(question, rounds, answer)


def _package(name: str) -> Task:
    rounds: tuple[tuple[Call, ...], ...] = (
        (("package_metadata", {"name": name}),),
        (("package_record", {"name": name, "contains": "__init__"}),),
    )

    def answer(found: Sequence[str]) -> str:
        version = re.search(r"^Version: (.+)$", found[0], re.MULTILINE)
        needs = sum(line.startswith("Requires: ") for line in found[0].splitlines())
        has = f"{needs} requirements and {_count(found[1])} __init__ files"
        return f"{name} {version[1] if version else '?'} has {has}."

    return Task(f"What does the installed {name} require, and which __init__ files does it bring?", rounds, answer)


def _closing() -> Task:
    question = f"Now the hash from the beginning: what does the record of {FACT_PACKAGE} say for {FACT_FILE}?"
    rounds: tuple[tuple[Call, ...], ...] = (((RECALL, {"query": f'"{FACT_FILE}" sha256'}),),)
    return Task(question, rounds, lambda found: f"{FACT_FILE}: {_hash_in(found[0]) or 'the record did not come back'}")


def _count(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip() and not line.startswith("... cut"))


def _hash_in(text: str) -> str | None:
    found = re.search(re.escape(FACT_FILE) + r" size=\d+ (sha256=[\w-]+)", text)
    return found[1] if found else None


def recorded_hash() -> str:
    """The fact as this machine has it, to check the answer against."""
    from optical_memory.inspection.demo.tools import package_record

    return _hash_in(package_record(FACT_PACKAGE, FACT_FILE)) or ""
