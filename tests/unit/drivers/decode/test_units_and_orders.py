"""Units and byte orders chosen by another point, floats in the wrong order, and texts that lost a character."""

import struct
from pathlib import Path

import pytest

from drivers.decode.decoder import Decoder, PointValue
from drivers.profile.load import load_profile
from drivers.reading import Quality, Reason
from drivers.toml.document import TomlProblems

SHIPPED = Path(__file__).parents[4] / "config" / "profiles"
ALL_ORDERS = 'is = { 0 = "ABCD", 1 = "BADC", 2 = "CDAB", 3 = "DCBA" } }'
ORDERS = {  # how -4.2, C0866666, comes
    0: (0xC086, 0x6666),
    1: (0x86C0, 0x6666),
    2: (0x6666, 0xC086),
    3: (0x6666, 0x86C0),
}


def _presto(tmp_path: Path) -> Decoder:
    """A PRESTO whose four formats a site has found out."""
    text = (SHIPPED / "julabo-presto.toml").read_text()
    head, _golden, _ = text.partition('[[golden]]\nsource = "computed: off, format 2')
    path = tmp_path / "presto.toml"
    path.write_text(head.replace('is = { 0 = "ABCD" } }', ALL_ORDERS))
    return Decoder(load_profile(path))


def _points(decoder: Decoder, bath: tuple[int, int], order: int, unit: int = 0) -> dict[str, PointValue]:
    raws = {
        "state": (0,) * 8,
        "actual": (*bath, *bath, 0, *(0,) * 8, 0, 0),
        "control": (1, 0, *bath, 0),
        "units": (unit, 0, 0, order),
    }
    return {each.name: each for each in decoder.points(raws)}


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_bytes_that_a_unit_tells_is_the_one_it_is_read_in(tmp_path: Path, order: int) -> None:
    points = _points(_presto(tmp_path), ORDERS[order], order)
    for name in ("coolant_supply", "external_sensor", "setpoint"):
        assert points[name].value == pytest.approx(-4.2)
        assert points[name].quality is Quality.GOOD


def test_an_order_that_is_not_listed_leaves_no_value() -> None:
    decoder = Decoder(load_profile(SHIPPED / "julabo-presto.toml"))
    for order in (1, 2, 3, 4, 0xFFFF):
        shown = _points(decoder, (0xC086, 0x6666), order)["coolant_supply"]
        assert (shown.value, shown.reason) == (None, Reason.UNPARSABLE)


def test_a_point_whose_order_was_not_read_has_no_value() -> None:
    decoder = Decoder(load_profile(SHIPPED / "julabo-presto.toml"))
    (bath,) = (
        each for each in decoder.points({"actual": (0xC086, 0x6666) + (0,) * 13}) if each.name == "coolant_supply"
    )
    assert (bath.value, bath.reason) == (None, Reason.UNPARSABLE)


@pytest.mark.parametrize(("told", "value"), [(0, -4.2), (1, (-4.2 - 32) / 1.8), (2, None), (256, None)])
def test_the_unit_that_a_unit_tells_is_the_one_it_is_read_in(tmp_path: Path, told: int, value: float | None) -> None:
    shown = _points(_presto(tmp_path), ORDERS[0], 0, told)["coolant_supply"]
    assert shown.value == (value if value is None else pytest.approx(value))
    assert shown.reason is (Reason.UNPARSABLE if value is None else None)


@pytest.mark.parametrize("celsius", [-4.0, -4.5, -8.0, -0.5, 20.0])
def test_a_temperature_in_swapped_words_is_never_taken_for_zero(celsius: float) -> None:
    """Round numbers have a low word of 0, so that with swapped words they are nearly 0."""
    high, low = struct.unpack(">HH", struct.pack(">f", celsius))
    assert abs(struct.unpack(">f", struct.pack(">HH", low, high))[0]) < 1e-30
    decoder = Decoder(load_profile(SHIPPED / "julabo-magio.toml"))
    raws = {
        "state": (0,) * 5,
        "actual": (low, high, 0, 0, 0, 0, 0),
        "control": (1, 0, high, low, 0),
        "units": (0, 0, 0),
    }
    points = {each.name: each for each in decoder.points(raws)}
    assert (points["coolant_supply"].value, points["coolant_supply"].reason) == (None, Reason.UNPARSABLE)
    assert points["setpoint"].value == celsius
    assert points["external_sensor"].value == 0.0, "0 itself is a temperature"


