"""The bus recorder itself: it hears every transport and every process, and a planted write does not pass it."""

import asyncio
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.dialects.registry import DialectName, dialect
from drivers.errors import LineDown
from drivers.profile.load import load_profile
from drivers.transport.base import ByteLink, SerialSettings
from drivers.transport.memory import FarEnd
from drivers.transport.rfc2217 import Rfc2217Link
from drivers.transport.serial import open_serial
from drivers.transport.tcp import TcpLink
from tests.bus import recorder
from tests.bus.reads import READS, is_read
from tests.bus.recorder import ROOT, Sent
from tests.contract.profile_wire import FILES
from tests.peers.processes import free_port, probe

SETS_A_REGISTER = bytes.fromhex("01 06 00 01 00 03 9A 0B")
SETTING = {
    "modbus-rtu": [SETS_A_REGISTER, bytes.fromhex("01 05 00 01 FF 00 DD FA"), bytes.fromhex("01 03 00 01 00 01 D5 CB")],
    "modbus-ascii": [b":010600010003F5\r\n", b":010300010001FB\r\n", b":010300010001FA\r\n:010600010003F5\r\n"],
    "modbus-tcp": [bytes.fromhex("0001 0000 0006 01 06 0001 0003"), bytes.fromhex("0001 0000 0005 01 03 0001 00")],
    "julabo": [b"OUT_SP_00 12.0\r", b"out_mode_05 1\r", b"IN_PV_00\rOUT_MODE_05 1\r", b"IN_PV_00", b"A001_OUT_SP_00\r"],
    "nc": [bytes.fromhex(frame) for frame in ("CA 00 01 81 01 00 7C", "CA 00 01 F0 02 00 64 A8", "CA 00 01 20 00 DF")],
    "huber-pb": [b"{M00FE4E\r\n", b"{M140001\r\n", b"{M060001\r\n", b"{M01****"],
    "lauda": [b"OUT_SP_00_30.5\r\n", b"START\r\n", b"STOP\r\n", b"A015_OUT_SP_00_30.5\r", b"OUT_SP_08 5\r\n"],
    "polyscience": [b"SS10.0\r", b"SO1\r", b"SE1\r", b"RT\r\n", b"rt\r"],
}  # fmt: skip
READING = {
    "modbus-rtu": [bytes.fromhex("01 03 00 01 00 01 D5 CA")],
    "modbus-ascii": [b":01030000000BF1\r\n"],
    "modbus-tcp": [bytes.fromhex("0001 0000 0006 FF 04 0001 0003")],
    "julabo": [b"IN_PV_00\r", b"in_mode_05\r", b"A001_STATUS\r", b"version\r"],
    "nc": [bytes.fromhex("CA 00 01 20 00 DE"), bytes.fromhex("CA 00 01 09 00 F5"), bytes.fromhex("CA 00 01 70 00 8E")],
    "huber-pb": [b"{M01****\r\n", b"{M0A****\r\n"],
    "lauda": [b"IN_PV_00\r\n", b"STATUS\r", b"A015_IN_SP_08\r", b"STAT\r\n"],
    "polyscience": [b"RT\r", b"RW\r", b"R1\r"],
}


def test_there_is_a_rule_for_every_dialect() -> None:
    assert {str(name) for name in DialectName} <= READS.keys()
    assert READS.keys() == SETTING.keys() == READING.keys()
    assert not is_read("a dialect to come", READING["julabo"][0])


@pytest.mark.parametrize("name", READS)
def test_what_sets_does_not_pass_as_a_read(name: str) -> None:
    assert [frame for frame in SETTING[name] if is_read(name, frame)] == []
    assert [frame for frame in READING[name] if not is_read(name, frame)] == []


@pytest.mark.requirement("REQ-DEVICE-1")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_whatever_a_profile_asks_is_known_to_read(path: Path) -> None:
    profile = load_profile(path)
    unit_ids = [None] if profile.address is None else [profile.address.min or 1, profile.address.default]
    for unit_id in unit_ids:
        for block in profile.blocks:
            frame = dialect(profile.dialect).encode(block.query(unit_id), 1)
            assert is_read(profile.dialect, frame), frame


