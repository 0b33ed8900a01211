"""What the delivery screen is told of the outbox: what needs a person first, and nothing that may name a patient."""

import msgspec

from gateway.control.delivery import SHOWN, delivery_answer
from gateway.ledger.deliveries import Deliveries, Proof, Unsettled

TOPIC = "capgate/v1/north/ehr/gw-01/charge/json"
WORDS = "visit V-1 is not open"


def message(key: str, proof: Proof, sends: int = 1, code: str = "") -> Unsettled:
    return Unsettled(key, TOPIC, proof, 1_000_000, sends, 2_000_000 if sends else 0, code, WORDS)


def test_rejected_messages_come_first_and_states_without_any_are_left_out() -> None:
    messages = {state: [message(state, state)] for state in SHOWN} | {Proof.STORED: []}
    answer = delivery_answer(Deliveries(pending=7, unproven=1, rejected=1), messages)
    assert [(each.state, each.count, len(each.messages)) for each in answer.states] == [
        (Proof.REJECTED, 1, 1),
        (Proof.PENDING, 7, 1),
        (Proof.UNPROVEN, 1, 1),
    ]


def test_a_message_says_its_code_while_it_stands_rejected_and_never_the_engines_words() -> None:
    messages = {
        Proof.REJECTED: [message("A", Proof.REJECTED, code="204")],
        Proof.PENDING: [message("B", Proof.PENDING, code="204")],
        Proof.STORED: [],
        Proof.UNPROVEN: [],
    }
    answer = delivery_answer(Deliveries(pending=1, rejected=1), messages)
    assert [each.code for state in answer.states for each in state.messages] == ["204", ""]
    assert WORDS not in msgspec.json.encode(answer).decode()


def test_what_was_never_sent_has_no_time_of_sending() -> None:
    messages = {state: [message("A", Proof.PENDING, sends=0)] if state is Proof.PENDING else [] for state in SHOWN}
    ((shown,),) = (each.messages for each in delivery_answer(Deliveries(pending=1), messages).states)
    assert (shown.since, shown.sent_at) == ("1970-01-01T00:00:01.000Z", None)
