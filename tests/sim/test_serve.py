"""Simulated units on real lines: asked with bytes written by hand, so that no codec is checked against itself."""

import asyncio
import json
import os
import signal
import sys
import termios
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from simulators.control import controlling, execute
from simulators.scenario.scenario import load_scenario
from simulators.serve import CannotServe, Plant
from simulators.unit import Moment

HANGS_S = 50.0  # what takes longer does not happen at all
MODBUS_TCP_ALL = bytes.fromhex("000100000006 01 04 0000 0040")
RTU_UNIT_3 = bytes.fromhex("03 04 0004 0001 71e9")
RTU_UNIT_4 = bytes.fromhex("04 04 0004 0001 705e")
RTU_UNIT_5 = bytes.fromhex("05 04 0004 0001 718f")
SILENCE_S = 0.15


def scenario_text(line: str, units: str, rest: str = "") -> str:
    return f"""
schema = 1
name = "test"
length_min = 60
{rest}
[[line]]
id = "line-1"
{line}
{units}
"""


def unit_text(name: str, make: str, unit_id: int | None, set_point_c: float = -4.0, caps: int = 1) -> str:
    address = "" if unit_id is None else f"unit_id = {unit_id}"
    return f"""
[[unit]]
id = "{name}"
line = "line-1"
map = "{make}"
serial_number = "S-{name}"
set_point_c = {set_point_c}
caps = {caps}
{address}
"""