SETTERS = """
import asyncio, subprocess, sys
import pytest
from drivers.dialects.base import ModbusQuery, TextQuery
from drivers.dialects.modbus_rtu import ModbusRtu
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import NoReply
from drivers.line import Line, LineTiming
from drivers.transport.memory import null_modem
from tests.bus.recorder import folder

TIMING = LineTiming(gap_s=0.0, timeout_s=0.01, drain_s=0.0)
CHILD = '''
import asyncio, sys, planted
from tests.bus.recorder import recorded_into
with recorded_into(sys.argv[1]):
    asyncio.run(planted.test_sets_by_a_command())
'''

class Planted(ModbusRtu):
    def encode(self, query, transaction):
        return bytes.fromhex("01 06 00 01 00 03 9A 0B")

async def ask(codec, query):
    line = Line("planted", null_modem()[0], codec, TIMING)
    with pytest.raises(NoReply):
        await line.exchange(query)
    line.close()

async def test_reads():
    await ask(dialect(DialectName.JULABO), TextQuery("in_pv_00"))
    await ask(dialect(DialectName.MODBUS_RTU), ModbusQuery(1, 3, 0, 1))

async def test_sets_by_a_command():
    await ask(dialect(DialectName.JULABO), TextQuery("out_mode_05 1"))

async def test_sets_by_a_dialect():
    await ask(Planted(), ModbusQuery(1, 3, 0, 1))

def test_sets_in_another_process():
    subprocess.run([sys.executable, "-c", CHILD, str(folder())], check=True)
"""


@pytest.mark.requirement("REQ-DEVICE-1")
def test_a_planted_write_fails_its_test_wherever_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(SETTERS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "tests.conftest",
         "-p", "no:xdist", "-p", "no:cacheprovider", tmp_path / "planted.py"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    failed = re.findall(r"^ERROR \S*::(\w+) - AssertionError: written to a unit", run.stdout, re.MULTILINE)
    assert failed == ["test_sets_by_a_command", "test_sets_by_a_dialect", "test_sets_in_another_process"], run.stdout
    assert "4 passed, 3 errors" in run.stdout


def descendants(kind: type) -> set[type]:
    return {each for child in kind.__subclasses__() for each in (child, *descendants(child))}


async def test_every_transport_is_heard() -> None:
    master, slave = os.openpty()
    serial = await open_serial(os.ttyname(slave), SerialSettings())
    links = [serial, FarEnd().open(), TcpLink("peer"), Rfc2217Link("peer")]
    ours = {each for each in descendants(ByteLink) if each.__module__.startswith("drivers.")}  # tests may have theirs
    assert {type(link) for link in links} == ours
    for link in links:
        with suppress(LineDown):  # two are not connected
            link.write(b"\xff")
        link.close()
    assert [Sent(recorder.NO_LINE, __name__, b"\xff")] * len(links) == recorder.WRITTEN
    os.close(master)
    os.close(slave)


async def test_a_command_in_a_process_of_its_own_is_heard() -> None:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r")
        writer.close()

    recorder.children_sent()
    port = free_port()
    async with await asyncio.start_server(hear, "127.0.0.1", port):
        await probe(f"socket://127.0.0.1:{port}", "--profile", "julabo-cf")
    sent = recorder.children_sent()
    assert {(each.dialect, each.module) for each in sent} == {("julabo", "drivers.line")}
    assert all(each.is_allowed for each in sent)


STARTS = re.compile(r'with_name\("capgate"\)|"-m", "gateway"')
OPEN_NO_LINE = {  # these start commands unrecorded: help, checks, records, simulators, bridges, a bench, a container
    "bench/__main__.py",
    "bench/audit.py",
    "bench/drain.py",
    "bench/ledger_size.py",
    "bench/slow_disk.py",
    "bench/start.py",
    "broker/test_bridge_pair.py",
    "bus/test_recorder.py",
    "contract/test_commands.py",
    "crash/test_succession_killed.py",
    "scorecard/contained.py",
    "sim/test_serve.py",
    "unit/gateway/audit/test_record.py",
    "unit/gateway/cli/test_check.py",
}


def test_every_command_that_could_open_a_line_is_started_recorded() -> None:
    tests = ROOT / "tests"
    files = [path for path in tests.rglob("*.py") if "node_modules" not in path.parts]
    found = {str(path.relative_to(tests)) for path in files if STARTS.search(path.read_text())}
    assert found <= OPEN_NO_LINE, "start it by tests.bus.recorder.recorded_capgate"
