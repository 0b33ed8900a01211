"""When a status of another gateway counts as a sign that it reads our unit too, and when it no longer does."""

import itertools
import json
from collections.abc import Iterable

import msgspec

from drivers.reading import Stamp
from gateway.messages.unit_claims import UnitClaim
from gateway.recording.shared_units import CONFIRM_US, LAPSE_US, MOST_SHARERS, SharedUnits
from gateway.runtime.kernel_clock import Kept
from gateway.session.facts import AnyFact, SharedBy, UnitShared, UnitSharingEnded, WorkRaised
from gateway.session.policies import policies_of
from gateway.session.sharing import RESTATED_US
from gateway.session.state import TrackerState, advance, begin
from tests.contract.message_samples import sample_files
from tests.unit.gateway.session.live_tracker import Watched, policy_text
from tests.unit.gateway.session.release_session import APPROVED

S_US = 1_000_000
OLD = 1_773_145_860_000_000  # since when the other one's link is up, in the sample
START_US = OLD + 3_600 * S_US
UP, DOWN = sample_files()["out_unit_status_up"], sample_files()["out_unit_status_down"]


class HandClock:
    """A clock that a test sets."""

    speed = 1.0
    released_us = 0
    at_us = START_US

    def now(self) -> Stamp:
        return Stamp(self.at_us, self.at_us)

    def kept(self) -> Kept:
        return Kept(synchronised=True)

    def step_us(self) -> int:
        return 0

    def align(self) -> None: ...

    def resume(self, stamp: Stamp) -> None: ...


