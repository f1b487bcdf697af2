"""An answer without its reasoning, which is bound to a prefix that is no longer there."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from optical_memory.memory.assemble import stripped
from optical_memory.messages import read

SAID = {"type": "text", "text": "Berth C7."}
HIDDEN = {"type": "redacted_thinking", "data": "EqQBCkYIBx"}
WRAPPED = {"type": "non_standard", "value": HIDDEN}  # as LangChain's standard form of an answer has it


@pytest.mark.parametrize(
    "thought", [HIDDEN, WRAPPED, {"type": "reasoning", "reasoning": "hm"}], ids=lambda b: b["type"]
)
def test_no_kind_of_reasoning_is_left_in_it(thought):
    """In the provider's own form or in LangChain's."""
    assert stripped(AIMessage([thought, SAID])).content == [SAID]


def test_hidden_reasoning_is_never_drawn():
    """Not in LangChain's form either: it would be a line of letters on the page, and it is no part of what was said."""
    assert read(AIMessage([WRAPPED, SAID])).text == "Berth C7."
    assert read(AIMessage([WRAPPED, SAID])).hash == read(AIMessage([HIDDEN, SAID])).hash


def test_what_a_provider_alone_knows_is_read_as_it_came():
    """A block that LangChain has no form for says what it holds, without the wrapping."""
    block = {"type": "document", "source": {"type": "text", "data": "Berths: C7, C8."}}
    assert read(HumanMessage([{"type": "non_standard", "value": block}])).text == "Berths: C7, C8."


SEARCHED = [
    [{"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "berths"}}],
    [{"type": "non_standard", "value": {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "x", "tools": []}}],
    [{"type": "server_tool_call", "id": "ci_1", "name": "code_interpreter", "args": {"code": "1"}},
     {"type": "server_tool_result", "tool_call_id": "ci_1", "status": "success", "output": "1"}],
]  # fmt: skip


@pytest.mark.parametrize("blocks", SEARCHED, ids=lambda blocks: blocks[0]["type"])
def test_openais_own_tools_go_with_the_reasoning_before_them(blocks):
    """The Responses API refuses an item that lacks its reasoning, and these cannot be sent without their id."""
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    answer = [*blocks, SAID | {"id": "msg_1"}]
    assert stripped(AIMessage([thought, *answer])).content == [SAID]
    assert stripped(AIMessage(answer)).content == answer, "without reasoning they stand for themselves"


def test_anthropics_own_tools_stay():
    """They are bound to nothing, and what they found is told nowhere else."""
    found = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "berths"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    ]
    assert stripped(AIMessage([{"type": "thinking", "thinking": "hm", "signature": "s"}, *found, SAID])).content == [
        *found, SAID,
    ]  # fmt: skip
