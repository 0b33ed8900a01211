"""Julabo units that others simulated: lewis (both firmware versions) and sinstruments with julabo's own simulator."""

from pathlib import Path

import pytest

from tests.peers.julabo_units import lewis, sinstruments
from tests.peers.processes import appears, probe, program, pty_settings, running

pytestmark = pytest.mark.peers

FIRMWARES = ["julabo-version-1", "julabo-version-2"]  # lines end in CRLF or in LF


@pytest.mark.parametrize("firmware", FIRMWARES)
async def test_a_lewis_unit_is_read_below_zero(firmware: str) -> None:
    async with lewis(firmware) as unit:
        code, answer = await probe(unit.url, "--profile", "julabo-cf")
    assert (code, answer.faults) == (0, [])
    assert answer.value("coolant_supply") == -4.2
    assert (answer.run_state, answer.alarms) == ("running", [])
    assert answer.value("circulating", cap=1) is True


@pytest.mark.parametrize("firmware", FIRMWARES)
async def test_an_alarm_of_a_lewis_unit_is_seen(firmware: str) -> None:
    async with lewis(firmware) as unit:
        await unit.set_values(status="-01 LOW LEVEL ALARM")
        code, answer = await probe(unit.url, "--profile", "julabo-cf")
    assert (code, answer.run_state, answer.alarms) == (0, "fault", ["coolant-low"])
    assert answer.value("circulating", cap=1) is False


async def test_a_lewis_unit_that_greets_instead_of_telling_its_status_has_no_run_state() -> None:
    async with lewis(FIRMWARES[0]) as unit:
        await unit.set_values(status="Hello from the simulated Julabo")
        code, answer = await probe(unit.url, "--profile", "julabo-cf")
    assert (code, answer.run_state) == (0, "unknown")
    qualities = {point.name: point.quality for point in answer.points}
    assert qualities["coolant_supply"] == "suspect", "whether its probe is well cannot be told"
    assert answer.value("circulating", cap=1) is None


async def test_a_lewis_unit_is_read_through_a_serial_port(tmp_path: Path) -> None:
    tty = tmp_path / "tty"
    async with (
        lewis(FIRMWARES[0]) as unit,
        running(program("socat"), f"pty,link={tty},raw,echo=0", f"tcp:127.0.0.1:{unit.port}"),
    ):
        await appears(tty)
        code, answer = await probe(str(tty), "--profile", "julabo-cf", *pty_settings())
    assert (code, answer.faults, answer.value("coolant_supply")) == (0, [], -4.2)


async def test_a_sinstruments_unit_is_read_over_tcp_and_a_serial_port(tmp_path: Path) -> None:
    async with sinstruments(tmp_path) as (port, tty):
        for line, more in ((f"socket://127.0.0.1:{port}", ()), (str(tty), pty_settings())):
            code, answer = await probe(line, "--profile", "julabo-cf", *more)
            assert (code, answer.faults, answer.run_state) == (0, [], "running"), line
            assert (answer.value("coolant_supply"), answer.value("external_sensor")) == (-4.12, -3.98), line
