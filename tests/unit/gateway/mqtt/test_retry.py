"""What is sent next, and what an answer means: windows, refusals, back-off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.batch import UNPROVEN, OutboxRow
from gateway.monitoring.alarms import UNSENT_S
from gateway.mqtt.retry import LET_GO_S, LONGEST_RETRY_S, Delivery, NextStep, backoff_s

YEAR_S = 365 * 86_400.0


class _All:
    """Every topic."""

    def __contains__(self, topic: object) -> bool:
        return True


ALL = _All()


def row(outbox_id: int, topic: str = "t") -> OutboxRow:
    return OutboxRow(outbox_id, f"e{outbox_id}", topic, b"", False, "")


def sent(delivery: Delivery) -> list[int]:
    """Everything the window lets out now."""
    ids: list[int] = []
    while (following := delivery.next()) is not None:
        ids.append(following.outbox_id)
    return ids


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (0, NextStep.TAKEN),
        (UNPROVEN, NextStep.TAKEN),
        (0x10, NextStep.NO_SUBSCRIBER),
        (0x80, NextStep.REFUSED),
        (0x87, NextStep.REFUSED),
        (0x99, NextStep.REFUSED),
    ],
)
def test_a_reason_code_has_one_meaning(reason: int, verdict: NextStep) -> None:
    delivery = Delivery(ALL)
    delivery.offer([row(1)])
    assert sent(delivery) == [1]
    assert delivery.settle(row(1), reason, 0.0, 0.5) is verdict


def test_a_retained_row_needs_nobody_who_listens() -> None:
    kept = OutboxRow(1, "e1", "t", b"", True, "")
    delivery = Delivery(ALL)
    delivery.offer([kept])
    assert sent(delivery) == [1]
    assert delivery.settle(kept, 0x10, 0.0, 0.5) is NextStep.TAKEN


def test_what_must_arrive_waits_for_a_subscriber_however_long() -> None:
    delivery = Delivery({"t"})
    delivery.offer([row(1), row(2, "other")])
    assert sent(delivery) == [1, 2]
    assert delivery.settle(row(1), 0x10, 0.0, 0.5) is NextStep.NO_SUBSCRIBER
    assert delivery.settle(row(2, "other"), 0, 0.0, 0.5) is NextStep.TAKEN
    for now_s in (LET_GO_S + LONGEST_RETRY_S, YEAR_S):
        assert delivery.held_topics == {"t": 0x10}
        assert delivery.due(now_s) == 1
        delivery.probe(1, row(1))
        assert sent(delivery) == [1]
        assert delivery.settle(row(1), 0x10, now_s, 0.5) is NextStep.NO_SUBSCRIBER


def test_what_need_not_arrive_is_tried_again_for_a_while_let_go_and_never_shown() -> None:
    delivery = Delivery({"charges"})
    delivery.offer([row(1)])
    assert sent(delivery) == [1]
    assert delivery.settle(row(1), 0x10, 0.0, 0.5) is NextStep.NO_SUBSCRIBER
    for now_s, verdict in ((LET_GO_S - 1, NextStep.NO_SUBSCRIBER), (LET_GO_S + LONGEST_RETRY_S, NextStep.TAKEN)):
        assert delivery.held_topics == {}
        assert delivery.due(now_s) == 1
        delivery.probe(1, row(1))
        assert sent(delivery) == [1]
        assert delivery.settle(row(1), 0x10, now_s, 0.5) is verdict
    delivery.offer([row(3)])
    assert sent(delivery) == [3]
    assert delivery.settle(row(3), 0x10, 2 * LET_GO_S, 0.5) is NextStep.TAKEN, "nobody wants this topic"
    delivery.offer([row(4), row(5)])
    assert sent(delivery) == [4, 5]
    delivery.settle(row(4), 0, 3 * LET_GO_S, 0.5)
    assert delivery.settle(row(5), 0x10, 3 * LET_GO_S, 0.5) is NextStep.NO_SUBSCRIBER, "somebody wanted it a moment ago"


def test_a_refusal_is_shown_of_every_topic() -> None:
    delivery = Delivery({"charges"})
    delivery.offer([row(1)])
    assert sent(delivery) == [1]
    delivery.settle(row(1), 0x87, 0.0, 0.5)
    assert delivery.held_topics == {"t": 0x87}


def test_what_need_not_arrive_is_let_go_before_a_backlog_is_an_alarm() -> None:
    assert LET_GO_S + LONGEST_RETRY_S < UNSENT_S


def test_what_was_taken_is_not_sent_again_before_the_outbox_knows() -> None:
    delivery = Delivery(ALL)
    delivery.offer([row(1, "denied"), row(2)])
    assert sent(delivery) == [1, 2]
    delivery.settle(row(1, "denied"), 0x87, 0.0, 0.0)
    delivery.settle(row(2), 0, 0.0, 0.0)
    delivery.due(0.0)
    delivery.probe(1, row(1, "denied"))
    sent(delivery)
    delivery.settle(row(1, "denied"), 0, 0.0, 0.0)
    assert delivery.cursor == 0
    delivery.offer([row(1, "denied"), row(2)])
    assert sent(delivery) == []
    delivery.marked(1)
    delivery.marked(2)
    delivery.offer([row(3)])
    assert sent(delivery) == [3]


def test_no_more_than_the_window_is_in_flight() -> None:
    delivery = Delivery(ALL, window=2)
    delivery.offer([row(1), row(2), row(3)])
    assert sent(delivery) == [1, 2]
    delivery.settle(row(2), 0, 0.0, 0.5)
    assert sent(delivery) == [3]
    assert delivery.cursor == 3


def test_a_refused_topic_holds_back_its_own_rows_and_no_others() -> None:
    delivery = Delivery(ALL, window=1)
    delivery.offer([row(1, "denied"), row(2, "open"), row(3, "denied"), row(4, "open")])
    assert sent(delivery) == [1]
    delivery.settle(row(1, "denied"), 0x87, 0.0, 0.5)
    assert delivery.held_topics == {"denied": 0x87}
    assert sent(delivery) == [2]
    delivery.settle(row(2, "open"), 0, 0.0, 0.5)
    assert sent(delivery) == [4]


def test_a_refused_topic_is_tried_once_each_back_off_and_flows_in_order_when_it_is_allowed() -> None:
    delivery = Delivery(ALL, window=20)
    rows = [row(number, "denied") for number in range(1, 6)]
    delivery.offer(rows[:2])
    assert sent(delivery) == [1, 2]
    delivery.settle(rows[0], 0x87, 0.0, 0.5)
    delivery.settle(rows[1], 0x87, 0.0, 0.5)
    delivery.offer(rows[2:])
    assert sent(delivery) == []
    assert delivery.wake_s() == 0.5
    assert delivery.due(0.4) is None
    assert delivery.due(0.5) == 1
    assert delivery.due(0.5) is None, "one probe at a time"
    delivery.probe(1, rows[0])
    assert sent(delivery) == [1]
    delivery.settle(rows[0], 0x87, 0.5, 0.5)
    assert delivery.wake_s() == 0.5 + 1.0, "the second failure waits twice as long"
    assert delivery.due(1.5) == 1
    delivery.probe(1, rows[0])
    assert sent(delivery) == [1]
    delivery.settle(rows[0], 0, 1.5, 0.5)
    assert delivery.held_topics == {}
    assert delivery.cursor == 0, "reading starts over at the oldest held row"
    delivery.offer(rows[1:])  # the first no longer waits
    assert sent(delivery) == [2, 3, 4, 5]


def test_refused_content_holds_back_that_row_alone() -> None:
    delivery = Delivery(ALL, window=1)
    delivery.offer([row(1), row(2)])
    assert sent(delivery) == [1]
    delivery.settle(row(1), 0x99, 0.0, 0.0)
    assert sent(delivery) == [2]
    assert delivery.held_topics == {}
    delivery.settle(row(2), 0, 0.0, 0.0)
    assert delivery.due(0.0) == 1
    delivery.probe(1, row(1))
    assert sent(delivery) == [1]


def test_a_probe_whose_refusal_changes_its_cause_is_still_tried_again() -> None:
    delivery = Delivery(ALL)
    delivery.offer([row(1)])
    sent(delivery)
    delivery.settle(row(1), 0x87, 0.0, 0.0)
    for reason in (0x99, 0x87, 0x80, 0x97):
        assert delivery.due(1e9) == 1
        delivery.probe(1, row(1))
        assert sent(delivery) == [1]
        delivery.settle(row(1), reason, 0.0, 0.0)
        assert delivery.wake_s() is not None
        delivery.offer([row(1)])
        assert sent(delivery) == []


def test_a_held_row_that_no_longer_waits_frees_the_ones_behind_it() -> None:
    delivery = Delivery(ALL)
    delivery.offer([row(1)])
    sent(delivery)
    delivery.settle(row(1), 0x87, 0.0, 0.0)
    delivery.offer([row(2)])
    assert delivery.due(1.0) == 1
    delivery.probe(1, None)
    assert delivery.held_topics == {}
    delivery.offer([row(2)])
    assert sent(delivery) == [2]


def test_a_row_in_flight_is_not_sent_twice_when_reading_starts_over() -> None:
    delivery = Delivery(ALL)
    delivery.offer([row(1, "denied"), row(2, "open")])
    assert sent(delivery) == [1, 2]
    delivery.settle(row(1, "denied"), 0x87, 0.0, 0.0)
    assert delivery.due(1.0) == 1
    delivery.probe(1, row(1, "denied"))
    assert sent(delivery) == [1]
    delivery.settle(row(1, "denied"), 0, 1.0, 0.0)
    delivery.offer([row(2, "open"), row(3, "open")])
    assert sent(delivery) == [3]


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_back_off_is_within_its_bounds(failures: int, chance: float) -> None:
    assert 0 <= backoff_s(failures, chance, 0.2, 60.0) <= 60.0


def test_back_off_doubles_up_to_its_limit() -> None:
    longest = [backoff_s(failures, 1.0, 0.2, 60.0) for failures in range(1, 12)]
    assert longest == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60])


@given(
    topics=st.lists(st.sampled_from("abc"), min_size=1, max_size=30),
    answers=st.lists(st.sampled_from([0, 0x10, 0x80, 0x87, 0x97, 0x99]), max_size=40),
    window=st.integers(1, 5),
    page=st.integers(1, 7),
)
def test_whatever_is_refused_everything_is_taken_exactly_once_in_the_end(
    topics: list[str], answers: list[int], window: int, page: int
) -> None:
    waiting = {number: row(number, topic) for number, topic in enumerate(topics, 1)}
    delivery = Delivery(ALL, window)
    flying: list[OutboxRow] = []
    taken: list[int] = []
    now_s = 0.0
    for _ in range(2_000):
        if not waiting:
            break
        while (outbox_id := delivery.due(now_s)) is not None:
            delivery.probe(outbox_id, waiting.get(outbox_id))
        if delivery.has_room:
            delivery.offer([item for item in waiting.values() if item.outbox_id > delivery.cursor][:page])
        while (following := delivery.next()) is not None:
            flying.append(following)
        assert len(flying) <= window
        if flying:
            item = flying.pop(0)
            if delivery.settle(item, answers.pop(0) if answers else 0, now_s, 0.9) is NextStep.TAKEN:
                taken.append(item.outbox_id)
        elif len(taken) > len(topics) - len(waiting):
            for number in taken:
                delivery.marked(number)
            waiting = {number: item for number, item in waiting.items() if number not in taken}
        else:
            now_s += LONGEST_RETRY_S
    assert sorted(taken) == list(range(1, len(topics) + 1))
