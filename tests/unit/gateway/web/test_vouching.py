"""Who a provider's claims name, and which role that person has at the suite."""

import msgspec
import pytest

from gateway.config.roles import Role
from gateway.config.single_sign_on import RoleMap
from gateway.web.vouching import NoRole, VouchingRefused, person_of
from tests.unit.gateway.web.page_app import PROVIDER

CLAIMS: dict[str, object] = {"preferred_username": "m.curie", "name": "Marie Curie", "groups": ["nurses"]}


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("groups", {"groups": ["staff", "nurses"]}),
        ("groups", {"groups": "nurses"}),
        ("realm_access.roles", {"realm_access": {"roles": ["nurses"]}}),
        ("https://north.example/roles", {"https://north.example/roles": ["nurses"]}),
    ],
)
def test_roles_stand_in_a_claim_or_within_one(claim: str, said: dict[str, object]) -> None:
    plan = msgspec.structs.replace(PROVIDER, roles_claim=claim)
    person = person_of(plan, {**CLAIMS, "groups": None, **said})
    assert (person.name, person.login, person.role) == ("Marie Curie", "sso:m.curie", Role.NURSE)


def test_the_first_configured_role_counts_whatever_order_the_provider_has() -> None:
    assert person_of(PROVIDER, CLAIMS | {"groups": ["nurses", "deciders"]}).role is Role.CHARGE


@pytest.mark.parametrize("groups", [None, [], ["Nurses"], "staff", 7, {"nurses": True}, [["nurses"]]])
def test_without_one_nobody_gets_in_unless_everybody_may_look(groups: object) -> None:
    with pytest.raises(NoRole, match=r"m\.curie"):
        person_of(PROVIDER, CLAIMS | {"groups": groups})
    lenient = msgspec.structs.replace(PROVIDER, roles=RoleMap((), Role.VIEWER))
    assert person_of(lenient, CLAIMS | {"groups": groups}).role is Role.VIEWER


@pytest.mark.parametrize("login", [None, "", " ", 7, ["m.curie"], "m" * 65, "m\ncurie", "m\u202ecurie", "m\0"])
def test_a_login_that_cannot_be_recorded_is_refused(login: object) -> None:
    with pytest.raises(VouchingRefused, match="no login"):
        person_of(PROVIDER, CLAIMS | {"preferred_username": login})


@pytest.mark.parametrize("name", [None, "", 7, "M" * 65, "Marie\u202eCurie", "<b>\n"])
def test_a_name_that_cannot_be_recorded_gives_way_to_the_login(name: object) -> None:
    assert person_of(PROVIDER, CLAIMS | {"name": name}).name == "m.curie"
