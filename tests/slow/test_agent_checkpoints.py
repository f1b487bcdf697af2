"""What the memory adds to a checkpointer's database over a hundred turns."""

from __future__ import annotations

import pytest

from optical_memory.langchain import OpticalMemoryAtEndMiddleware, OpticalMemoryMiddleware
from tests.langchain.conftest import make  # noqa: F401
from tests.langchain.test_endings import Plain, checkpointed


@pytest.mark.slow
def test_a_hundred_turns_take_no_more_than_a_tenth_more(make, tmp_path):  # noqa: F811
    """The middleware within 1.1x of the same agent without it; the variant with a hook at the end costs a checkpoint."""
    plain = checkpointed(tmp_path / "plain.db", Plain(), 100)
    ours = checkpointed(tmp_path / "ours.db", OpticalMemoryMiddleware(make("a.db")), 100)
    at_end = checkpointed(tmp_path / "end.db", OpticalMemoryAtEndMiddleware(make("b.db")), 100)
    print(f"{plain:,} bytes plain, {ours / plain:.3f}x with the memory, {at_end / plain:.3f}x at the end")
    assert ours <= 1.1 * plain
