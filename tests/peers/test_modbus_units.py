"""Modbus units that others wrote: pyModbusTCP's server, and libmodbus' test server, which misbehaves on purpose."""

import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.peers.processes import (
    PEERS,
    free_port,
    listening,
    probe,
    probe_once_up,
    program,
    pty_pair,
    running,
    settings,
)

pytestmark = pytest.mark.peers

SERVER = """
import sys, time
from pyModbusTCP.server import ModbusServer
server = ModbusServer("127.0.0.1", int(sys.argv[1]), no_block=True)
server.start()
words = [0] * 64
words[0:10] = [0x4347, 1, 1, 42, 0xFE5C, 0xFEB6, 0xFE70, 240, 3, 0]
words[14:16] = [0x5031, 0x3233]
words[32:41] = [2, 3, 65494, 310, 305, 240, 1, 2, 7]
server.data_bank.set_input_registers(0, words)
while True:
    words[3] = (words[3] + 1) % 65536
    server.data_bank.set_input_registers(3, words[3:4])
    time.sleep(1)
"""


async def test_a_pymodbustcp_unit_is_read_below_zero() -> None:
    port = free_port()
    async with running(str(PEERS / "python"), "-c", SERVER, str(port)):
        await listening(port)
        code, answer = await probe(f"socket://127.0.0.1:{port}", "--profile", "reference-cap-unit")
    assert (code, answer.faults) == (0, [])
    assert (answer.value("coolant_supply"), answer.value("cap_front", cap=1)) == (-4.2, -0.42)
    assert answer.value("elapsed", cap=1) == 65538
    assert (answer.run_state, answer.identity["serial_number"]) == ("ready", "P123")


@pytest.fixture(scope="session")
def libmodbus_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libmodbus' unit-test-server, compiled from the example that the distribution ships; its port is its argument."""
    folder = tmp_path_factory.mktemp("libmodbus")
    examples = Path("/usr/share/doc/libmodbus-dev/examples")
    if not examples.is_dir():
        pytest.fail("libmodbus-dev is not installed: run `make test`, which installs it")
    source = (examples / "unit-test-server.c").read_text()
    assert source.count('"/dev/ttyUSB0"') == source.count('modbus_new_tcp("127.0.0.1", 1502)') == 1
    source = source.replace('"/dev/ttyUSB0"', "argv[2]").replace('"127.0.0.1", 1502', '"127.0.0.1", atoi(argv[2])')
    (folder / "server.c").write_text(source)
    (folder / "unit-test.h").write_text((examples / "unit-test.h").read_text())
    flags = subprocess.run(
        [program("pkg-config"), "--cflags", "--libs", "libmodbus"], check=True, capture_output=True, text=True
    ).stdout.split()
    subprocess.run([program("gcc"), "-o", "server", "server.c", *flags], cwd=folder, check=True, capture_output=True)
    return folder / "server"


@asynccontextmanager
async def libmodbus_on_a_serial_line(server: Path, folder: Path) -> AsyncGenerator[str]:
    """The server on one end of a pair of pseudo-terminals; gives the other. Its register 0x160 holds -42 (65494)."""
    near, far = folder / "near", folder / "far"
    async with pty_pair(near, far), running(str(server), "rtu", str(near)):
        place = ("-m", "rtu", "-a", "17", "-b", "115200", "-P", "none", "-t", "4", "-r", str(0x160 + 1), str(far))
        for _ in range(20):  # until the server has opened its end
            async with running(program("mbpoll"), "-o", "0.3", *place, "65494") as master:
                if await master.wait() == 0:
                    break
        else:
            pytest.fail("libmodbus' test server never answered mbpoll")
        yield str(far)


def crc(frame: bytes) -> bytes:
    """CRC-16 of Modbus over serial line V1.02, appendix B, low byte first."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return frame + value.to_bytes(2, "little")


def write_profile(folder: Path, address: int, count: int, form: str = 'type = "int16"') -> list[str]:
    """A profile of `count` holding registers at `address`, the first a temperature in tenths; how to probe with it."""
    request = crc(bytes([17, 3, address >> 8, address & 0xFF, 0, count])).hex(" ")
    reply = crc(bytes([17, 3, 2 * count]) + b"\xff\xd6" + bytes(2 * (count - 1))).hex(" ")
    (folder / "libmodbus.toml").write_text(f"""
schema = 1
dialect = "modbus-rtu"
run_state = []  # it tells none

[identity]
id = "libmodbus"
vendor = "libmodbus"
model = "unit-test-server"
source = "unit-test.h of libmodbus 3.1"
trust = "peer"
revision = 1

[link]
serial = {{ baud = 115200, bits = 8, parity = "none", stop = 1 }}
address = {{ min = 1, max = 255, default = 17 }}

