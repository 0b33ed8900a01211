"""Where the policy asks for two persons, one alone lifts no hold; they differ by account and by name."""

import msgspec
import pytest

from gateway.ledger.access import Actor
from gateway.session.flags import HeldReason
from tests.unit.gateway.control.held_sessions import LIFTED, READY, Site
from tests.unit.gateway.session.release_session import APPROVED
from tests.unit.gateway.session.session_timelines import at, corrected, day

SECOND = Actor("page:p.roe", "charge")


def two_persons(reason: HeldReason) -> Site:
    under, facts, _ = LIFTED[reason]
    return Site(msgspec.structs.replace(under, second_person=True), *facts)


def by(site: Site, actor: Actor, person: str) -> None:
    site.by, site.person = actor, person


@pytest.mark.parametrize("reason", LIFTED)
def test_the_first_waits_and_the_second_releases(reason: HeldReason) -> None:
    site = two_persons(reason)
    if reason is not HeldReason.CHEMO_ORDERS_REMAIN:  # without an end nothing can be signed
        site.finalise()
    before = site.held, site.charged
    assert reason in site.held
    site.lift(reason)
    assert (site.held, site.charged) == before
    assert set(site.snapshot.awaiting_second) == {reason}
    assert "other than cm (host:cm:1001)" in site.refused("lift", reason)
    by(site, SECOND, "p.roe")
    site.lift(reason)
    if reason is HeldReason.CHEMO_ORDERS_REMAIN:
        site.finalise()
    assert (site.held, site.charged) == ((), LIFTED[reason][2])
    assert site.snapshot.awaiting_second == {}


@pytest.mark.requirement("REQ-CHARGE-4")
@pytest.mark.parametrize(
    ("actor", "person"),
    [
        (Actor("host:cm:1001"), "somebody else"),  # one user of the machine, two names
        (Actor("HOST:CM:1001"), "somebody else"),
        (SECOND, "cm"),  # one name, two accounts
        (Actor("sso:cm", "charge"), "Cara Mills"),  # one login in two places
        (Actor("proxy:C.M@north.example", "charge"), "Cara Mills"),
        (Actor("page:cmills", "charge"), "C. M."),
    ],
)
def test_who_may_be_the_first_is_no_second_person(actor: Actor, person: str) -> None:
    site = two_persons(HeldReason.NO_ORDER)
    site.finalise()
    site.lift("no_order")
    by(site, actor, person)
    assert "wait for a second person" in site.refused("lift", "no_order")
    assert site.charged == 0


def test_two_persons_who_saw_different_units_let_go_the_fewer() -> None:
    policy = msgspec.structs.replace(APPROVED, second_person=True)
    site = Site(policy, *day(*READY, infusion_end="12:40"))
    site.finalise()
    site.now_us = at("14:30")
    site.live.learn([corrected("A", "14:30", "11:30")], site.now_us)
    site.lift("signed_before")
    site.live.learn([corrected("A", "14:40", "11:00", version=3)], at("14:40"))
    site.now_us = at("14:40")
    assert site.snapshot.awaiting_second == {}, "the first saw fewer units"
    by(site, SECOND, "p.roe")
    site.lift("signed_before")
    assert site.charged == 0
    assert set(site.snapshot.awaiting_second) == {"signed_before"}
    by(site, Actor("page:r.third", "charge"), "r.third")
    site.lift("signed_before")
    assert (site.held, site.charged) == ((), 3)


def test_without_the_key_one_person_is_enough() -> None:
    under, facts, units = LIFTED[HeldReason.NO_ORDER]
    site = Site(under, *facts)
    site.finalise()
    site.lift("no_order")
    assert (site.held, site.charged) == ((), units)
