"""The first hour with a unit: found on a line, read, recorded, explained, and played back from the record.

All but what is about the port itself runs in virtual time, on lines in memory.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.dialects.registry import DialectName, dialect
from drivers.golden.polls import golden_problems
from drivers.transport.base import SerialSettings
from gateway.cli.capture import command as capture
from gateway.cli.decode import command as decode
from gateway.cli.probe import command as probe
from gateway.cli.scan import command as scan
from gateway.runtime.shipped import shipped_dir
from simulators.endpoints import Write, terminal
from simulators.replayer import ReplayHandler, load_recorded
from simulators.serve import UnitHandler
from tests.bus.reads import crc16
from tests.support.bench import NETWORK, SERIAL, bench, line_in_memory, run, unit, units_of

PATIENT_S = "2"  # for what the machine does in real time
QUICK = ("--timeout", "0.15", "--json")
RTU_KINDS = ("--profile", "watlow-ez-zone", "--profile", "eurotherm-3200")
UNSETTLED = ("--set", "settle_after_open_ms=0", "--set", "gap_ms=0", "--set", "drain_ms=20")


def test_units_on_a_shared_line_are_found_and_named(tmp_path: Path) -> None:
    with bench(tmp_path, "modbus-rtu", unit("watlow", 5), unit("eurotherm", 3)) as url:
        result = run(scan, url, *RTU_KINDS, "--addresses", "2-5", "--own-settings", *QUICK)
    answer = json.loads(result.stdout)
    found = {each["unit"]["unit_id"]: each for each in answer["units"]}
    assert (result.exit_code, sorted(found)) == (0, [3, 5]), result.output
    assert found[5]["likely"] == ["watlow-ez-zone"]
    assert found[3]["likely"] == ["eurotherm-3200"]
    assert found[5]["unit"]["settings"]["baud"] == 9600
    assert found[5]["command"] == f"capgate probe {url} --profile watlow-ez-zone --unit-id 5"
    coolant = {each["profile"]: each["coolant_c"] for each in found[5]["unit"]["matches"]}
    assert coolant["watlow-ez-zone"] == pytest.approx(-4.2, abs=0.1)
    assert answer["left_out"] == ["thermocube"]
    assert "at most " in result.stderr


def takes_8n1_alone(settings: SerialSettings) -> bool:
    """As some pseudo-terminals are: 8N1 or nothing."""
    return str(settings).endswith("8N1")


def test_settings_that_a_port_has_not_are_skipped_and_a_unit_at_other_settings_is_found(tmp_path: Path) -> None:
    with bench(tmp_path, "julabo", unit("julabo"), takes=takes_8n1_alone) as url:
        arguments = ("--profile", "julabo-cf", "--baud", "9600", *QUICK)
        result = run(scan, url, *arguments)
    answer = json.loads(result.stdout)
    assert result.exit_code == 0, result.output
    assert [each["likely"] for each in answer["units"]] == [["julabo-cf"]]
    assert [each.split(":")[0] for each in answer["skipped"]] == ["4800 7E1", "9600 7E1"]
    assert "--set baud=9600 --set bits=8 --set parity=none" in answer["units"][0]["command"]


async def test_the_command_that_a_scan_gives_reads_the_unit_on_a_real_port(tmp_path: Path) -> None:
    (device,) = units_of(tmp_path, "modbus-rtu", unit("smc-hrs", 9))
    language = dialect(DialectName.MODBUS_RTU)
    with terminal("auto", lambda write: UnitHandler(language, {9: device}, lambda _: None, write)) as url:
        kind = ("--profile", "smc-hrs", "--addresses", "9", "--baud", "9600", "--timeout", PATIENT_S, "--json")
        found = await asyncio.to_thread(run, scan, url, *kind)
        words = json.loads(found.stdout)["units"][0]["command"].split()
        result = await asyncio.to_thread(run, probe, *words[2:], "--timeout", PATIENT_S, "--json")
    assert result.exit_code == 0, result.output
    assert "dialect=modbus-rtu" in words
    assert json.loads(result.stdout)["likely"] == ["smc-hrs"]


def test_a_unit_that_minds_no_unit_id_is_told_once(tmp_path: Path) -> None:
    def answered(data: bytes) -> bytes:
        return data[:4] + b"\x00\x03" + data[6:7] + bytes((data[7] | 0x80, 2))

    def answer(data: bytes) -> bytes:
        return answered(data) if data[2:4] == b"\0\0" else b""

    with line_in_memory(lambda write: Always(answer, write)):
        result = run(scan, NETWORK, "--profile", "reference-cap-unit", "--addresses", "1-3", *QUICK)
    (found,) = json.loads(result.stdout)["units"]
    assert (result.exit_code, found["unit"]["any_address"], found["likely"]) == (1, True, [])


def test_an_armed_watchdog_ends_the_scan_before_anything_else_is_asked(tmp_path: Path) -> None:
    with bench(tmp_path, "lauda", unit("lauda", more="watchdog_s = 30\n")) as url:
        result = run(scan, url, *QUICK)
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["requests"]) == (1, 1)
    assert "watchdog is armed" in answer["stopped"]


def test_a_probe_without_a_kind_leaves_a_unit_with_an_armed_watchdog_alone(tmp_path: Path) -> None:
    with bench(tmp_path, "lauda", unit("lauda", more="watchdog_s = 30\n")) as url:
        result = run(probe, url, "--timeout", "0.15", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["profile"], report["points"]) == (1, None, [])
    assert [fault["kind"] for fault in report["faults"]] == ["needs-consent"]
    assert report["findings"]["wiring"]["verdict"] == "ok"


def test_silence_ends_with_what_to_try(tmp_path: Path) -> None:
    with bench(tmp_path, "huber-pb", unit("huber")) as url:
        result = run(scan, url, *RTU_KINDS, "--addresses", "1", "--timeout", "0.05")
    assert result.exit_code == 1
    assert "no unit answers" in result.stdout
    assert "try next: " in result.stdout


def test_a_line_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    result = run(scan, str(tmp_path / "ttyNone"), *QUICK)
    assert result.exit_code == 1
    assert "No such file" in json.loads(result.stdout)["down"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["com1"], "accepted: /dev/..."),
        (["/dev/x", "--addresses", "0-3"], "each from 1 to 255"),
        (["/dev/x", "--profile", "nothing"], "no such profile"),
    ],
)
def test_wrong_use_of_scan_exits_2(arguments: list[str], message: str) -> None:
    result = run(scan, *arguments)
    assert (result.exit_code, message in " ".join(result.stderr.split())) == (2, True)


def test_a_probe_without_a_kind_finds_it(tmp_path: Path) -> None:
    with bench(tmp_path, "polyscience", unit("polyscience")) as url:
        result = run(probe, url, "--timeout", "0.1", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["profile"]) == (0, "polyscience-chiller"), result.output
    assert report["likely"][0] == "polyscience-chiller"


def with_crc(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + crc16(body).to_bytes(2, "little")


class Always:
    """A far end that answers every write in the same way."""

    def __init__(self, answer: Callable[[bytes], bytes], write: Write) -> None:
        self._answer = answer
        self._write = write

    def receive(self, data: bytes) -> None:
        if answer := self._answer(data):
            self._write(answer)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("said", "echo", "wrong", "word"),
    [
        (b"\xf8\x00\xe0\xfc", False, "line_settings", "baud rate"),
        (b"", True, "wiring", "loopback"),
        (with_crc("07 83 02"), False, "address", "address"),
        (with_crc("01 83 02"), False, "map", "profile"),
    ],
)
def test_each_single_thing_that_is_wrong_is_told_from_the_others(
    said: bytes, echo: bool, wrong: str, word: str
) -> None:
    with line_in_memory(lambda write: Always(lambda data: data if echo else said, write)):
        options = ("--profile", "eurotherm-3200", *UNSETTLED, "--timeout", "0.15", "--json")
        result = run(probe, SERIAL, *options)
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    verdicts = {name: each["verdict"] for name, each in report["findings"].items()}
    assert [name for name, verdict in verdicts.items() if verdict == "wrong"] == [wrong], report["findings"]
    assert word in report["findings"][wrong]["next"]


def test_a_port_that_is_held_is_told_with_who_holds_it() -> None:
    near, far = os.openpty()
    held = os.open(os.ttyname(far), os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    result = run(probe, os.ttyname(far), "--profile", "eurotherm-3200", "--json")
    for each in (held, near, far):
        os.close(each)
    port = json.loads(result.stdout)["findings"]["port"]
    assert port["verdict"] == "wrong"
    assert f"(pid {os.getpid()})" in port["evidence"]


RECORDED = {
    "watlow-ez-zone": ("modbus-rtu", "watlow", 5),
    "reference-cap-unit": ("modbus-tcp", "reference", 2),
    "polyscience-ls": ("polyscience", "polyscience-ls", None),
    "thermo-neslab-ex": ("nc", "neslab", None),
}


@pytest.mark.parametrize("kind", RECORDED)
def test_a_capture_is_explained_made_golden_and_played_back(kind: str, tmp_path: Path) -> None:
    dialect, make, unit_id = RECORDED[kind]
    address = () if unit_id is None else ("--unit-id", str(unit_id))
    asked = ("--profile", kind, *address, *UNSETTLED)
    out = tmp_path / "unit.jsonl"
    with bench(tmp_path, dialect, unit(make, unit_id)) as url:
        recorded = run(capture, url, *asked, "--seconds", "0.7", "--every", "0.2", "--out", str(out), "--json")
        before = run(probe, url, *asked, "--json")
    assert recorded.exit_code == 0, recorded.output
    assert json.loads(recorded.stdout)["received_bytes"] > 0

    explained = run(decode, str(out), "--json")
    summary = json.loads(explained.stdout)["summary"]
    assert (explained.exit_code, summary["unanswered"], summary["problems"]) == (0, 0, {}), explained.output
    assert "coolant_supply = -4." in (run(decode, str(out))).stdout

    golden = run(decode, str(out), "--golden")
    text = (shipped_dir() / "profiles" / f"{kind}.toml").read_text()
    own = tmp_path / f"{kind}.toml"
    own.write_text(text[: text.index("[[golden]]")] + golden.stdout)
    assert golden_problems(own) == ()

    recorded_answers, _, language = load_recorded(out, None)
    with line_in_memory(lambda write: ReplayHandler(recorded_answers, language, write)):
        after = run(probe, url, *asked, "--json")
    values = [[(each["name"], each["value"]) for each in json.loads(each.stdout)["points"]] for each in (before, after)]
    assert after.exit_code == 0, after.output
    assert values[0] == values[1]


def test_listening_sends_nothing_and_hears_another_master(tmp_path: Path) -> None:
    out = tmp_path / "heard.jsonl"
    received = (b"in_pv_00\r", b"-4.2\r\n")

    def talking(write: Write) -> Always:
        for at, data in enumerate(received * 2, start=1):
            asyncio.get_running_loop().call_later(0.1 * at, write, data)
        return Always(lambda _: b"", write)

    with line_in_memory(talking):
        result = run(capture, SERIAL, "--listen", "--seconds", "1.2", "--out", str(out), "--json")
    assert json.loads(result.stdout)["sent_bytes"] == 0
    explained = run(decode, str(out), "--profile", "julabo-cf", "--json")
    frames = json.loads(explained.stdout)["frames"]
    assert [each["role"] for each in frames] == ["request", "reply"] * 2
    assert frames[1]["points"][0]["value"] == -4.2


def test_a_capture_of_a_silent_line_says_so_and_keeps_what_was_asked(tmp_path: Path) -> None:
    out = tmp_path / "silent.jsonl"
    with line_in_memory(lambda write: Always(lambda _: b"", write)):
        asked = ("--profile", "eurotherm-3200", *UNSETTLED, "--set", "timeout_ms=50", "--seconds", "0.5")
        result = run(capture, SERIAL, *asked, "--out", str(out))
    assert result.exit_code == 1
    assert "nothing came" in result.stdout
    assert (run(decode, str(out))).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/dev/x"], "say --profile"),
        (["/dev/x", "--listen", "--set", "gap_ms=1"], "accepted for --set: baud"),
        (["/dev/x", "--listen", "--set", "baud=fast"], "--set: "),
        (["com1", "--listen"], "accepted: /dev/..."),
    ],
)
def test_wrong_use_of_capture_exits_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = run(capture, *arguments, "--out", str(tmp_path / "never.jsonl"))
    assert (result.exit_code, message in " ".join(result.stderr.split())) == (2, True), result.stderr


def test_a_capture_never_overwrites_a_file(tmp_path: Path) -> None:
    out = tmp_path / "kept.jsonl"
    out.write_text("kept")
    result = run(capture, "/dev/x", "--listen", "--out", str(out))
    assert (result.exit_code, out.read_text()) == (2, "kept")
