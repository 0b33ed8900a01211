"""Brokers to test against. A missing mosquitto fails the tests; it is never a reason to skip them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.harness import BrokerThread, Mosquitto


@pytest.fixture(params=["ours", "mosquitto"])
def any_port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """The port of a new broker: the simulated one, then mosquitto."""
    if request.param == "ours":
        with BrokerThread() as ours:
            yield ours.port
    else:
        with Mosquitto(tmp_path) as theirs:
            yield theirs.port


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A mosquitto with a listener and default settings."""
    with Mosquitto(tmp_path) as broker:
        yield broker
