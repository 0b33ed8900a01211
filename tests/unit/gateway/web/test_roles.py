"""Every act of a person has a role that may do it, and a higher role may do what a lower one may."""

from gateway.config.roles import Role
from gateway.control.requests import ACTS
from gateway.web.roles import may_do


def test_the_administrator_may_do_every_act_and_nothing_unknown() -> None:
    assert may_do(Role.ADMIN) == {*ACTS, "swap", "swap-back", "capture", "diagnose", "resend", "activity"}


def test_who_only_looks_does_nothing() -> None:
    assert may_do(Role.VIEWER) == set()


def test_who_did_what_is_for_those_who_oversee() -> None:
    assert {role for role in Role if "activity" in may_do(role)} == {Role.CHARGE, Role.ADMIN}


def test_money_is_not_decided_at_the_chair() -> None:
    assert may_do(Role.NURSE) < may_do(Role.CHARGE)
    money = {"finalise", "lift-hold", "explain", "decide-correction", "reassign", "resend"}
    assert may_do(Role.NURSE).isdisjoint(money)
    assert may_do(Role.BIOMED).isdisjoint(ACTS)
