"""Third-party masters read the simulated units: mbpoll (libmodbus), minimalmodbus, plain pyserial."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import minimalmodbus
import pytest
import serial

from simulators.control import execute
from simulators.scenario.scenario import load_scenario
from simulators.serve import Plant
from tests.peers.processes import PEERS, program

pytestmark = pytest.mark.peers

TIMEOUT_S = 50
Serve = Callable[[str, str], AbstractAsyncContextManager[tuple[Plant, str]]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """One unit on one line, with time stopped, so that values stay as set."""

    @asynccontextmanager
    async def serving(line: str, unit: str) -> AsyncGenerator[tuple[Plant, str]]:
        file = tmp_path / "scenario.toml"
        file.write_text(f"""
schema = 1
name = "peers"
length_min = 1
[[line]]
id = "line-1"
{line}
[[unit]]
id = "cap-01"
line = "line-1"
serial_number = "RCU1-000417"
set_point_c = -4.0
{unit}
""")
        plant = Plant(load_scenario(file), lambda: 0.0, lambda _: None)
        async with plant.serving() as urls:
            yield plant, urls["line-1"]

    return serving


@pytest.fixture
def pty(tmp_path: Path) -> str:
    return str(tmp_path / "ttyUnit")


def command(plant: Plant, text: str) -> None:
    answer = execute(plant, text.encode())
    assert answer == {"ok": True}, answer


async def mbpoll(*arguments: str) -> dict[int, int]:
    """What mbpoll prints: printed address (base 1) -> signed value."""
    process = await asyncio.create_subprocess_exec(
        program("mbpoll"), "-1", "-q", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(TIMEOUT_S):
        output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text
    rows = re.findall(r"^\[(\d+)\]:\s+(\d+)(?: \((-?\d+)\))?", text, re.MULTILINE)
    return {int(address): int(signed or unsigned) for address, unsigned, signed in rows}


async def check_reference_unit(plant: Plant, *place: str) -> None:
    """Every register, by the base-1 numbers that the map's document prints (30001 is 1 here)."""
    for cap in (1, 2):
        command(plant, f'{{"unit": "cap-01", "cap": {cap}, "do": "connect"}}')
    command(plant, '{"unit": "cap-01", "cap": 2, "do": "start"}')
    command(plant, '{"unit": "cap-01", "set": {"supply_c": -4.2, "return_c": -3.3}}')
    command(plant, '{"unit": "cap-01", "cap": 2, "set": {"front_c": -0.01, "back_c": -12.34, "safety_c": 3.5}}')
    for table in ("3", "4"):  # mbpoll: 3 input registers, 4 holding registers
        registers = await mbpoll(*place[:-1], "-t", table, "-r", "1", "-c", "64", place[-1])
        assert len(registers) == 64
        assert [registers[number] for number in range(1, 11)] == [0x4347, 1, 2, 0, -420, -330, -400, 120, 1, 0]
        assert registers[15] == 0x5243  # "RC"
        assert [registers[number] for number in range(33, 38)] == [0, 1, 2200, 2200, 2200]
        assert [registers[number] for number in range(49, 58)] == [1, 3, -1, -1234, 350, 120, 0, 0, 1]


async def test_mbpoll_reads_every_register_of_the_reference_unit_over_tcp(serve: Serve) -> None:
    line = 'dialect = "modbus-tcp"\ntcp = "127.0.0.1:0"'
    async with serve(line, 'map = "reference"\nunit_id = 1\ncaps = 2') as (plant, url):
        host, port = url.removeprefix("socket://").split(":")
        await check_reference_unit(plant, "-m", "tcp", "-a", "1", "-p", port, host)


async def test_mbpoll_reads_every_register_of_the_reference_unit_over_a_serial_line(serve: Serve, pty: str) -> None:
    line = f'dialect = "modbus-rtu"\npty = "{pty}"'
    async with serve(line, 'map = "reference"\nunit_id = 17\ncaps = 2') as (plant, path):
        await check_reference_unit(plant, "-m", "rtu", "-a", "17", "-b", "19200", "-P", "none", path)


async def test_mbpoll_reads_the_eurotherm_over_a_serial_line(serve: Serve, pty: str) -> None:
    line = f'dialect = "modbus-rtu"\npty = "{pty}"'
    async with serve(line, 'map = "eurotherm"\nunit_id = 3') as (plant, path):
        command(plant, '{"unit": "cap-01", "set": {"supply_c": -4.3}}')
        place = ("-m", "rtu", "-a", "3", "-b", "9600", "-P", "none", "-0", "-t", "4")
        assert await mbpoll(*place, "-r", "1", "-c", "2", path) == {1: -43, 2: -40}


@asynccontextmanager
async def instrument(path: str, unit_id: int, mode: str) -> AsyncGenerator[minimalmodbus.Instrument]:
    master = minimalmodbus.Instrument(path, unit_id, mode=mode)
    try:
        if master.serial is None:
            pytest.fail("minimalmodbus opened no port")
        master.serial.timeout = 1.0
        yield master
    finally:
        if master.serial is not None:
            master.serial.close()


