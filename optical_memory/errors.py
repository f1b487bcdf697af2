"""Everything that optical_memory raises on purpose. Each message names the thing, the value and what to do next.

OpticalMemoryError
  ConfigError (ValueError)          a setting or argument that cannot be used
  TranscriptError (ValueError)      messages that cannot be remembered: a malformed line, a tool result without its call
  BudgetError                       what must be shown is larger than the budget
  RenderError                       a page that cannot be drawn
  MissingExtraError (ImportError)   an optional dependency that is not installed
  StoreError                        the database
    ThreadNotFoundError (LookupError)
    SchemaError                     the database is older or newer than this version
    HashMismatchError               stored bytes that are not those that were written
    LockedError                     another process holds the database
    ReadOnlyError                   the file or its folder cannot be written
    DiskFullError                   no space left for a write
"""

from __future__ import annotations


class OpticalMemoryError(Exception):
    """Base of all errors of this package."""


class ConfigError(OpticalMemoryError, ValueError):
    """A setting or argument that cannot be used."""


class TranscriptError(OpticalMemoryError, ValueError):
    """Messages that cannot be remembered; nothing of them was stored."""

    def __init__(self, reason: str, *, file: str | None = None, line: int | None = None) -> None:
        self.reason, self.file, self.line = reason, file, line
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(where + reason)


class BudgetError(OpticalMemoryError):
    """The newest user message and the newest tool round do not fit into the budget (all three in tokens)."""

    def __init__(self, needed: int, reserved: int, budget: int) -> None:
        self.needed, self.reserved, self.budget = needed, reserved, budget
        super().__init__(
            f"the newest message and tool round need {needed} tokens and {reserved} are reserved beside the memory, "
            f"but the budget is {budget}: pass budget={needed + reserved} or more, shorten the message or tool "
            f"result, or lower reserved="
        )


class RenderError(OpticalMemoryError):
    """A page that cannot be drawn."""


class MissingExtraError(OpticalMemoryError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        self.what, self.extra = what, extra
        super().__init__(f'{what} is not installed: pip install "optical-memory[{extra}]"')


class StoreError(OpticalMemoryError):
    """The database could not do what was asked; nothing was half-written."""


class ThreadNotFoundError(StoreError, LookupError):
    """No thread of this name is stored."""

    def __init__(self, thread: str, near: tuple[str, ...] = ()) -> None:
        self.thread, self.near = thread, near
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
        super().__init__(f"no thread {thread!r} is stored{hint} List them with: optical-memory threads")


class SchemaError(StoreError):
    """The database's schema is not the one that this version works with."""

    def __init__(self, current: str | None, head: str, command: str) -> None:
        self.current, self.head, self.command = current, head, command
        super().__init__(f"the database is at schema {current!r} and this version needs {head!r}: run `{command}`")


class HashMismatchError(StoreError):
    """Stored bytes are not those that were written."""


class LockedError(StoreError):
    """Another process holds the database for longer than the lock timeout."""


class ReadOnlyError(StoreError):
    """The database or its folder cannot be written."""


class DiskFullError(StoreError):
    """There is no space left for a write."""
