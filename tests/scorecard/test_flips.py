"""R25, exhaustive part: replies with one to three flipped bits. A CRC lets none pass; the rest is measured, published
in docs/reference/line-errors.md, and kept from the bill by parity and a second poll.
"""

from pathlib import Path

import pytest

from drivers.decode.decoder import Decoder
from drivers.dialects.base import Dialect, Exceptional, ModbusQuery, Query, Raw, Request
from drivers.dialects.registry import DialectName, dialect
from drivers.profile.load import load_profile
from drivers.profile.types import DeviceProfile
from drivers.reading import Evidence, Reading, Stamp
from drivers.transport.base import Parity
from gateway.session.observe import ObserveRules, UnitState, observe
from tests.bus.reads import crc16
from tests.contract.profile_wire import ROOT, SHIPPED, TRANSACTION, answers, profile_shape
from tests.scorecard.flips import Counted, Sample, accepted, flipped, measure_all, table

PAGE = ROOT / "docs" / "reference" / "line-errors.md"
HAVE_A_CRC = {DialectName.MODBUS_RTU}
OVER_TCP = {DialectName.MODBUS_TCP}  # TCP checks what it carries
OFFER_NO_PARITY = {  # by the documents that the profiles name: the speed can be chosen at most, 8N1 stands
    "huber-pb",
    "lauda-microcool",
    "lauda-pro",
    "polyscience-chiller",
    "polyscience-ls",
    "thermo-neslab-ex",
    "thermo-thermoflex",
}
CONFIRM_POLLS = 2  # as config/gateway.toml has it

Measurements = list[tuple[Sample, dict[bool, list[Counted]]]]


@pytest.fixture(scope="module")
def measurements() -> Measurements:
    return measure_all()


def test_every_dialect_is_measured(measurements: Measurements) -> None:
    assert {sample.profile.dialect for sample, _ in measurements} == set(DialectName)


def test_no_damaged_reply_with_a_crc_is_taken_for_another() -> None:
    """All 62,268 patterns of one to three flips in a reply of two registers."""
    message = bytes.fromhex("01 03 04 FF D6 FF CE")
    reply = message + crc16(message).to_bytes(2, "little")
    query, codec, tried = ModbusQuery(1, 3, 1, 2), dialect(DialectName.MODBUS_RTU), 0
    assert accepted(codec, reply, query) == (0xFFD6, 0xFFCE)
    for flips in (1, 2, 3):
        for arrived in flipped(reply, flips):
            tried += 1
            assert accepted(codec, arrived, query) is None, arrived.hex()
    assert tried == 62_268


def test_one_flip_passes_no_check_and_no_parity(measurements: Measurements) -> None:
    for sample, counts in measurements:
        if sample.profile.dialect in HAVE_A_CRC:
            assert [each.wrong for each in counts[False]] == [0, 0, 0], sample.title
        if sample.check != "none" and sample.profile.dialect not in OVER_TCP:
            assert counts[False][0].wrong == 0, sample.title
        if sample.has_parity:
            assert counts[True][0].wrong == 0, sample.title


def test_the_page_shows_what_was_measured(measurements: Measurements) -> None:
    assert table(measurements) in PAGE.read_text(), "print the table with `python -m tests.scorecard.flips`"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_profile_asks_for_parity_where_the_unit_offers_it(path: Path) -> None:
    profile = load_profile(path)
    if profile.dialect not in HAVE_A_CRC | OVER_TCP:
        assert (profile.serial.parity is Parity.NONE) is (profile.id in OFFER_NO_PARITY)


def polls(path: Path) -> list[dict[str, Raw]]:
    """Every golden poll of the profile that is a whole answer."""
    profile = load_profile(path)
    found = [
        {name: each for name, each in answers(profile, golden).items() if not isinstance(each, Exceptional)}
        for golden in profile_shape(path).golden
    ]
    return [raws for raws in found if len(raws) == len(profile.blocks)]


def reading(decoder: Decoder, raws: dict[str, Raw], at_s: int) -> Reading:
    decoded = decoder.decode(raws)
    return Reading("cap-01", Stamp(at_s * 1_000_000, at_s * 1_000_000), decoded.caps, decoded.measurements)


@pytest.mark.parametrize("path", [path for path in SHIPPED if load_profile(path).dialect not in HAVE_A_CRC | OVER_TCP])
def test_a_damaged_reply_between_two_good_ones_changes_nothing_that_bills(path: Path) -> None:
    """Each golden poll with every one or two bits of each reply flipped: some say another state, none is a fact."""
    profile = load_profile(path)
    decoder, codec = Decoder(profile), dialect(profile.dialect)
    rules = ObserveRules(CONFIRM_POLLS, 60_000_000, Evidence.FLOW)
    lies = 0
    for raws in polls(path):
        before = observe(UnitState(()), reading(decoder, raws, 1), rules)
        before = observe(before.state, reading(decoder, raws, 2), rules)
        if before.observed_until_us is None:
            continue  # the unit itself does not tell what it does
        for block in profile.blocks:
            for raw in damaged(codec, block.query(unit_id_of(profile)), raws[block.name]):
                lie = observe(before.state, reading(decoder, {**raws, block.name: raw}, 3), rules)
                truth = observe(lie.state, reading(decoder, raws, 4), rules)
                assert (lie.facts, truth.facts) == ((), ()), raw
                assert truth.state.caps == observe(before.state, reading(decoder, raws, 4), rules).state.caps, raw
                lies += any(cap.candidate is not None for cap in lie.state.caps)
    assert lies or profile.evidence is Evidence.NONE, "no damage ever said another state: this proves nothing"


def unit_id_of(profile: DeviceProfile) -> int | None:
    return profile.address.default if profile.address else None


def damaged(codec: Dialect, query: Query, raw: Raw) -> set[Raw]:
    """Every other answer that one or two flips make of this one."""
    reply = codec.encode_reply(Request(0, query, TRANSACTION), raw)
    found = {accepted(codec, arrived, query) for flips in (1, 2) for arrived in flipped(reply, flips)}
    return {each for each in found if each is not None and each != raw}
