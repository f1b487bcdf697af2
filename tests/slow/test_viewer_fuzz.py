"""The viewer's addresses, asked for at random: an answer in words every time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.web.conftest import shared, template
from tests.web.test_hostile import FUZZ, assert_answered

pytestmark = pytest.mark.slow

__all__ = ["shared", "template"]


@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(*FUZZ)
def test_no_address_is_a_failure_over_many(shared, start, rest, query, pane):
    """As in the fast tests, over many more."""
    assert_answered(shared, f"{start}/{rest}" if rest else start or "/", query, pane)