class Gateway:
    """gw-01, which reads cap-01, the machine that gw-02 calls cap-07; its ledger is a list."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.connection = 1
        self.reads = True
        self.since_us = OLD + 60 * S_US
        self.state: TrackerState = begin(policies_of([policy_text(APPROVED)]), (), (), 0)
        self.recorded: list[AnyFact] = []
        self.start()

    def start(self) -> None:
        self.shared = SharedUnits("gw-01", self._claims, lambda: self.connection, self.clock, lambda: self.state)
        self.check()

    def receive(self, status: str = UP, other: str = "gw-02/unit/cap-07") -> None:
        self.shared.notice(f"capgate/v1/s/dev/{other}/status", status.encode())

    def check(self, after_s: float = 0) -> list[AnyFact]:
        """What is recorded after that time."""
        self.clock.at_us += round(after_s * S_US)
        facts = list(self.shared.check())
        self.state, _ = advance(self.state, facts, Watched(self.clock.at_us), self.clock.at_us, str)
        self.recorded += facts
        return facts

    def receive_for(self, seconds: int, every_s: int = 60) -> list[AnyFact]:
        """Statuses that come as they do; what is recorded meanwhile."""
        found: list[AnyFact] = []
        for _ in range(0, seconds, every_s):
            self.receive()
            found += self.check(every_s)
        return found

    def _claims(self, now_us: int) -> Iterable[UnitClaim]:
        if self.reads:
            yield UnitClaim(
                gateway="gw-01",
                unit="cap-01",
                profile="reference-cap-unit",
                serial_number="CU-20417",
                line=None,
                chairs=frozenset(),
                since_us=self.since_us,
            )


def kinds(facts: Iterable[AnyFact]) -> list[type[AnyFact]]:
    return [type(fact) for fact in facts]


def test_two_statuses_apart_are_a_finding_with_an_item_for_a_person() -> None:
    gateway = Gateway()
    assert gateway.receive_for(60) == []
    shared, *again, item = gateway.receive_for(60)
    assert (shared, again) == (
        UnitShared(
            at_us=gateway.since_us,
            known_at_us=gateway.clock.at_us,
            device="cap-01",
            gateway="gw-02",
            unit="cap-07",
            by=SharedBy.SERIAL_NUMBER,
        ),
        [msgspec.structs.replace(shared, at_us=gateway.clock.at_us)],
    )
    assert isinstance(item, WorkRaised)
    assert (item.what, item.order) == ("unit_shared", "gw-02/cap-07")
    assert [each.gateway for each in gateway.shared.active] == ["gw-02"]
    assert gateway.receive_for(3_600) == []


class TestWhatIsNoSign:
    def test_what_the_broker_queued_and_brings_at_once(self) -> None:
        gateway = Gateway()
        gateway.receive()
        gateway.clock.at_us += 3_600 * S_US
        gateway.connection = 2
        for _ in range(50):
            gateway.receive()
        assert gateway.check(CONFIRM_US / S_US) == []
        assert gateway.check(3_600) == []

    def test_a_status_before_we_read_the_machine(self) -> None:
        """A loaner came from the other gateway, which said its last before."""
        gateway = Gateway()
        gateway.reads = False
        gateway.check()
        assert gateway.receive_for(600) == []
        gateway.reads = True
        gateway.check()
        assert gateway.check(120) == []

    def test_our_own_a_link_that_is_down_and_noise(self) -> None:
        gateway = Gateway()
        for _ in range(10):
            gateway.receive(other="gw-01/unit/cap-01")
            gateway.receive(DOWN)
            gateway.receive("{")
            assert gateway.check(60) == []

    def test_another_machine(self) -> None:
        gateway = Gateway()
        event = json.loads(UP)
        event["data"]["serial_number"] = "CU-99999"
        for _ in range(10):
            gateway.receive(json.dumps(event))
            assert gateway.check(60) == []


class TestAnEnd:
    def test_it_ends_when_the_other_one_has_fallen_silent_for_long(self) -> None:
        gateway = Gateway()
        gateway.receive_for(300)
        last_us = gateway.clock.at_us - 60 * S_US
        assert gateway.check(LAPSE_US / S_US - 61) == []
        (ended,) = gateway.check(62)
        assert isinstance(ended, UnitSharingEnded)
        assert (ended.at_us, list(gateway.shared.active)) == (last_us, [])
        assert gateway.check(86_400) == []

    def test_nothing_ends_while_there_is_no_broker(self) -> None:
        gateway = Gateway()
        gateway.receive_for(300)
        gateway.connection = 0
        assert gateway.check(3_600) == []
        gateway.connection = 2
        assert gateway.check(1) == []
        assert gateway.check(LAPSE_US / S_US - 60) == []
        assert kinds(gateway.check(120)) == [UnitSharingEnded]

    def test_a_start_goes_on_from_the_ledger_and_waits_as_long(self) -> None:
        gateway = Gateway()
        gateway.receive_for(300)
        gateway.start()
        assert [each.gateway for each in gateway.shared.active] == ["gw-02"]
        assert gateway.receive_for(1_200) == []
        gateway.start()
        assert gateway.check(LAPSE_US / S_US - 1) == []
        assert kinds(gateway.check(2)) == [UnitSharingEnded]

    def test_a_unit_that_was_taken_from_the_configuration_is_let_go(self) -> None:
        gateway = Gateway()
        gateway.receive_for(300)
        gateway.reads = False
        gateway.start()
        assert kinds(gateway.receive_for(720)) == [UnitSharingEnded]


class TestBounds:
    def test_what_lasts_for_days_is_recorded_twice_a_day(self) -> None:
        gateway = Gateway()
        gateway.receive_for(300)
        found = gateway.receive_for(5 * 86_400, every_s=300)
        assert kinds(found) == [UnitShared] * 10
        assert all(fact.known_at_us == fact.at_us for fact in found)
        times = [each.at_us for each in gateway.recorded if isinstance(each, UnitShared)]
        assert all(later - earlier <= RESTATED_US + 300 * S_US for earlier, later in itertools.pairwise(times))

    def test_a_link_that_comes_and_goes_makes_one_finding(self) -> None:
        gateway = Gateway()
        facts: list[AnyFact] = []
        for number in range(3_000):
            gateway.receive(DOWN if number % 2 else UP)
            facts += gateway.check(20)
        assert [kind for kind in kinds(facts) if kind is UnitSharingEnded] == []
        assert len(facts) < 8

    def test_an_item_that_waits_is_not_raised_again(self) -> None:
        gateway = Gateway()
        for _ in range(3):
            gateway.receive_for(300)
            gateway.check(700)
        assert kinds(gateway.recorded).count(WorkRaised) == 1
        assert kinds(gateway.recorded).count(UnitSharingEnded) == 3

    def test_strangers_without_number_cost_no_more_than_a_bound(self) -> None:
        gateway = Gateway()
        for _ in range(60):
            for number in range(3 * MOST_SHARERS):
                gateway.receive(other=f"gw-02/unit/u{number}")
            gateway.check(60)
        shared = [each.unit for each in gateway.recorded if isinstance(each, UnitShared)]
        assert (len(set(shared)), len(shared)) == (MOST_SHARERS, 2 * MOST_SHARERS)