@pytest.mark.parametrize(
    ("reply", "value"),
    [("-04.2", -4.2), ("+04.2", 4.2), ("-004.2", -4.2), ("04.2", None), ("-4.", None), ("-", None), ("-04.2.1", None)],
)
def test_a_signed_reply_that_lost_its_sign_is_none(reply: str, value: float | None) -> None:
    shown = _ls(RT=reply)["coolant_supply"]
    assert (shown.value, shown.reason) == (value, None if value is not None else Reason.UNPARSABLE)


@pytest.mark.parametrize(("reply", "value"), [("00", 0), ("07", 7), ("1", 1), ("+1", None), ("1.0", None), ("", None)])
def test_digits_are_a_whole_number_without_sign_or_point(reply: str, value: int | None) -> None:
    shown = _ls(RF=reply)["fault"]
    assert (shown.value, shown.reason) == (value, None if value is not None else Reason.UNPARSABLE)


def _ls(**replies: str) -> dict[str, PointValue]:
    decoder = Decoder(load_profile(SHIPPED / "polyscience-ls.toml"))
    raws = {"RT": "-04.2", "RS": "-04.0", "RU": "C", "RW": "1", "RF": "00", **replies}
    return {each.name: each for each in decoder.points(raws)}


def test_a_flow_in_gallons_is_given_in_litres(tmp_path: Path) -> None:
    text = (SHIPPED / "polyscience-chiller.toml").read_text().replace('"L/min"', '"gal/min"')
    path = tmp_path / "gallons.toml"
    path.write_text(text)
    decoder = Decoder(load_profile(path))
    (flow,) = (each for each in decoder.points({"RL": "+001.0"}) if each.name == "flow")
    assert (flow.value, flow.unit) == (3.785411784, "L/min")


@pytest.mark.parametrize(
    ("profile", "old", "new", "expected"),
    [
        (
            "julabo-presto",
            'from = "word_order", is = { 0',
            'from = "format", is = { 0',
            "order.from: there is no point format",
        ),
        (
            "julabo-presto",
            'from = "word_order", is = { 0',
            'from = "setpoint", is = { 0',
            "order.from: setpoint is not a point that",
        ),
        ("julabo-presto", 'is = { 0 = "ABCD"', 'is = { 0 = "CBAD"', "accepted: ABCD, CDAB, BADC, DCBA"),
        ("julabo-presto", 'is = { 0 = "ABCD"', 'is = { zero = "ABCD"', "never holds that, accepted: whole numbers"),
        ("julabo-presto", '1 = "degF"', '1 = "psi"', "accepted: units of one kind"),
        ("polyscience-ls", 'C = "degC"', '0 = "degC"', "never holds that, accepted: words"),
    ],
)
def test_what_tells_must_be_a_point_that_can(tmp_path: Path, profile: str, old: str, new: str, expected: str) -> None:
    text = (SHIPPED / f"{profile}.toml").read_text()
    assert old in text
    path = tmp_path / f"{profile}.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(TomlProblems) as caught:
        load_profile(path)
    assert expected in str(caught.value)


def test_a_temperature_that_is_no_number_says_nothing_of_what_kind_of_unit_answers() -> None:
    decoder = Decoder(load_profile(SHIPPED / "julabo-magio.toml"))
    words: dict[str, tuple[int, ...]] = {
        "state": (0,) * 5,
        "actual": (0x7FC0, 0, 0, 0, 0, 0, 0),
        "control": (1, 0, 0xC080, 0, 0),
        "units": (0, 0, 0),
    }
    decoded = decoder.decode(words)
    assert decoded.measurements["coolant_supply"].reason is Reason.NOT_FINITE
    assert decoder.foreign(decoded.slots) is None
    words["actual"] = (0x4479, 0xC000, 0, 0, 0, 0, 0)  # 999.0
    assert decoder.foreign(decoder.decode(words).slots) == "coolant_supply is 999, not within -150 to 400"
