"""Which readings of identifiers are recorded: the first of a person, a session and a kind in a quarter of an hour."""

from gateway.ledger.access import Access, Looked
from gateway.recording.accesses import QUARTER_US, Accesses

FIRST = Access(100 * QUARTER_US, "page:m.curie", "nurse", Looked.SESSION, ("9RX2M7KQ4",))


def later(seconds: float, **changed: object) -> Access:
    fields = {"at_us": FIRST.at_us + round(seconds * 1e6), "login": FIRST.login, "role": FIRST.role}
    fields |= {"looked": FIRST.looked, "sessions": FIRST.sessions, **changed}
    return Access(**fields)  # pyright: ignore[reportArgumentType]


def test_a_screen_that_stays_open_is_recorded_once_in_a_quarter_of_an_hour() -> None:
    accesses = Accesses()
    recorded = [accesses.new(later(5 * turn)) for turn in range(2 * 180)]
    assert [each.at_us for each in recorded if each] == [FIRST.at_us, FIRST.at_us + QUARTER_US]


def test_another_person_session_or_kind_is_another_reading() -> None:
    accesses = Accesses()
    assert accesses.new(FIRST) == FIRST
    for changed in ({"login": "page:p.roe"}, {"sessions": ("AAAAAAAAA",)}, {"looked": Looked.RECORD}):
        assert accesses.new(later(60, **changed)) == later(60, **changed)
        assert accesses.new(later(90, **changed)) is None


def test_of_a_list_only_those_sessions_that_are_new_to_the_reader() -> None:
    accesses = Accesses()
    accesses.new(later(0, looked=Looked.LIST, sessions=("AAAAAAAAA", "BBBBBBBBB")))
    found = accesses.new(later(60, looked=Looked.LIST, sessions=("BBBBBBBBB", "CCCCCCCCC")))
    assert found is not None
    assert found.sessions == ("CCCCCCCCC",)


def test_what_shows_nobody_is_no_reading() -> None:
    assert Accesses().new(later(0, sessions=())) is None
