"""Whether two gateways read one machine, as their statuses say."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages.unit_claims import UnitClaim, read_claim, shared_by
from gateway.session.fact_types import SharedBy
from tests.contract.message_samples import sample_files

MINE = UnitClaim(
    gateway="gw-01",
    unit="cap-01",
    profile="reference-cap-unit",
    serial_number="CU-1",
    line="aaaa",
    chairs=frozenset({"c01"}),
    since_us=1,
)
THEIRS = UnitClaim(
    gateway="gw-02",
    unit="cap-01",
    profile="reference-cap-unit",
    serial_number="CU-2",
    line="bbbb",
    chairs=frozenset({"c02"}),
    since_us=2,
)


def theirs(**changed: object) -> UnitClaim:
    return msgspec.structs.replace(THEIRS, **changed)


@pytest.mark.parametrize(
    ("claim", "by"),
    [
        (theirs(), None),  # the name of a unit is its own gateway's
        (theirs(serial_number="CU-1"), SharedBy.SERIAL_NUMBER),
        (theirs(serial_number="CU-1", profile="other"), SharedBy.SERIAL_NUMBER),
        (theirs(serial_number="CU-1", line="aaaa", chairs=frozenset({"c01"})), SharedBy.SERIAL_NUMBER),
        (theirs(line="aaaa"), None),  # two machines, each on a network of its own
        (theirs(line="aaaa", serial_number=None), SharedBy.LINE),
        (theirs(line="aaaa", serial_number="000"), SharedBy.LINE),
        (theirs(line="aaaa", profile="other"), SharedBy.LINE),  # which may take another register for the number
        (theirs(line=None, serial_number=None), None),
        (theirs(chairs=frozenset({"c01", "c02"})), SharedBy.CHAIR),
        (theirs(chairs=frozenset[str]()), None),
    ],
)
def test_what_shows_that_both_are_one(claim: UnitClaim, by: SharedBy | None) -> None:
    assert shared_by(MINE, claim) is by


def test_a_serial_number_that_was_never_set_is_none() -> None:
    for blank in ("", "0", "0000", "00 00"):
        unset = msgspec.structs.replace(MINE, serial_number=blank)
        assert shared_by(unset, theirs(serial_number=blank)) is None


CLAIMS = st.builds(
    UnitClaim,
    gateway=st.sampled_from(["gw-01", "gw-02"]),
    unit=st.sampled_from(["cap-01", "cap-02"]),
    profile=st.sampled_from(["p", "q"]),
    serial_number=st.sampled_from([None, "", "0", "1", "2"]),
    line=st.sampled_from([None, "a", "b"]),
    chairs=st.frozensets(st.sampled_from(["c1", "c2", "c3"]), max_size=2),
    since_us=st.integers(0, 9),
)


@given(CLAIMS, CLAIMS)
def test_both_gateways_see_the_same(one: UnitClaim, other: UnitClaim) -> None:
    assert shared_by(one, other) is shared_by(other, one)
    if one.chairs & other.chairs:
        assert shared_by(one, other) is not None


@given(CLAIMS)
def test_a_unit_that_says_anything_of_itself_is_itself(claim: UnitClaim) -> None:
    assert (shared_by(claim, claim) is None) == (not claim.marks)


class TestReading:
    UP = sample_files()["out_unit_status_up"]

    def changed(self, **fields: object) -> bytes:
        event = json.loads(self.UP)
        return json.dumps({**event, "data": {**event["data"], **fields}}).encode()

    def test_a_status_says_which_machine_is_read(self) -> None:
        claim = read_claim("gw-02", "cap-07", self.UP.encode())
        assert claim == UnitClaim(
            gateway="gw-02",
            unit="cap-07",
            profile="reference-cap-unit",
            serial_number="CU-20417",
            line="5b0a91c4e27f38d6",
            chairs=frozenset({"c12", "c13"}),
            since_us=1_773_145_860_000_000,
        )

    def test_a_version_that_says_more_or_less_is_read_too(self) -> None:
        event = json.loads(self.changed(shape="round", link="up"))
        del event["data"]["line"]
        claim = read_claim("gw-02", "cap-07", json.dumps(event).encode())
        assert claim is not None
        assert (claim.line, claim.serial_number) == (None, "CU-20417")

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"{",
            b"[]",
            b"\xff",
            b'{"type": "org.capgate.unit.status.v1"}',
            sample_files()["out_unit_status_down"].encode(),
            sample_files()["out_alarm"].encode(),
        ],
    )
    def test_anything_else_claims_nothing(self, payload: bytes) -> None:
        assert read_claim("gw-02", "cap-07", payload) is None

    def test_fields_of_another_kind_claim_nothing(self) -> None:
        for fields in ({"since": "yesterday"}, {"since": "2026-03-10T12:31:00"}, {"caps": 3}, {"serial_number": 7}):
            assert read_claim("gw-02", "cap-07", self.changed(**fields)) is None, fields
