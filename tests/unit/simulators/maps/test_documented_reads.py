"""Each simulated make answers every read of its maker's documents, whether or not a profile uses it."""

import pytest

from drivers.dialects.base import ModbusQuery, NumberQuery, Query, Refusal, TextQuery
from simulators.machine import Machine
from simulators.maps import MapName


def texts(commands: str) -> list[Query]:
    return [TextQuery(command) for command in commands.split()]


def numbers(*commands: int) -> list[Query]:
    return [NumberQuery(command) for command in commands]


def registers(function: int, *addresses: int) -> list[Query]:
    return [ModbusQuery(1, function, address, 1) for address in addresses]


def numbered(prefix: str, *numbers_of: int) -> str:
    return " ".join(f"{prefix}_{number:02d}" for number in numbers_of)


JULABO = texts(
    f"STATUS VERSION {numbered('IN_PV', *range(5))} {numbered('IN_SP', *range(6), 7)} "
    f"{numbered('IN_MODE', 1, 2, 3, 4, 5, 8)} {numbered('IN_HIL', 0, 1)} "
    f"{numbered('IN_PAR', 0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14)}"
)
DOCUMENTED: dict[MapName, list[Query]] = {
    MapName.JULABO: JULABO,
    MapName.LAUDA: texts(
        f"STATUS STAT TYPE VERSION VERSION_R {numbered('IN_PV', 0, 1, 2, 3, 5, 10)} "
        f"{numbered('IN_SP', 0, 1, 2, 3, 4, 5, 7, 8)} {numbered('IN_MODE', 0, 1, 2, 3)}"
    ),
    MapName.LAUDA_MICROCOOL: texts("STATUS STAT TYPE VERSION IN_PV_00 IN_SP_00 IN_SP_04 IN_SP_05"),
    MapName.HUBER: numbers(
        *(0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x0A, 0x0F, 0x14, 0x16, 0x26, 0x30, 0x31, 0x3A, 0x48, 0x5C)
    ),
    MapName.NESLAB: numbers(0x00, 0x09, 0x20, 0x21, 0x40, 0x60, 0x70),
    MapName.THERMOFLEX: numbers(0x00, 0x02, 0x09, 0x10, 0x20, 0x28, 0x29, 0x70),
    MapName.POLYSCIENCE: texts("RT RS RU RW RF R1 R2 RP RK RG RL"),
    MapName.POLYSCIENCE_LS: texts("RT RS RU RW RF"),
    MapName.SMC_HRS: registers(3, *range(8), 0x0B),
    MapName.EUROTHERM: registers(3, 1, 2, 4, 5, 23, 75, 76),
    MapName.WATLOW: registers(3, 360, 361, 362, 2490),
    MapName.JULABO_PRESTO: [
        *registers(4, 5, 6, 7, 10, 11, 12, 13, 14, 23, 24),
        *registers(3, 0, 2, 3, 90, 91, 92, 93),
    ],
    MapName.JULABO_MAGIO: [*registers(4, 5, 6, 7, 10, 11, 12, 13, 14), *registers(3, 0, 2, 3, 90, 91, 92)],
    MapName.REFERENCE: registers(4, *range(64)),
}


@pytest.mark.parametrize("make", MapName)
def test_every_documented_read_is_answered_with_a_value(make: MapName) -> None:
    machine = Machine("RCU1-000417", 2 if make is MapName.REFERENCE else 1, -4.0)
    for query in DOCUMENTED[make]:
        answer = make.answer(machine, query)
        assert answer is not None, query
        assert not isinstance(answer, Refusal), query
        assert answer != (0x7FFF,), f"{query}: said to be lacking"


def test_what_no_document_has_stays_without_a_value() -> None:
    machine = Machine("1", 1, -4.0)
    assert MapName.JULABO.answer(machine, TextQuery("IN_SP_99")) is None
    assert MapName.JULABO.answer(machine, TextQuery("OUT_SP_00 12.0")) is None
    assert isinstance(MapName.LAUDA.answer(machine, TextQuery("IN_SP_99")), Refusal)
    assert MapName.HUBER.answer(machine, NumberQuery(0x99)) == (0x7FFF,)
