"""What reads a page back: one protocol for OCR engines and vision models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from optical_memory.cost import Profile, profile
from optical_memory.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@runtime_checkable
class Reader(Protocol):
    """Whatever turns a page back into text. `name` is what its costs and its profile are found by."""

    @property
    def name(self) -> str:
        """Such as "ocr:tesseract" or "anthropic:claude-opus-5"."""
        ...

    def read(self, png: bytes) -> str:
        """All that it reads on the page; ⟨?⟩ stands for what it says it cannot read."""
        ...


def reader(
    model: str | BaseChatModel, *, of: Profile | None = None, lines: bool = False, cache: Path | str | None = None
) -> Reader:
    """The reader of this name: "ocr:tesseract", "ocr:rapidocr", or any chat model of LangChain, by name or itself.

    `of` is the profile whose served size an OCR engine reads at (its own by default). It is handed whole pages, and with
    `lines` each line by itself, since it loses more lines than letters of small type, which a vision model does not; then
    `cache` is an SQLite file in which it keeps what it has read. Raises ConfigError for a name without a reader,
    MissingExtraError for a package that is not installed.
    """
    if not isinstance(model, str):
        from optical_memory.readers.chat import ChatReader

        return ChatReader(model)
    kind, _, engine = model.partition(":")
    if kind == "ocr":
        return _ocr(engine, of or profile(model), lines, Path(cache) if cache else None)
    from optical_memory.readers.chat import chat_reader

    return chat_reader(model)


def _ocr(engine: str, of: Profile, lines: bool, cache: Path | None) -> Reader:
    from optical_memory.readers.ocr import ENGINES, PAGE_ENGINES, OcrReader, PageReader

    if engine not in ENGINES:
        raise ConfigError(f"no OCR engine {engine!r}: use " + " or ".join(f"'ocr:{name}'" for name in ENGINES))
    if lines:
        return OcrReader(f"ocr:{engine}", ENGINES[engine](), of.served, cache)
    return PageReader(f"ocr:{engine}", PAGE_ENGINES[engine](), of.served)
