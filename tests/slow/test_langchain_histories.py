"""Ten thousand random histories of agents: every projection is a request that its provider takes.

OPTICAL_MEMORY_SEED=N takes other histories than the usual ones.
"""

# ruff: noqa: F811

from __future__ import annotations

import os

import pytest

from tests.langchain.test_histories import PROVIDERS, doors, projected  # noqa: F401

TALKS = 950  # for each provider, with 2.75 histories in the mean


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROVIDERS)
def test_ten_thousand_histories_are_requests_that_providers_take(doors, name):
    """Over 2,500 histories for each of the four forms: valid, within the budget, the same in asyncio."""
    chosen = os.environ.get("OPTICAL_MEMORY_SEED")
    found = projected(doors[name], name, TALKS, int(chosen) if chosen else None)
    print(f"{name}: {found:,} histories")
    assert found >= 2_500
