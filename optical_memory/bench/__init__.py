"""What we claim, made again by a command.

recall     what our context keeps of a transcript, in the form of a recall benchmark
simulate   what a conversation costs, call by call, in our way and in others
command    the same for the command line: stored or made conversations in, plain values out
plot       a simulation as a picture
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optical_memory.bench.recall import build, build_asked, build_words, build_words_asked

__all__ = ["build", "build_asked", "build_words", "build_words_asked"]


def __getattr__(name: str) -> Any:
    """The builders load when they are asked for: the command line's --help comes by here too."""
    if name not in __all__:
        raise AttributeError(f"module 'optical_memory.bench' has no attribute {name!r}")
    import optical_memory.bench.recall as recall

    return getattr(recall, name)
