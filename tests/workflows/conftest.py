"""How the properties are tried, and the walk through everything that can become of a case."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.workflows.walk import Reached, explore

# No deadline for one example: a busy machine is no bug. No database of examples: a test run leaves nothing behind.
settings.register_profile("workflows", deadline=None, database=None)
settings.load_profile("workflows")


@pytest.fixture(scope="session")
def reached() -> Reached:
    """Every situation that can be reached from the opening of a case, with the steps that lead on from it."""
    return explore()
