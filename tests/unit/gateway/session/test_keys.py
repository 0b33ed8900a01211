"""Keys of increments, charges and credits, against those written out."""

from gateway.session.keys import charge_key, credit_key, increment_key, session_of, without_revision


def test_an_increment_has_its_number_in_two_digits_and_a_letter_for_its_revision() -> None:
    assert increment_key("9RX2M7KQ4", 3) == "9RX2M7KQ403"
    assert increment_key("9RX2M7KQ4", 12, "B") == "9RX2M7KQ412B"
    assert without_revision("9RX2M7KQ412B") == without_revision("9RX2M7KQ412") == "9RX2M7KQ412"


def test_a_charge_and_its_credit_are_keyed_apart_from_every_increment() -> None:
    assert charge_key("9RX2M7KQ4", "A") == "9RX2M7KQ400A"
    assert credit_key("9RX2M7KQ400A") == "9RX2M7KQ4A0A"


def test_every_key_names_its_session() -> None:
    assert {session_of(key) for key in ("9RX2M7KQ4", "9RX2M7KQ403A", "9RX2M7KQ400B", "9RX2M7KQ4A0B")} == {"9RX2M7KQ4"}
