"""Several policies: each is in force from midnight of its day, by its own calendar, and a session pins one."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from gateway.session.facts import CapRef, CoolingStarted, CoolingStopped, SessionOpened
from gateway.session.policies import Policies, policies_of
from gateway.session.policy import Policy, parse_policy
from gateway.session.spans import US_PER_S
from gateway.session.state import advance, begin
from tests.unit.gateway.session.live_tracker import Watched, policy_text

OLD = Policy(name="old", effective=date(2026, 1, 1), timezone="America/New_York")
NEW = Policy(name="new", effective=date(2027, 1, 1), timezone="America/New_York", session_idle_s=60)
MIDNIGHT_US = round(datetime(2027, 1, 1, tzinfo=ZoneInfo("America/New_York")).timestamp()) * US_PER_S
MINUTE_US = 60 * US_PER_S
YEAR_US = 366 * 24 * 60 * MINUTE_US
CAP = CapRef("cap-01", 1)


def policies(*which: Policy) -> Policies:
    return policies_of(map(policy_text, which))


@pytest.mark.parametrize(
    ("at_us", "name", "to_come"),
    [
        pytest.param(MIDNIGHT_US - YEAR_US, "old", ["new"], id="before the first, under which what begins is held"),
        pytest.param(MIDNIGHT_US - 1, "old", ["new"], id="the last instant of the year"),
        pytest.param(MIDNIGHT_US, "new", [], id="midnight"),
    ],
)
def test_a_policy_is_in_force_from_midnight_on(at_us: int, name: str, to_come: list[str]) -> None:
    both = policies(NEW, OLD)
    assert both.at(at_us).name == name
    assert [each.name for each in both.after(at_us)] == to_come


def test_the_day_begins_by_the_policys_own_calendar() -> None:
    both = policies(OLD, msgspec.structs.replace(NEW, timezone="UTC"))
    midnight_us = round(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * US_PER_S
    assert [both.at(midnight_us + each).name for each in (-1, 0)] == ["old", "new"]


def opened(texts: Policies, *starts_us: int) -> list[tuple[int, str]]:
    """When sessions opened whose cooling is learned of late, all at once, and the policies that they pinned."""
    now_us = starts_us[-1] + 60 * MINUTE_US
    facts = [
        fact
        for start_us in starts_us
        for fact in (
            CoolingStarted(at_us=start_us, known_at_us=now_us, cap=CAP),
            CoolingStopped(at_us=start_us + MINUTE_US, known_at_us=now_us, cap=CAP),
        )
    ]
    tokens = iter(("T00000001", "T00000002"))
    _, step = advance(begin(texts, (), (), 0), facts, Watched(now_us), now_us, lambda: next(tokens))
    found = [fact for fact in step.facts if isinstance(fact, SessionOpened)]
    return [(each.at_us, parse_policy(each.policy).name) for each in sorted(found, key=lambda each: each.at_us)]


def test_a_session_pins_the_policy_in_force_at_its_opening_however_late_it_is_learned_of() -> None:
    before_us, after_us = MIDNIGHT_US - 100 * MINUTE_US, MIDNIGHT_US + 10 * MINUTE_US
    assert opened(policies(OLD, NEW), before_us, after_us) == [(before_us, "old"), (after_us, "new")]


def test_cooling_is_cut_by_the_policy_in_force_when_it_began() -> None:
    before_us, after_us, pause_us = MIDNIGHT_US - 100 * MINUTE_US, MIDNIGHT_US + 10 * MINUTE_US, 20 * MINUTE_US
    assert opened(policies(OLD, NEW), before_us, before_us + pause_us) == [(before_us, "old")]
    assert opened(policies(OLD, NEW), after_us, after_us + pause_us) == [
        (after_us, "new"),
        (after_us + pause_us, "new"),
    ]
