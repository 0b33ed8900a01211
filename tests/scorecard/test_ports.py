"""R31 and R34 on real pseudo-terminals: a port that is unplugged and comes back elsewhere, and one that is taken."""

import asyncio
import os
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from drivers.dialects.base import ModbusQuery, Request
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import DriverError, LineDown
from drivers.line import Line, LineTiming
from drivers.transport.base import SerialSettings
from drivers.transport.open import connector
from gateway.cli.probe import command as probe
from tests.scorecard.repeats import repeats

RTU = dialect(DialectName.MODBUS_RTU)
QUERY = ModbusQuery(1, 3, 10, 1)
TERMINAL = SerialSettings(baud=115200)  # a pseudo-terminal takes 8N1 alone
BACK_WITHIN_S = 5.0
PROBED_AS = ("--profile", "eurotherm-3200", "--set", "parity=none", "--set", "baud=115200", "--timeout", "0.2")


class Adapter:
    """One plugged adapter with a unit behind it: a device of whatever name, and a stable name that leads to it."""

    def __init__(self, stable: Path) -> None:
        self._stable = stable
        self._unit, self._device = os.openpty()
        os.set_blocking(self._unit, False)
        self.name = os.ttyname(self._device)
        stable.symlink_to(self.name)
        asyncio.get_running_loop().add_reader(self._unit, self._answer)

    def unplug(self) -> None:
        """As pulling it: the name goes, and whoever has it open is hung up on."""
        asyncio.get_running_loop().remove_reader(self._unit)
        self._stable.unlink()
        os.close(self._device)
        os.close(self._unit)

    def _answer(self) -> None:
        heard = RTU.scan_request(os.read(self._unit, 256))
        if isinstance(heard, Request):
            os.write(self._unit, RTU.encode_reply(heard, (0xFFD6,)))


async def good_within_s(line: Line) -> float:
    """How long it takes until the line gives a good answer, asked again and again."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while True:
        try:
            assert await line.exchange(QUERY) == (0xFFD6,)
        except DriverError:
            await asyncio.sleep(0.02)
        else:
            return loop.time() - began_s


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_r31_an_unplugged_port_is_opened_again_by_its_stable_name_wherever_it_comes_back(tmp_path: Path) -> None:
    stable = tmp_path / "pci-0000:00:14.0-usb-0:2:1.0-port0"
    line = Line("bay-a", connector(str(stable), TERMINAL), RTU, LineTiming(0.0, 0.3, 0.05), baud=None)
    chance = random.Random(31)
    adapter = Adapter(stable)
    assert await good_within_s(line) < BACK_WITHIN_S
    before, tasks, names = descriptors(), asyncio.all_tasks(), set[str]()
    for number in range(repeats(5)):
        names.add(adapter.name)
        in_the_way = os.openpty()  # what takes the freed name, so that the adapter gets another
        adapter.unplug()
        for _ in range(chance.randrange(3)):
            with pytest.raises(LineDown, match=f"{stable.name}|waits to be opened"):
                await line.exchange(QUERY)
        adapter = Adapter(stable)
        for end in in_the_way:
            os.close(end)
        took_s = await good_within_s(line)
        assert took_s <= BACK_WITHIN_S, f"round {number}: {took_s:.1f} s"
    assert len(names) > 1, "it came back under other names too"
    assert line.counters.reopens >= repeats(5)
    assert descriptors() == before
    assert asyncio.all_tasks() == tasks
    line.close()
    adapter.unplug()


async def test_r34_a_port_that_is_open_already_is_refused_in_clear_words(tmp_path: Path) -> None:
    stable = tmp_path / "port0"
    adapter = Adapter(stable)
    opened = connector(str(stable), TERMINAL)
    first = await opened()
    line = Line("bay-a", opened, RTU, LineTiming(0.0, 0.3, 0.05), baud=None)
    with pytest.raises(LineDown, match=f"^{stable}: already open in another program, which `fuser {stable}` names$"):
        await line.exchange(QUERY)
    assert line.counters.failed_openings == 1

    result = await asyncio.to_thread(CliRunner().invoke, probe, [str(stable), *PROBED_AS])
    assert result.exit_code == 1
    assert "already open in another program" in " ".join(result.output.split())

    first.close()
    assert await good_within_s(line) < BACK_WITHIN_S
    line.close()
    adapter.unplug()