class Time:
    """Simulated seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


Serve = Callable[[str], AbstractAsyncContextManager[tuple[Plant, str]]]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def moments() -> asyncio.Queue[Moment]:
    return asyncio.Queue(maxsize=100)


@pytest.fixture
def serve(tmp_path: Path, time: Time, moments: asyncio.Queue[Moment]) -> Serve:
    @asynccontextmanager
    async def serving(text: str) -> AsyncGenerator[tuple[Plant, str]]:
        file = tmp_path / "scenario.toml"
        file.write_text(text)
        plant = Plant(load_scenario(file), time, moments.put_nowait)
        async with plant.serving() as urls:
            yield plant, urls["line-1"]

    return serving


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("socket://").split(":")
    return await asyncio.open_connection(host, int(port))


async def ask(url: str, request: bytes, length: int) -> bytes:
    reader, writer = await connect(url)
    writer.write(request)
    try:
        async with asyncio.timeout(HANGS_S):
            return await reader.readexactly(length)
    finally:
        writer.close()
        await writer.wait_closed()


async def is_silent(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(SILENCE_S):
            await reader.readexactly(1)
    except TimeoutError:
        return True
    return False


TCP_UNIT = scenario_text(
    'dialect = "modbus-tcp"\ntcp = "127.0.0.1:0"', unit_text("cap-01", "reference", 1, set_point_c=-4.0, caps=2)
)


async def test_the_reference_unit_answers_its_documents_worked_exchange(serve: Serve, time: Time) -> None:
    async with serve(TCP_UNIT) as (plant, url):
        time.s = 42
        for cap in (1, 2):
            execute(plant, json.dumps({"unit": "cap-01", "cap": cap, "do": "connect"}).encode())
            execute(plant, json.dumps({"unit": "cap-01", "cap": cap, "do": "start"}).encode())
        execute(plant, b'{"unit": "cap-01", "set": {"supply_c": -4.2, "return_c": -3.3}}')
        reply = await ask(url, MODBUS_TCP_ALL, 137)
    head = bytes.fromhex("00 01 00 00 00 83 01 04 80 43 47 00 01 00 02 00 2A FE 5C FE B6 FE 70 00 F0")
    assert reply[: len(head)] == head
    assert not any(reply[len(head) + 4 : 9 + 28])  # alarm bits are clear, reserved registers zero


async def test_requests_in_pieces_or_together_are_each_answered(serve: Serve) -> None:
    async with serve(TCP_UNIT) as (_, url):
        reader, writer = await connect(url)
        writer.write(MODBUS_TCP_ALL[:7])
        await asyncio.sleep(0.02)
        writer.write(MODBUS_TCP_ALL[7:] + MODBUS_TCP_ALL)
        async with asyncio.timeout(HANGS_S):
            both = await reader.readexactly(2 * 137)
        writer.close()
    assert both[:137] == both[137:]


async def test_what_was_never_finished_is_forgotten_after_a_silence(serve: Serve) -> None:
    async with serve(TCP_UNIT) as (_, url):
        reader, writer = await connect(url)
        writer.write(MODBUS_TCP_ALL[:7])
        await asyncio.sleep(0.6)
        writer.write(MODBUS_TCP_ALL)
        async with asyncio.timeout(HANGS_S):
            assert (await reader.readexactly(137))[:9] == bytes.fromhex("00 01 00 00 00 83 01 04 80")
        writer.close()


async def test_writes_are_refused_and_another_unit_id_is_silence(serve: Serve) -> None:
    async with serve(TCP_UNIT) as (_, url):
        refused = await ask(url, bytes.fromhex("0002 0000 0006 01 06 0006 0000"), 9)
        assert refused == bytes.fromhex("0002 0000 0003 01 86 01")
        reader, writer = await connect(url)
        writer.write(bytes.fromhex("0003 0000 0006 02 04 0000 0001"))
        assert await is_silent(reader)
        writer.close()


async def test_units_on_one_line_answer_to_their_ids_alone(serve: Serve) -> None:
    units = unit_text("a", "reference", 3, -4.0) + unit_text("b", "reference", 4, -6.5)
    async with serve(scenario_text('dialect = "modbus-rtu"\ntcp = "127.0.0.1:0"', units)) as (_, url):
        assert (await ask(url, RTU_UNIT_3, 7))[:5] == bytes.fromhex("03 04 02 fe70")
        assert (await ask(url, RTU_UNIT_4, 7))[:5] == bytes.fromhex("04 04 02 fd76")
        reader, writer = await connect(url)
        writer.write(RTU_UNIT_5)
        assert await is_silent(reader)
        writer.close()


async def test_the_hrs_answers_in_ascii(serve: Serve) -> None:
    line = 'dialect = "modbus-ascii"\ntcp = "127.0.0.1:0"'
    async with serve(scenario_text(line, unit_text("a", "smc-hrs", 1, -4.2))) as (_, url):
        reply = await ask(url, b":01030000000BF1\r\n", 55)
        assert reply.startswith(b":010316FFD6000000000000002000000000")
        assert reply.endswith(b"\r\n")
        assert await ask(url, b":010301000007F4\r\n", 11) == b":0183027A\r\n"  # the manual's own example


async def pty_exchange(path: str, request: bytes, length: int) -> bytes:
    terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(terminal, request)
        reply = b""
        async with asyncio.timeout(HANGS_S):
            while len(reply) < length:
                reply += await asyncio.to_thread(os.read, terminal, length - len(reply))
        return reply
    finally:
        os.close(terminal)


JULABO_LINE = 'dialect = "julabo"\npty = "{link}"'


async def test_a_pseudo_terminal_is_raw_and_can_be_opened_again_and_again(serve: Serve, tmp_path: Path) -> None:
    link = tmp_path / "ttyJulabo"
    link.symlink_to("/dev/null/left-behind-by-an-earlier-run")
    text = scenario_text(JULABO_LINE.format(link=link), unit_text("bath", "julabo", None, -5.25))
    async with serve(text) as (_, path):
        assert path == str(link)
        for _ in range(3):
            assert await pty_exchange(path, b"in_pv_00\r", 7) == b"-5.25\r\n"
        assert await pty_exchange(path, b"OUT_MODE_05 1\rNONSENSE\rIN_MODE_05\r", 3) == b"0\r\n"
    assert not link.is_symlink()


async def test_a_terminal_without_a_path_is_known_by_its_own_name(serve: Serve) -> None:
    text = scenario_text(JULABO_LINE.format(link="auto"), unit_text("bath", "julabo", None))
    async with serve(text) as (_, path):
        assert path.startswith("/dev/pts/")
        assert await pty_exchange(path, b"STATUS\r", 16) == b"00 MANUAL STOP\r\n"


async def test_a_terminal_that_nobody_reads_loses_bytes_and_nothing_else(serve: Serve) -> None:
    text = scenario_text(JULABO_LINE.format(link="auto"), unit_text("bath", "julabo", None))
    async with serve(text) as (_, path):
        terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
        for _ in range(60):
            os.write(terminal, b"STATUS\r" * 20)
            await asyncio.sleep(0)
        os.close(terminal)
        await asyncio.sleep(0.05)
        reader = os.open(path, os.O_RDWR | os.O_NOCTTY)
        termios.tcflush(reader, termios.TCIFLUSH)  # as whoever opens a line does
        os.close(reader)
        assert await pty_exchange(path, b"IN_SP_00\r", 7) == b"-4.00\r\n"


async def test_a_late_answer_comes_after_its_delay_and_never_after_the_connection(serve: Serve) -> None:
    async with serve(TCP_UNIT) as (plant, url):
        execute(plant, b'{"unit": "cap-01", "fault": "late", "delay_s": 0.2}')
        start = asyncio.get_running_loop().time()
        assert len(await ask(url, MODBUS_TCP_ALL, 137)) == 137
        assert asyncio.get_running_loop().time() - start >= 0.2
        _, writer = await connect(url)
        writer.write(MODBUS_TCP_ALL)
        await writer.drain()
        writer.close()
        await asyncio.sleep(0.25)  # the answer would come now; a write to the closed connection would warn


@pytest.mark.parametrize("fault", ["lost", "power-cut"])
async def test_a_unit_that_cannot_answer_is_silence_and_comes_back(serve: Serve, time: Time, fault: str) -> None:
    async with serve(TCP_UNIT) as (plant, url):
        execute(plant, json.dumps({"unit": "cap-01", "fault": fault, "for_s": 30}).encode())
        reader, writer = await connect(url)
        writer.write(MODBUS_TCP_ALL)
        assert await is_silent(reader)
        time.s = 31
        writer.write(MODBUS_TCP_ALL)
        async with asyncio.timeout(HANGS_S):
            assert len(await reader.readexactly(137)) == 137
        writer.close()


async def test_scripts_go_on_though_nobody_asks(serve: Serve, time: Time, moments: asyncio.Queue[Moment]) -> None:
    patient = """
