"""A port with parity marks damaged characters, which pyserial alone would pass on unchanged."""

import os
import termios

import pytest

from drivers.dialects.base import ModbusQuery, Query, Reject, RejectKind, TextQuery
from drivers.dialects.registry import DialectName, dialect
from drivers.transport.base import Parity, SerialSettings
from drivers.transport.serial import open_serial


@pytest.mark.parametrize("parity", Parity)
async def test_parity_is_looked_at_where_there_is_one(parity: Parity) -> None:
    master, slave = os.openpty()
    link = await open_serial(os.ttyname(slave), SerialSettings(parity=parity))
    input_flags = termios.tcgetattr(slave)[0]
    link.close()
    os.close(master)
    os.close(slave)
    assert bool(input_flags & termios.INPCK) is (parity is not Parity.NONE)
    assert not input_flags & (termios.IGNPAR | termios.PARMRK), "a damaged character must come as a NUL"


@pytest.mark.parametrize(
    ("name", "query", "reply"),
    [
        (DialectName.JULABO, TextQuery("in_pv_00"), b"-4.2\r\n"),
        (DialectName.MODBUS_ASCII, ModbusQuery(1, 3, 1, 1), b":010302FFD625\r\n"),
    ],
)
def test_a_reply_with_a_damaged_character_is_thrown_out_whole(name: DialectName, query: Query, reply: bytes) -> None:
    for place in range(len(reply) - 2):
        damaged = reply[:place] + b"\0" + reply[place + 1 :]
        verdict = dialect(name).scan(damaged, query, 1)
        assert isinstance(verdict, Reject), damaged
        assert verdict.kind in (RejectKind.BAD_CHECK, RejectKind.NOISE)