[timing]
gap_ms = 5
timeout_ms = 300
drain_ms = 700
settle_after_open_ms = 100
fastest_poll_ms = 1000

[effects]
reads = "none"

[caps]
count = 1

[[block]]
name = "main"
fc = 3
address = {address}
count = {count}

[after_miss]
fc = 3
address = 0x160
count = 4

[[point]]
name = "coolant_supply"
block = "main"
at = 0
{form}
scale = "0.1"
unit = "degC"
range = [-60, 120]

[circulating]
strength = "none"

[[verify]]
point = "coolant_supply"
within = [-100, 200]

[[golden]]
source = "computed: -4.2"
[[golden.exchanges]]
tx = "{request}"
rx = "{reply}"
[golden.expect]
points = {{ coolant_supply = "-4.2" }}
""")
    return ["--profile", "libmodbus", "--profiles", str(folder)]


async def test_a_libmodbus_unit_is_read_below_zero_over_a_serial_line(libmodbus_server: Path, tmp_path: Path) -> None:
    async with libmodbus_on_a_serial_line(libmodbus_server, tmp_path) as line:
        code, answer = await probe(line, *write_profile(tmp_path, 0x160, 3))
    assert (code, answer.faults) == (0, [])
    assert answer.value("coolant_supply") == -4.2
    assert answer.run_state == "unknown"


async def test_a_block_that_libmodbus_answers_short_is_read_point_by_point(
    libmodbus_server: Path, tmp_path: Path
) -> None:
    async with libmodbus_on_a_serial_line(libmodbus_server, tmp_path) as line:
        code, answer = await probe(line, *write_profile(tmp_path, 0x160, 2))  # of two registers it answers one
    assert (code, answer.faults, answer.value("coolant_supply")) == (0, [], -4.2)


FORMS = {1: 'type = "int16"', 2: 'type = "int32"\norder = "ABCD"'}  # of the registers of a block: one value


@pytest.mark.parametrize(
    ("address", "count", "kind", "hint"),
    [
        pytest.param(0x160, 2, "garbled", "map: whole answers", id="one register for a value of two"),
        pytest.param(0x170, 1, "busy", "unit: ", id="exception 06"),
        pytest.param(0x171, 1, "timeout", "address: another unit answers", id="another unit's id"),
        pytest.param(0x172, 1, "timeout", "timing: ", id="half a second late"),
        pytest.param(0x900, 1, "refused", "map: ", id="exception 02"),
    ],
)
async def test_what_libmodbus_does_wrong_gives_a_fault_and_never_a_value(
    libmodbus_server: Path, tmp_path: Path, address: int, count: int, kind: str, hint: str
) -> None:
    async with libmodbus_on_a_serial_line(libmodbus_server, tmp_path) as line:
        code, answer = await probe(line, *write_profile(tmp_path, address, count, FORMS[count]))
    assert (code, answer.fault_kinds) == (1, [kind])
    assert answer.faults[0].hint.startswith(hint)
    assert answer.value("coolant_supply") is None


async def test_a_reply_that_libmodbus_dribbles_byte_by_byte_is_one_answer(
    libmodbus_server: Path, tmp_path: Path
) -> None:
    port = free_port()
    asked = [*write_profile(tmp_path, 0x173, 1), "--unit-id", "255", *settings(dialect="modbus-tcp")]
    async with running(str(libmodbus_server), "tcp", str(port)):
        code, answer = await probe_once_up(f"socket://127.0.0.1:{port}", *asked)
    assert (code, answer.faults, answer.value("coolant_supply")) == (0, [], 0)


@pytest.mark.parametrize(
    ("address", "count", "kind"),
    [
        pytest.param(0x160, 2, "garbled", id="one register for a value of two"),
        pytest.param(0x170, 1, "busy", id="exception 06"),
        pytest.param(0x171, 1, "timeout", id="another transaction"),
        pytest.param(0x172, 1, "timeout", id="half a second late"),
        pytest.param(0x900, 1, "refused", id="exception 02"),
    ],
)
async def test_what_libmodbus_does_wrong_over_tcp_gives_a_fault_and_never_a_value(
    libmodbus_server: Path, tmp_path: Path, address: int, count: int, kind: str
) -> None:
    port = free_port()
    profile = write_profile(tmp_path, address, count, FORMS[count])
    asked = [*profile, "--unit-id", "255", *settings(dialect="modbus-tcp")]
    async with running(str(libmodbus_server), "tcp", str(port)):
        code, answer = await probe_once_up(f"socket://127.0.0.1:{port}", *asked)
    assert (code, answer.fault_kinds, answer.value("coolant_supply")) == (1, [kind], None)
