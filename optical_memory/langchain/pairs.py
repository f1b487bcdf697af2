"""Complete pairs, and a plain history cut to size: what a provider accepts, made of the messages that the agent has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from optical_memory.memory.assemble import stripped
from optical_memory.memory.rounds import BEGINS, answered, calls_of, missing, rounds
from optical_memory.messages import SOURCE
from optical_memory.planning.excerpt import head_and_tail

Count = Callable[[Sequence[BaseMessage]], int]
Handle = Callable[[BaseMessage], int | None]  # the number of the turn that a message belongs to, if it is stored

EMPTY = "[empty message]"
LEAST = 200  # characters: no message is cut below this
ANCHOR_SHARE = 4  # the run's first message may take a fourth of the room


def paired(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages without results that lack their call."""
    return [message for group in rounds(messages) for message in group]


def sendable(messages: Sequence[BaseMessage], thoughts: bool = False) -> list[BaseMessage]:
    """What every provider takes: pairs whole, no empty message, and a person's message first.

    An answer that says and calls nothing goes, one of reasoning alone too unless `thoughts` says that other reasoning may
    be bound to it; a person's empty message says so.
    """
    out = [_filled(message) for message in answered(messages) if not _says_nothing(message, thoughts)]
    opens = next((m.type for m in out if m.type != "system"), "human")
    return out if opens == "human" else [HumanMessage(BEGINS, additional_kwargs={"lc_source": SOURCE}), *out]


def _filled(message: BaseMessage) -> BaseMessage:
    empty = message.type == "human" and not _blocks_left(message)
    return message.model_copy(update={"content": EMPTY}) if empty else message


def _says_nothing(message: BaseMessage, thoughts: bool) -> bool:
    if not isinstance(message, AIMessage) or calls_of(message):
        return False
    return not _blocks_left(message if thoughts else stripped(message))


def _blocks_left(message: BaseMessage) -> bool:
    """Is there anything in a message beside blanks?"""
    content = message.content if isinstance(message.content, list) else [message.content]
    return any(says({"type": "text", "text": b} if isinstance(b, str) else b) for b in content)


def says(block: Mapping[str, Any]) -> bool:
    """Is a block more than blanks? One of text may come without any, or with None in its place."""
    return block.get("type") != "text" or bool(str(block.get("text") or "").strip())


def unanswered(messages: Sequence[BaseMessage]) -> int:
    """How many results `answered` adds."""
    return sum(len(missing(group)) for group in rounds(messages))


def repairs(messages: Sequence[BaseMessage], each: int, budget: int) -> int:
    """Tokens to set aside for the results that `answered` adds, `each` tokens for one.

    Counted from the newest message back until text and results alone would fill the budget: older turns are on pages. At
    most half of the budget, since a call that is shown takes about as much as its result.
    """
    total = text = 0
    for group in reversed(rounds(messages)):
        total += each * len(missing(group))
        text += sum(len(str(message.text)) // 4 for message in group)
        if total + text > budget:
            break
    return min(total, budget // 2)


# --------------------------------------------------------------------------------------------- a plain history


def trimmed(messages: Sequence[BaseMessage], room: int, count: Count, handle: Handle) -> tuple[list[BaseMessage], bool]:
    """(the newest rounds that fit into `room` tokens, was one of them cut?).

    The newest round is always there, and so is the message of the user that began the run; both are cut to head and
    tail where they are too long. Pairs are whole, and the list begins with a human message where there is one.
    """
    groups = [[*group, *missing(group)] for group in rounds(messages)]
    if not groups:
        return list(messages), False
    chosen = _newest(groups, room, count, handle)
    shortened = any(chosen[index] is not groups[index] for index in chosen)
    left = room - sum(count(group) for group in chosen.values())
    for index in (i for i in range(len(groups) - 1, -1, -1) if i not in chosen):
        left -= count(groups[index])
        if left < 0:
            break
        chosen[index] = groups[index]
    return [m for group in _from_human([chosen[i] for i in sorted(chosen)]) for m in group], shortened


def _newest(
    groups: Sequence[list[BaseMessage]], room: int, count: Count, handle: Handle
) -> dict[int, list[BaseMessage]]:
    """What never yields, by its place: the newest round and the message of the user that it answers."""
    newest = len(groups) - 1
    asked = next((i for i in range(newest, -1, -1) if groups[i][0].type == "human"), newest)
    chosen = {}
    if asked < newest:
        chosen[asked] = cut(groups[asked], max(room // ANCHOR_SHARE, room - count(groups[newest])), count, handle)
        room -= count(chosen[asked])
    chosen[newest] = cut(groups[newest], room, count, handle)
    return chosen


def _from_human(groups: list[list[BaseMessage]]) -> list[list[BaseMessage]]:
    """The groups from the first human message on; as they are where there is none."""
    start = next((i for i, group in enumerate(groups) if group[0].type == "human"), 0)
    return groups[start:]


def cut(group: list[BaseMessage], room: int, count: Count, handle: Handle) -> list[BaseMessage]:
    """The group with its longest texts cut to head and tail until it fits; an AI message's own words and calls stay."""
    longest = max(len(str(message.text)) for message in group)
    out = group
    while count(out) > room and longest > LEAST:
        longest = max(LEAST, longest * 3 // 4)
        out = [_shortened(message, longest, handle) for message in group]
    return out


def _shortened(message: BaseMessage, chars: int, handle: Handle) -> BaseMessage:
    if message.type not in ("human", "tool") or len(str(message.text)) <= chars:
        return message
    number = handle(message)
    content: Any = message.content
    if isinstance(content, str):
        return message.model_copy(update={"content": head_and_tail(content, chars, number)})
    return message.model_copy(update={"content": [_short_block(block, chars, number) for block in content]})


def _short_block(block: Any, chars: int, number: int | None) -> Any:
    if isinstance(block, str):
        return head_and_tail(block, chars, number)
    text = block.get("text")
    return block if not isinstance(text, str) else {**block, "text": head_and_tail(text, chars, number)}
