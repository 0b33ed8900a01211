"""The plan of a scan: only reads of profiles, those with a watchdog first, none with an effect on a unit."""

from collections.abc import Sequence

import msgspec
import pytest

from drivers.diagnose.scan_plan import Plan, plan
from drivers.dialects.base import ModbusQuery, TextQuery
from drivers.dialects.registry import DialectName, dialect
from drivers.profile.enums import ReadsEffect
from drivers.profile.load import DeviceProfile, load_profiles
from drivers.transport.base import Handshake, SerialSettings
from gateway.runtime.shipped import shipped_dir
from tests.bus.reads import is_read

KINDS = load_profiles([shipped_dir() / "profiles"])
ALL = list(KINDS.values())


def planned(kinds: Sequence[DeviceProfile] = ALL, *, is_serial: bool = True, own: bool = False) -> Plan:
    return plan(kinds, range(1, 4), is_serial=is_serial, only_own_settings=own)


@pytest.mark.parametrize("is_serial", [True, False])
def test_every_question_only_reads(is_serial: bool) -> None:
    for each in planned(is_serial=is_serial).rounds:
        for question in (*each.questions, *each.further):
            frame = dialect(question.dialect).encode(question.query, 1)
            assert is_read(question.dialect, frame), frame


def test_each_kind_is_looked_for_at_the_settings_that_its_maker_delivers() -> None:
    own = planned(own=True)
    for kind in ALL:
        plain = msgspec.structs.replace(kind.serial, handshake=Handshake.NONE)
        (there,) = [each for each in own.rounds if each.settings == plain]
        assert there.questions, kind.id


def test_own_settings_come_first_and_no_setting_and_language_comes_twice() -> None:
    rounds = planned().rounds
    count = len(planned(own=True).rounds)
    assert [each.settings for each in rounds[:count]] == [each.settings for each in planned(own=True).rounds]
    asked = [(each.settings, question) for each in rounds for question in each.questions]
    assert len(asked) == len(set(asked))


def test_a_watchdog_is_asked_for_before_anything_else_at_a_setting() -> None:
    for each in (*planned().rounds, *planned(is_serial=False).rounds):
        guarded = [question.is_watchdog for question in each.questions]
        assert guarded == sorted(guarded, reverse=True)
        for question in each.questions:
            if question.is_watchdog:
                assert question.query == TextQuery("IN_SP_08", question.query.unit_id)


def test_a_kind_that_reading_may_switch_is_left_out_and_named() -> None:
    switching = msgspec.structs.replace(KINDS["julabo-cf"], reads_effect=ReadsEffect.MAY_SWITCH)
    asked = planned([switching, KINDS["eurotherm-3200"]])
    assert asked.left_out == ("julabo-cf",)
    assert all(question.dialect is not DialectName.JULABO for each in asked.rounds for question in each.questions)


def test_modbus_tcp_is_spoken_on_networks_alone() -> None:
    on_wire, on_network = (
        {question.dialect for each in planned(is_serial=flag).rounds for question in each.questions}
        for flag in (True, False)
    )
    assert on_network - on_wire == {DialectName.MODBUS_TCP}
    assert on_network == set(DialectName)
    assert [each.settings for each in planned(is_serial=False).rounds] == [None]


def test_an_address_is_looked_for_with_one_small_question_and_within_the_kinds_range() -> None:
    kind = KINDS["smc-hrs"]
    asked = plan([kind], (1, 2, 99, 100), is_serial=True, only_own_settings=True)
    ascii_questions = [each.query for each in asked.rounds[0].questions if each.dialect is DialectName.MODBUS_ASCII]
    assert ascii_questions == [ModbusQuery(unit_id, 3, 4, 1) for unit_id in (1, 2, 99)]


def test_a_question_without_an_address_is_asked_twice() -> None:
    (asked,) = planned([KINDS["polyscience-ls"]], own=True).rounds
    assert [question.tries for question in asked.questions] == [2]
    assert planned([KINDS["polyscience-ls"]], own=True).requests == 2
    assert asked.settings == SerialSettings(9600)
