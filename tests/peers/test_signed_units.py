"""Modbus units from both registries, read below zero as int16 and float32: modbus-serial, jsmodbus, uModbus, lewis."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.peers.processes import (
    PEERS,
    ROOT,
    announced,
    free_port,
    listening,
    probe,
    program,
    pty_pair,
    running,
    settings,
)

pytestmark = pytest.mark.peers

PROFILES = ROOT / "tests" / "data" / "profiles"
NODE = ROOT / "tests" / "node"
Unit = Callable[[Path], AbstractAsyncContextManager[list[str]]]

UMODBUS = """
import sys
from socketserver import TCPServer
from serial import Serial
from umodbus import conf
from umodbus.server.serial import get_server as serial_server
from umodbus.server.serial.rtu import RTUServer
from umodbus.server.tcp import RequestHandler, get_server as tcp_server

conf.SIGNED_VALUES = True
words = {0: -42, 1: 0xC088 - 0x10000}
kind, place = sys.argv[1:]
if kind == "rtu":
    server = serial_server(RTUServer, Serial(place, 19200, timeout=0.05))
else:
    server = tcp_server(TCPServer, ("127.0.0.1", int(place)), RequestHandler)

@server.route(slave_ids=[1], function_codes=[3], addresses=list(range(16)))
def register(slave_id, function_code, address):
    return words.get(address, 0)

print("ready", flush=True)
server.serve_forever()
"""


def script(name: str) -> str:
    """A script beside the npm packages. Fails the test where they are not installed."""
    if not (NODE / "node_modules" / "jsmodbus").is_dir():
        pytest.fail("the npm peers are not installed: run `make test`, which installs them")
    return str(NODE / name)


@asynccontextmanager
async def on_tcp(*command: str) -> AsyncGenerator[list[str]]:
    """How to probe a peer that takes a port as its last argument."""
    port = free_port()
    async with announced(*command, str(port)):
        yield [f"socket://127.0.0.1:{port}", *settings(dialect="modbus-tcp")]


@asynccontextmanager
async def on_a_serial_line(folder: Path, *command: str) -> AsyncGenerator[list[str]]:
    """How to probe a peer that takes a serial port as its last argument."""
    near, far = folder / "near", folder / "far"
    async with pty_pair(near, far), announced(*command, str(near)):
        yield [str(far)]


def modbus_serial_over_tcp(folder: Path) -> AbstractAsyncContextManager[list[str]]:
    return on_tcp(program("node"), script("modbus_serial_unit.mjs"), "tcp")


def modbus_serial_over_a_serial_line(folder: Path) -> AbstractAsyncContextManager[list[str]]:
    return on_a_serial_line(folder, program("node"), script("modbus_serial_unit.mjs"), "rtu")


def jsmodbus_over_tcp(folder: Path) -> AbstractAsyncContextManager[list[str]]:
    return on_tcp(program("node"), script("jsmodbus_unit.mjs"))


def umodbus_over_tcp(folder: Path) -> AbstractAsyncContextManager[list[str]]:
    return on_tcp(str(PEERS / "python"), "-c", UMODBUS, "tcp")


def umodbus_over_a_serial_line(folder: Path) -> AbstractAsyncContextManager[list[str]]:
    return on_a_serial_line(folder, str(PEERS / "python"), "-c", UMODBUS, "rtu")


@asynccontextmanager
async def lewis_over_tcp(folder: Path) -> AsyncGenerator[list[str]]:
    """lewis' Modbus example, whose registers a master has to fill first: mbpoll does."""
    port = free_port()
    protocol = f"modbus: {{bind_address: 127.0.0.1, port: {port}}}"
    async with running(program("lewis"), "-k", "lewis.examples", "modbus_device", "-p", protocol):
        await listening(port)
        place = ("-m", "tcp", "-a", "1", "-p", str(port), "-t", "4", "-0", "-r", "0", "127.0.0.1")
        async with running(program("mbpoll"), *place, "65494", str(0xC088), "0") as master:
            assert await master.wait() == 0
        yield [f"socket://127.0.0.1:{port}", *settings(dialect="modbus-tcp")]


@pytest.mark.parametrize(
    "unit",
    [
        modbus_serial_over_tcp,
        modbus_serial_over_a_serial_line,
        jsmodbus_over_tcp,
        umodbus_over_tcp,
        umodbus_over_a_serial_line,
        lewis_over_tcp,
    ],
)
async def test_a_unit_that_others_wrote_is_read_below_zero(unit: Unit, tmp_path: Path) -> None:
    async with unit(tmp_path) as place:
        code, answer = await probe(*place, "--profile", "peer-signed", "--profiles", str(PROFILES))
    assert (code, answer.faults) == (0, [])
    assert (answer.value("coolant_supply"), answer.value("coolant_return")) == (-4.2, -4.25)


@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        (modbus_serial_over_tcp, "refused"),
        (modbus_serial_over_a_serial_line, "refused"),
        (umodbus_over_tcp, "refused"),
        (umodbus_over_a_serial_line, "refused"),
        (jsmodbus_over_tcp, "garbled"),  # an empty success
    ],
)
async def test_a_register_that_a_unit_lacks_is_a_fault_and_never_a_value(unit: Unit, kind: str, tmp_path: Path) -> None:
    async with unit(tmp_path) as place:
        code, answer = await probe(*place, "--profile", "peer-beyond", "--profiles", str(PROFILES))
    assert (code, answer.fault_kinds, answer.value("coolant_supply")) == (1, [kind], None)


async def test_a_unit_id_that_nobody_has_stays_without_an_answer(tmp_path: Path) -> None:
    async with modbus_serial_over_a_serial_line(tmp_path) as place:
        code, answer = await probe(*place, "--profile", "peer-signed", "--profiles", str(PROFILES), "--unit-id", "5")
    assert (code, answer.fault_kinds, answer.value("coolant_supply")) == (1, ["timeout"], None)
