"""I3 in full: over a thousand random threads the viewer's model view is the context that the agent sends."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.test_same import MODELS, assert_same, place, threads

pytestmark = pytest.mark.slow

__all__ = ["place"]


@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False)
@given(threads, st.sampled_from(MODELS), st.integers(300, 6_000), st.integers(1, 5))
def test_a_thousand_threads_are_shown_as_they_are_sent(place, thread, model, budget, steps):
    """Messages, images and tokens are equal, letter for letter and byte for byte."""
    file, numbers = place
    assert_same(file, f"t{next(numbers)}", thread, model, budget, steps)
