"""A vision model as a reader: it is asked to write down what it sees, and to say what it cannot read."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optical_memory.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

PROMPT = (
    "The image is a page of small text. Transcribe all of it, line by line from top to bottom, exactly as it stands: every "
    "letter, digit and sign, in the same case. Write ⟨?⟩ for each word, number or code that you cannot read with certainty. "
    "Do not guess, complete, correct or summarise anything. Answer with the transcript alone."
)


@dataclass
class Spent:
    """Tokens that the provider says were used; `calls` counts the answers, `silent` those without a figure."""

    calls: int = 0
    silent: int = 0
    input: int = 0
    output: int = 0

    def add(self, answer: AIMessage) -> None:
        """Count one answer."""
        usage = answer.usage_metadata
        self.calls += 1
        self.silent += usage is None
        if usage is not None:
            self.input += usage["input_tokens"]
            self.output += usage["output_tokens"]


def name_of(model: BaseChatModel) -> str:
    """The name of the model behind a LangChain chat model, as far as it says one."""
    for attribute in ("model_name", "model", "model_id", "deployment_name"):
        value = getattr(model, attribute, None)
        if isinstance(value, str) and value:
            return value
    return model._llm_type


@dataclass
class ChatReader:
    """Any chat model of LangChain that takes images; `spent` counts its tokens. What the provider raises passes through."""

    model: BaseChatModel
    name: str = ""
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self.name = self.name or name_of(self.model)

    def read(self, png: bytes) -> str:
        """The model's transcript of a page, in one call."""
        from langchain_core.messages import HumanMessage

        image = {"type": "image", "base64": base64.b64encode(png).decode(), "mime_type": "image/png"}
        answer = self.model.invoke([HumanMessage([image, {"type": "text", "text": PROMPT}])])
        self.spent.add(answer)
        return str(answer.text)


def chat_reader(name: str) -> ChatReader:
    """The chat model that LangChain makes of this name, such as "anthropic:claude-opus-5".

    Raises MissingExtraError without LangChain or the provider's package, ConfigError for a name that it does not know.
    """
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise MissingExtraError("langchain", "agents") from error
    try:
        return ChatReader(init_chat_model(name), name)
    except ImportError as error:
        raise MissingExtraError(f"LangChain's package for {name!r} ({error})", "agents") from error
    except Exception as error:  # each provider's package has its own errors for names and keys
        raise ConfigError(f"no chat model {name!r} ({type(error).__name__}: {error}): give provider:model, such as "
                          "anthropic:claude-opus-5, and set the provider's key") from error  # fmt: skip