async def test_minimalmodbus_reads_the_hrs_in_ascii_below_zero(serve: Serve, pty: str) -> None:
    line = f'dialect = "modbus-ascii"\npty = "{pty}"'
    async with (
        serve(line, 'map = "smc-hrs"\nunit_id = 5') as (plant, path),
        instrument(path, 5, minimalmodbus.MODE_ASCII) as master,
    ):
        command(plant, '{"unit": "cap-01", "set": {"supply_c": -4.2}}')
        command(plant, '{"unit": "cap-01", "do": "start"}')
        assert await asyncio.to_thread(master.read_register, 0, 1, 3, True) == -4.2
        assert await asyncio.to_thread(master.read_registers, 0, 11) == [
            0xFFD6, 0, 13, 0, 0x0221, 0, 0, 0, 0, 0, 0,
        ]  # fmt: skip
        command(plant, '{"unit": "cap-01", "set": {"fahrenheit": true, "supply_c": -21.0}}')
        assert await asyncio.to_thread(master.read_register, 0, 1, 3, True) == -5.8
        with pytest.raises(minimalmodbus.IllegalRequestError):
            await asyncio.to_thread(master.read_registers, 0x0100, 7)


async def test_minimalmodbus_reads_the_reference_unit_in_rtu_and_may_not_write(serve: Serve, pty: str) -> None:
    line = f'dialect = "modbus-rtu"\npty = "{pty}"'
    async with (
        serve(line, 'map = "reference"\nunit_id = 1') as (plant, path),
        instrument(path, 1, minimalmodbus.MODE_RTU) as master,
    ):
        command(plant, '{"unit": "cap-01", "set": {"supply_c": -0.01}}')
        assert await asyncio.to_thread(master.read_register, 4, 2, 4, True) == -0.01
        assert await asyncio.to_thread(master.read_string, 14, 8, 4) == "RCU1-000417\0\0\0\0\0"
        with pytest.raises(minimalmodbus.IllegalRequestError):
            await asyncio.to_thread(master.write_register, 6, 100)
        with pytest.raises(minimalmodbus.IllegalRequestError):
            await asyncio.to_thread(master.read_registers, 60, 5, 4)


async def test_pyserial_talks_to_the_julabo(serve: Serve, pty: str) -> None:
    def ask(text: bytes) -> bytes:
        with serial.Serial(path, 4800, timeout=1.0) as port:
            port.write(text)
            return port.read_until(b"\n")

    line = f'dialect = "julabo"\npty = "{pty}"'
    async with serve(line, 'map = "julabo"') as (plant, path):
        command(plant, '{"unit": "cap-01", "set": {"supply_c": -4.12}}')
        assert await asyncio.to_thread(ask, b"IN_PV_00\r") == b"-4.12\r\n"
        assert await asyncio.to_thread(ask, b"in_sp_00\r") == b"-4.00\r\n"
        command(plant, '{"unit": "cap-01", "do": "start"}')
        assert await asyncio.to_thread(ask, b"STATUS\r") == b"01 MANUAL START\r\n"
        assert await asyncio.to_thread(ask, b"OUT_SP_00 12.0\r") == b""
        assert await asyncio.to_thread(ask, b"IN_SP_00\r") == b"-4.00\r\n"


HUBER = """
import asyncio, json, sys
from huber import Bath
Bath.port = int(sys.argv[1])
async def main():
    async with Bath("127.0.0.1") as bath:
        everything = await bath.get()
        print(json.dumps([await bath.get_bath_temperature(), await bath.get_setpoint(), everything]))
asyncio.run(main())
"""

JULABO = """
import json, sys
from julabo import JulaboCF, connection_for_url
connection = connection_for_url(sys.argv[1], concurrency="syncio")
connection.open()
unit = JulaboCF(connection)
names = ["identification", "status", "bath_temperature", "heating_power", "external_temperature", "safety_temperature",
         "set_point_1", "set_point_2", "set_point_3", "high_temperature", "low_temperature", "active_set_point_channel",
         "self_tunning", "external_input", "temperature_control", "is_started"]
print(json.dumps({name: getattr(unit, name)() for name in names}))
"""


async def run_peer(script: str, argument: str) -> object:
    """What the script prints as JSON, run in the peers' environment."""
    process = await asyncio.create_subprocess_exec(
        PEERS / "python", "-c", script, argument, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(TIMEOUT_S):
        output, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(output)


async def test_the_julabo_client_reads_everything_it_knows(serve: Serve) -> None:
    async with serve('dialect = "julabo"\ntcp = "127.0.0.1:0"', 'map = "julabo"') as (plant, url):
        command(plant, '{"unit": "cap-01", "set": {"supply_c": -4.12}}')
        said = await run_peer(JULABO, url.replace("socket://", "tcp://"))
    assert isinstance(said, dict)
    assert (said["bath_temperature"], said["set_point_1"], said["set_point_2"]) == (-4.12, -4.0, 20.0)
    assert (said["active_set_point_channel"], said["is_started"]) == (1, False)


async def test_the_huber_client_reads_the_huber_unit_below_zero(serve: Serve) -> None:
    async with serve('dialect = "huber-pb"\ntcp = "127.0.0.1:0"', 'map = "huber"') as (plant, url):
        command(plant, '{"unit": "cap-01", "set": {"supply_c": -4.34}}')
        said = await run_peer(HUBER, url.rpartition(":")[2])
    assert isinstance(said, list)
    assert said[:2] == [-4.34, -4.0]
    assert said[2]["temperature"] == {"bath": -4.34, "setpoint": -4.0}
