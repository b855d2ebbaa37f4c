"""Gives each spec test the section's own `decide`, and nothing else: no database, no clock."""

import pytest

from tests.spec.book import Spec


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> Spec:
    return Spec(request.module.decide)