[[patient]]
visit = "V-1"
unit = "cap-01"
step = [ { at_min = 1, do = "arrive" }, { at_min = 2, do = "precool" }, { at_min = 30, do = "stop" } ]
"""
    async with serve(TCP_UNIT + patient) as (plant, _), asyncio.timeout(HANGS_S):
        time.s = 150
        received = [await moments.get(), await moments.get()]
        assert [(moment.at_s, moment.what) for moment in received] == [(60, "V-1 arrive"), (120, "V-1 precool")]
        time.s = 1900
        assert (await moments.get()).what == "V-1 stop"
        assert plant.unit("cap-01").machine.cap(1).elapsed_s == 28 * 60


def test_units_are_served_on_uvloop_as_well(serve: Serve) -> None:
    async def both_kinds_of_line() -> None:
        async with serve(TCP_UNIT) as (_, url):
            assert len(await ask(url, MODBUS_TCP_ALL, 137)) == 137
        text = scenario_text(JULABO_LINE.format(link="auto"), unit_text("bath", "julabo", None))
        async with serve(text) as (_, path):
            assert await pty_exchange(path, b"IN_SP_00\r", 7) == b"-4.00\r\n"

    uvloop.run(both_kinds_of_line())


async def test_a_place_that_is_taken_is_told_with_its_line(serve: Serve) -> None:
    async with serve(TCP_UNIT) as (_, url):
        taken = TCP_UNIT.replace("127.0.0.1:0", url.removeprefix("socket://"))
        with pytest.raises(CannotServe, match=r"line line-1 at 127\.0\.0\.1:"):
            async with serve(taken):
                pass


async def test_commands_come_over_the_loopback_one_a_line(serve: Serve) -> None:
    async with serve(TCP_UNIT) as (plant, _), controlling(plant, "127.0.0.1", 0) as place:
        reader, writer = await connect(place)
        writer.write(b'{"unit": "cap-01", "do": "connect"}\n{"get": "cap-')
        async with asyncio.timeout(HANGS_S):
            assert json.loads(await reader.readline()) == {"ok": True}
            writer.write(b'01"}\nnonsense\n')
            assert json.loads(await reader.readline())["caps"][0]["connected"] is True
            assert "accepted" in json.loads(await reader.readline())
        writer.close()


async def test_control_keeps_to_the_loopback(serve: Serve) -> None:
    async with serve(TCP_UNIT) as (plant, _):
        with pytest.raises(CannotServe, match="not the loopback"):
            async with controlling(plant, "0.0.0.0", 0):
                pass


async def run_cli(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "simulate", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def finished(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    async with asyncio.timeout(HANGS_S):
        out, err = await process.communicate()
    if process.returncode is None:
        raise AssertionError("the process has no exit code")
    return process.returncode, out.decode(), err.decode()


async def within(seconds: float, line: Awaitable[bytes]) -> str:
    async with asyncio.timeout(seconds):
        return (await line).decode()


async def test_capgate_simulate_names_every_endpoint_first_and_ends_well_when_told_to() -> None:
    process = await run_cli("--json", "--speed", "60", "--control", "127.0.0.1:0")
    if process.stdout is None:
        raise AssertionError("no output to read")
    start = json.loads(await within(HANGS_S, process.stdout.readline()))
    assert [endpoint["unit"] for endpoint in start["endpoints"]] == ["cap-01", "cap-02", "cap-03", "aux-04"]
    assert len(await ask(start["endpoints"][0]["url"], MODBUS_TCP_ALL, 137)) == 137
    moment = json.loads(await within(HANGS_S, process.stdout.readline()))
    assert moment["what"].endswith("arrive")
    process.send_signal(signal.SIGTERM)
    code, _, err = await finished(process)
    assert (code, err) == (0, "")


async def test_capgate_simulate_runs_to_its_scenarios_end_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    file.write_text(
        TCP_UNIT.replace("length_min = 60", "length_min = 1")
        + '[[patient]]\nvisit = "V-1"\nunit = "cap-01"\nstep = [ { at_min = 1, do = "arrive" } ]\n'
    )
    code, out, err = await finished(await run_cli(str(file), "--speed", "200", "--until-end"))
    assert (code, err) == (0, "")
    assert "capgate probe socket://127.0.0.1:" in out
    assert "1:00 cap-01 cap 1: V-1 arrive" in out


async def test_capgate_simulate_tells_all_that_is_wrong_with_a_scenario_and_exits_2(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(TCP_UNIT.replace('line = "line-1"', 'line = "line-2"').replace("caps = 2", 'caps = "two"'))
    code, _, err = await finished(await run_cli(str(file)))
    assert code == 2
    assert "caps" in err
    file.write_text(TCP_UNIT.replace('line = "line-1"', 'line = "line-2"').replace("caps = 2", "caps = 2\nunknown = 1"))
    code, _, err = await finished(await run_cli(str(file)))
    assert code == 2
    assert "unknown key" in err
