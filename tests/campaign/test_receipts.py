"""The judge of receipts sees a gateway that says of a charge what it was not told, or sends what nobody asked for."""

from collections.abc import Callable

import pytest

from gateway.messages.notation import Notation
from tests.campaign.broker import Broker
from tests.campaign.bus import Json
from tests.campaign.plan import HOUR, Rule
from tests.campaign.receipts import Receipt, Receipts, Verdict

KEY = "9RX2M7KQ400A"
TOPIC = "capgate/v1/clinic/ehr/gw-01/charge/json"
ACCEPTED, REJECTED = Receipt("1", Verdict.ACCEPTED), Receipt("2", Verdict.REJECTED, "204")


class Desk:
    """An engine to which one charge has come, with clocks that are set by hand."""

    def __init__(self) -> None:
        self.now_us, self.loop_s = 0, 0.0
        self.complaints: list[str] = []
        self.broker = Broker(lambda: self.now_us, _ignore)
        self.receipts = Receipts(
            1,
            Notation.JSON,
            self.broker,
            _never,
            lambda: self.now_us,
            lambda: self.loop_s,
            lambda rule, text: self.complaints.append(f"{rule}: {text}"),
        )
        self.receipts.arrived(TOPIC, KEY)

    def tell(self, *receipts: Receipt) -> None:
        for receipt in receipts:
            self.receipts.messages[KEY].tell(receipt)

    def check(self, state: str, code: str = "") -> list[str]:
        """What is wrong if the gateway lists the charge in that state; "": it does not list it."""
        counts = {"pending": 0, "unproven": 0, "rejected": 0, **({state: 1} if state else {})}
        listed: list[Json] = [{"state": state, "count": 1, "messages": [{"key": KEY, "code": code}]}] if state else []
        return list(self.receipts.check({"states": listed}, {"outbox": counts}, {}))


def _ignore(topic: str, payload: bytes) -> None:
    pass


def _never(at_us: int, happening: Callable[[], None]) -> None:
    pass


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize(
    ("told", "state"),
    [((), "pending"), ((ACCEPTED,), ""), ((REJECTED,), "rejected"), ((REJECTED, ACCEPTED), "")],
)
def test_the_last_receipt_decides(told: tuple[Receipt, ...], state: str, *, wrong: bool) -> None:
    for listed in ({"pending", "rejected", ""} - {state}) if wrong else {state}:
        desk = Desk()
        desk.tell(*told)
        assert bool(desk.check(listed, "204")) is wrong


def test_a_message_that_was_never_sent_is_seen() -> None:
    desk = Desk()
    desk.receipts.messages.clear()
    assert desk.check("pending") == [f"message {KEY} is listed as pending, and was never sent"]


def test_an_order_of_which_nobody_heard_may_be_recorded_or_not() -> None:
    desk = Desk()
    desk.tell(REJECTED)
    desk.receipts.ordered({"key": KEY}, desk.now_us, known=False)
    assert desk.check("pending") == []
    assert desk.check("rejected", "204") != []


def test_what_was_ordered_again_is_sent_in_time() -> None:
    desk = Desk()
    desk.broker.connected_since_us = 0
    desk.tell(REJECTED)
    desk.now_us += HOUR
    desk.receipts.ordered({"key": KEY}, desk.now_us, known=True)
    assert desk.check("pending") == []
    desk.now_us += 3 * HOUR
    assert desk.check("pending") == [f"charge {KEY} was ordered again, and was not sent since"]


def test_a_charge_that_was_acknowledged_is_not_sent_again() -> None:
    desk = Desk()
    desk.tell(ACCEPTED)
    desk.loop_s = 100.0
    desk.receipts.arrived(TOPIC, KEY)
    assert desk.complaints == [f"{Rule.RECEIPTS}: charge {KEY} was acknowledged, and is sent again unasked"]


def test_a_charge_whose_copy_the_broker_did_not_answer_may_be_sent_again() -> None:
    desk = Desk()
    desk.broker.lose_pubacks = True
    desk.receipts.arrived(TOPIC, KEY)
    desk.tell(ACCEPTED)
    desk.loop_s = 100.0
    desk.broker.ended_s_by_number[desk.broker.connections] = 50.0
    desk.receipts.arrived(TOPIC, KEY)
    assert desk.complaints == []


def test_what_was_sent_before_the_order_was_answered_is_sent() -> None:
    desk = Desk()
    desk.broker.connected_since_us = 0
    desk.tell(REJECTED)
    desk.receipts.ordered({"key": KEY}, desk.receipts.messages[KEY].arrived_us, known=True)
    desk.now_us += 3 * HOUR
    assert "and was not sent since" not in " ".join(desk.check("pending"))
