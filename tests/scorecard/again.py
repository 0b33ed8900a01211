"""A pytest plugin for the scorecard: each test runs CAPGATE_REPEATS times, every time with fresh fixtures."""

import os

import pytest


@pytest.fixture
def again(request: pytest.FixtureRequest) -> None:
    """Only there to be a parameter."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once more for each repeat."""
    metafunc.fixturenames.append("again")
    metafunc.parametrize("again", range(int(os.environ["CAPGATE_REPEATS"])), indirect=True)
