"""A unit that another gateway reads too: which sessions it holds, and what was charged before anybody saw it."""

import itertools

import pytest

from gateway.session.charges import charged_units
from gateway.session.facts import AnyFact, CapRef, SharedBy, UnitShared, UnitSharingEnded
from gateway.session.flags import HeldReason
from gateway.session.sharing import LONGEST_AGO_US, RESTATED_US, Sharer, active_shares, shared_spans, sharing_facts
from gateway.session.spans import FOREVER
from tests.unit.gateway.session.live_tracker import Live, Memory
from tests.unit.gateway.session.release_session import APPROVED, TOKEN, ReleaseSession, prepared, signed
from tests.unit.gateway.session.session_timelines import A1, B1, at, day, ended, start, stop, times

OTHER = Sharer(A1.device, "gw-02", "cap-07")


def shared(t: str, rx: str | None = None, cap: CapRef = A1, gateway: str = "gw-02") -> AnyFact:
    return UnitShared(**times(t, rx), device=cap.device, gateway=gateway, unit="cap-07", by=SharedBy.SERIAL_NUMBER)


def parted(t: str, rx: str | None = None, gateway: str = "gw-02") -> AnyFact:
    return UnitSharingEnded(**times(t, rx), device=A1.device, gateway=gateway, unit="cap-07")


def held(*more: AnyFact) -> bool:
    """Whether the session of 9:00 to 12:30 is held for it."""
    live = Live(APPROVED, Memory.FORGETS)
    live.play(day(prepared("08:50"), *more))
    live.observe_until(at("13:30"))
    published = live.records[TOKEN].published
    assert published is not None
    return HeldReason.UNIT_SHARED in published.held


class TestWhichSessionsAreHeld:
    @pytest.mark.parametrize(
        "facts",
        [
            [shared("09:30")],
            [shared("07:00")],
            [shared("07:00", "13:00")],
            [shared("12:29", "13:00")],
            [shared("07:00"), parted("09:10")],
            [shared("07:00"), parted("07:10"), shared("11:00")],
            [shared("07:00"), shared("07:00", gateway="gw-03"), parted("07:30")],
        ],
    )
    def test_those_that_cooled_meanwhile(self, facts: list[AnyFact]) -> None:
        assert held(*facts)

    @pytest.mark.parametrize(
        "facts",
        [
            [],
            [shared("07:00"), parted("08:00")],
            [shared("12:31")],
            [shared("09:30", cap=B1)],
            [shared("07:00"), parted("08:30", "09:20")],
        ],
    )
    def test_no_others(self, facts: list[AnyFact]) -> None:
        assert not held(*facts)

    def test_a_unit_that_was_left_before_holds_nothing(self) -> None:
        """The patient went on at another unit; then the first one was wired to another gateway too."""
        live = Live(APPROVED, Memory.FORGETS)
        swapped = [start("09:00"), stop("10:00"), start("10:05", B1), stop("12:30", B1)]
        live.play([prepared("08:50"), *swapped, ended("A", "11:00"), shared("11:10")])
        live.observe_until(at("13:30"))
        published = live.records[TOKEN].published
        assert published is not None
        assert HeldReason.UNIT_SHARED not in published.held

    def test_a_patient_is_held_on_the_fifth_day_of_it(self) -> None:
        later = [
            UnitShared(at_us=us, known_at_us=us, device=A1.device, gateway="gw-02", unit="cap-07", by=SharedBy.LINE)
            for us in range(at("-100:00"), at("13:00"), RESTATED_US)
        ]
        assert held(*later)

    def test_what_began_two_days_ago_holds_the_sessions_since(self) -> None:
        found_us = at("53:00")
        assert held(*sharing_facts(OTHER, SharedBy.LINE, at("06:00"), found_us))
        assert held(*sharing_facts(OTHER, SharedBy.LINE, at("-200:00"), found_us))


class TestWhatWasChargedBefore:
    @pytest.mark.parametrize("memory", [Memory.KEEPS, Memory.RESTARTS])
    def test_a_person_decides_about_it(self, memory: Memory) -> None:
        live = Live(APPROVED, memory)
        live.play(day(prepared("08:50"), signed("12:40")))
        live.observe_until(at("14:00"))
        record = live.records[TOKEN]
        assert (charged_units(record.charged), record.done) == (3, True)
        live.learn([shared("10:00", "14:00")], at("14:00"))
        record = live.records[TOKEN]
        assert record.published is not None
        assert [(each.charged, each.counted) for each in record.published.corrections] == [(3, 0)]
        assert (charged_units(record.charged), record.done) == (3, False)

    def test_nothing_is_charged_while_it_is_held(self) -> None:
        session = ReleaseSession(APPROVED, shared("10:00"))
        session.learn(signed("12:40"))
        assert (session.state, session.charges) == ("held: unit_shared", [])


class TestFacts:
    def test_it_is_recorded_in_steps_that_a_session_between_them_sees(self) -> None:
        now_us = at("60:00")
        for since_us in (now_us, now_us + 5, at("59:00"), at("20:00"), at("-500:00")):
            found = [fact.at_us for fact in sharing_facts(OTHER, SharedBy.CHAIR, since_us, now_us)]
            assert found[0] == max(min(since_us, now_us), now_us - LONGEST_AGO_US)
            assert found[-1] == now_us
            assert all(later - earlier <= RESTATED_US for earlier, later in itertools.pairwise(found))

    def test_it_stands_until_it_is_ended(self) -> None:
        known = [shared("10:00"), shared("10:00", gateway="gw-03"), parted("11:00"), shared("09:00", "12:00")]
        assert active_shares(known[:1]).keys() == {OTHER}
        assert {each.gateway for each in active_shares(known[:3])} == {"gw-03"}
        assert {each.gateway for each in active_shares(known)} == {"gw-02", "gw-03"}

    def test_its_time_is_the_union_of_all_who_share(self) -> None:
        known = [shared("08:00"), parted("09:00"), shared("08:30", "10:00"), parted("10:10"), shared("11:00", cap=B1)]
        assert shared_spans(known, A1.device) == ((at("08:00"), at("10:10")),)
        assert shared_spans([shared("11:00")], A1.device) == ((at("11:00"), FOREVER),)
