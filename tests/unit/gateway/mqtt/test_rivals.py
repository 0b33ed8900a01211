"""A rival under our client id: what shows one, what does not, and how long to keep away."""

import pytest

from gateway.mqtt.consumer import HandlerFailed
from gateway.mqtt.rivals import FIRST_WAIT_S, LONGEST_WAIT_S, REMEMBERED_S, SHORT_IN_A_ROW, SHORT_S, Rivals
from gateway.mqtt.types import TAKEN_OVER, Disconnected, MqttDown, Unreachable

BY_BROKER = Disconnected("Unspecified error", by_broker=True)
SILENT = Disconnected("no PUBACK within 15 s")


def connect_and_lose(rivals: Rivals, error: MqttDown, lasts_s: float = 1.0, times: int = 1) -> None:
    for _ in range(times):
        rivals.ended(error, 0.0, lasts_s)


def with_a_status() -> Rivals:
    rivals = Rivals()
    rivals.publishes(b"ours")
    rivals.status_heard(b"ours", 0.0)
    return rivals


def test_the_broker_that_says_so_is_believed() -> None:
    rivals = Rivals()
    connect_and_lose(rivals, Disconnected("Session taken over", TAKEN_OVER, by_broker=True))
    assert rivals.present(1.0)
    assert rivals.wait_s(0.0) == FIRST_WAIT_S


def test_a_status_that_is_not_ours_shows_a_rival_once_ours_was_there() -> None:
    rivals = Rivals()
    rivals.publishes(b"will 1")
    rivals.publishes(b"birth 1")
    for status in (b"of the process before", b"birth 1", b"will 1", b""):
        rivals.status_heard(status, 0.0)
        assert not rivals.present(0.0), status
    rivals.status_heard(b"birth of another box", 0.0)
    assert rivals.present(0.0)


def test_a_status_that_is_not_ours_shows_a_rival_on_every_later_connection() -> None:
    rivals = Rivals()
    rivals.publishes(b"birth 1")
    connect_and_lose(rivals, BY_BROKER)
    rivals.status_heard(b"birth of another box", 1.0)
    assert rivals.present(1.0)


def test_connections_that_the_broker_ends_soon_raise_the_alarm_and_change_no_wait() -> None:
    rivals = Rivals()
    connect_and_lose(rivals, BY_BROKER, times=SHORT_IN_A_ROW - 1)
    assert not rivals.present(1.0)
    connect_and_lose(rivals, BY_BROKER)
    assert rivals.present(1.0)
    assert rivals.wait_s(0.9) == 0.0


@pytest.mark.parametrize("error", [SILENT, HandlerFailed("a defect of ours")])
def test_what_we_end_ourselves_shows_nobody(error: MqttDown) -> None:
    rivals = Rivals()
    connect_and_lose(rivals, error, times=10)
    assert not rivals.present(1.0)


def test_a_broker_that_restarts_or_a_connection_that_lasts_begins_the_count_anew() -> None:
    rivals = Rivals()
    for _ in range(5):
        connect_and_lose(rivals, BY_BROKER, times=SHORT_IN_A_ROW - 1)
        rivals.ended(Unreachable("connection refused"), None, 1.0)
        connect_and_lose(rivals, BY_BROKER, times=SHORT_IN_A_ROW - 1)
        connect_and_lose(rivals, BY_BROKER, lasts_s=SHORT_S)
    assert not rivals.present(SHORT_S)


def test_each_proof_doubles_the_wait_and_quiet_ends_that() -> None:
    rivals = with_a_status()
    waits: list[float] = []
    for number in range(7):
        rivals.status_heard(f"birth {number} of another box".encode(), 0.0)
        waits.append(rivals.wait_s(0.0))
        assert rivals.wait_s(0.0) == 0.0, "an attempt that fails afterwards proves nothing"
    assert waits == [FIRST_WAIT_S * factor for factor in (1, 2, 4, 8, 16)] + [LONGEST_WAIT_S] * 2
    assert LONGEST_WAIT_S * 2 < REMEMBERED_S, "the alarm stands while both wait"
    assert not rivals.present(REMEMBERED_S)
    rivals.status_heard(b"another one", REMEMBERED_S)
    assert rivals.wait_s(0.5) == FIRST_WAIT_S * 1.5
