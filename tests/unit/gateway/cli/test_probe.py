"""`capgate probe` on real sockets: a Modbus TCP unit written here in bytes, sharing no code with the dialects."""

import json
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.probe import command

Respond = Callable[[bytes], bytes | None]

REGISTERS = [0] * 64
REGISTERS[0:10] = [0x4347, 1, 2, 5, 0xFE5C, 0xFEB6, 0xFE70, 240, 3, 0x40]
REGISTERS[14:18] = [0x5243, 0x5531, 0x2D37, 0]
REGISTERS[32:41] = [1, 3, 0xFF9C, 0xFFA6, 0x8000, 120, 0, 60, 1]
REGISTERS[48:57] = [0, 0, 2150, 2150, 2150, 0, 0, 0, 0]


def _registers(request: bytes) -> bytes:
    """The answer of a unit without faults: MBAP header, function, byte count, words."""
    assert request[2:] == bytes.fromhex("0000 0006 01 04 0000 0040"), request.hex()
    words = b"".join(word.to_bytes(2, "big") for word in REGISTERS)
    return request[:2] + bytes.fromhex("0000 0083 01 04 80") + words


@contextmanager
def _unit(respond: Respond) -> Generator[str]:
    """A unit on a free port, for one connection; yields the line's URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return  # closed before anyone came
            with connection:
                while request := connection.recv(512):
                    if (reply := respond(request)) is not None:
                        connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _probe(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_a_unit_is_read_without_any_configuration() -> None:
    with _unit(_registers) as line:
        result = _probe(line, "--profile", "reference-cap-unit", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    first = ["profile", "line", "unit_id", "identity", "run_state", "alarms", "points", "faults"]
    assert list(report) == [*first, "findings", "next", "likely"]
    assert [each["verdict"] for each in report["findings"].values()] == ["ok"] * 5
    assert (report["next"], report["likely"]) == (None, ["reference-cap-unit"])
    assert (report["profile"], report["line"], report["unit_id"]) == ("reference-cap-unit", line, 1)
    assert report["identity"] == {
        "vendor": "Capgate",
        "model": "RCU-1",
        "source": "RCU-1 revision 1",
        "serial_number": "RCU1-7",
        "confirmed": True,
    }
    assert (report["run_state"], report["alarms"], report["faults"]) == ("running", ["flow-low"], [])
    points = {(point["name"], point["cap"]): point for point in report["points"]}
    assert points["coolant_supply", None] == {
        "name": "coolant_supply",
        "cap": None,
        "raw": 65116,
        "value": -4.2,
        "unit": "Cel",
        "quality": "good",
        "reason": None,
    }
    assert points["cap_front", 1]["value"] == -1.0
    assert (points["cap_safety", 1]["value"], points["cap_safety", 1]["reason"]) == (None, "sentinel")
    assert [points[name, 1]["value"] for name in ("run_state", "connected", "circulating")] == ["running", True, True]
    assert [points[name, 2]["value"] for name in ("run_state", "connected", "circulating")] == ["stopped", False, False]


def test_the_table_is_for_people() -> None:
    with _unit(_registers) as line:
        result = _probe(line, "--profile", "reference-cap-unit")
    assert result.exit_code == 0, result.output
    assert "Capgate RCU-1" in result.stdout
    assert "alarms: flow-low" in result.stdout
    assert any("cap_front" in row and "-1 " in row and "Cel" in row for row in result.stdout.splitlines())


def _exception(request: bytes) -> bytes:
    return request[:2] + bytes.fromhex("0000 0003 01 84 02")


def _gateway_exception(request: bytes) -> bytes:
    return request[:2] + bytes.fromhex("0000 0003 01 84 0B")


def _stranger(request: bytes) -> bytes:
    return request[:2] + bytes.fromhex("0000 0083 01 04 80") + bytes(128)


def _silent(request: bytes) -> None:
    return None


@pytest.mark.parametrize(
    ("respond", "kind", "hint"),
    [
        (_exception, "refused", "map: "),
        (_gateway_exception, "unreachable", "address: "),
        (_stranger, "wrong-identity", "map: "),
        (_silent, "timeout", "wiring or address: "),
    ],
)
def test_each_fault_says_what_to_try_next(respond: Respond, kind: str, hint: str) -> None:
    with _unit(respond) as line:
        result = _probe(line, "--profile", "reference-cap-unit", "--timeout", "0.2", "--json")
    assert result.exit_code == 1
    (fault,) = json.loads(result.stdout)["faults"]
    assert fault["kind"] == kind
    assert fault["hint"].startswith(hint)


def _any(request: bytes) -> bytes:
    """The block, or that there is no such register."""
    is_block = request[8:12] == bytes.fromhex("0000 0040")
    return (
        _registers(request) if is_block else request[:2] + bytes.fromhex("0000 0003 01") + bytes([request[7] | 128, 2])
    )


def _zero_transaction(request: bytes) -> bytes:
    return bytes(2) + _any(request)[2:]


def _unit_255(request: bytes) -> bytes:
    return _any(request)[:6] + b"\xff" + _any(request)[7:]


@pytest.mark.parametrize(
    ("respond", "came", "setting"),
    [
        (_zero_transaction, "transaction 0 for 1", "transactions=ignored"),
        (_unit_255, "unit id 255 for 1", "unit_ids=ignored"),
    ],
)
def test_a_server_that_returns_no_numbers_is_named_and_then_read(respond: Respond, came: str, setting: str) -> None:
    with _unit(respond) as line:
        result = _probe(line, "--profile", "reference-cap-unit", "--timeout", "0.2", "--json")
        (fault,) = json.loads(result.stdout)["faults"]
        assert (result.exit_code, came in fault["detail"]) == (1, True), fault
        key = setting.partition("=")[0]
        assert f'--set {setting}, then {key} = "ignored" in its [[line]]' in fault["hint"]
    with _unit(respond) as line:
        read = _probe(line, "--profile", "reference-cap-unit", "--set", setting, "--json")
    assert read.exit_code == 0, read.output


def _one_register(request: bytes) -> bytes:
    """A controller of registers that each hold their address, which answers one whatever is asked."""
    return request[:2] + bytes.fromhex("0000 0005 01 03 02") + request[8:10]


def test_the_advice_follows_what_was_judged_first() -> None:
    """A controller that answers one register for five is asked point by point; what fails then is not its pace."""
    asked: list[int] = []

    def respond(request: bytes) -> bytes | None:
        asked.append(request[11])
        return _one_register(request) if asked.count(2) < 1 else None  # dead from the last block on

    options = ["--set", "dialect=modbus-tcp", "--set", "drain_ms=1", "--timeout", "0.2"]
    with _unit(respond) as line:
        result = _probe(line, "--profile", "eurotherm-3200", *options)
    assert asked == [5, 5, 1, 1, 1, 2, 3], "the block twice, its points, the others, and whether anything is late"
    assert "try next: wiring or address: nothing comes" in result.stdout
    with _unit(_one_register) as line:
        result = _probe(line, "--profile", "eurotherm-3200", *options, "--json")
    report = json.loads(result.stdout)
    assert [fault["kind"] for fault in report["faults"]] == ["garbled"], "a pair of words that are no inverses"
    assert next(each for each in report["points"] if each["name"] == "setpoint")["raw"] == 5, "its address"


@contextmanager
def _device(*, closes: bool) -> Generator[str]:
    """A device that serves one client after the other, and closes the connection after each answer or never."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=1)) as server:

        def serve() -> None:
            while True:  # ends with the socket
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    while request := connection.recv(512):
                        connection.sendall(_any(request))
                        if closes:
                            break

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@pytest.mark.parametrize(
    ("closes", "said"),
    [(True, "closes it after an answer, and it is opened again"), (False, 'served: connection = "each-poll" in its')],
)
def test_what_a_device_does_with_connections_is_named_and_no_fault(closes: bool, said: str) -> None:
    with _device(closes=closes) as line:
        result = _probe(line, "--profile", "reference-cap-unit", "--timeout", "0.3", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["faults"], report["findings"]["port"]["verdict"]) == (0, [], "ok")
    assert said in report["findings"]["port"]["evidence"]


def test_a_device_that_closes_on_a_second_client_is_told_from_a_dead_one() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(512)

        thread = threading.Thread(target=refuse)
        thread.start()
        result = _probe(f"socket://127.0.0.1:{server.getsockname()[1]}", "--profile", "reference-cap-unit", "--json")
        thread.join(5)
    report = json.loads(result.stdout)
    assert (result.exit_code, report["faults"][0]["kind"]) == (1, "line-down")
    assert "a device that serves one client does so while another is connected" in report["next"]


def test_a_line_that_cannot_be_opened_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    result = _probe(f"socket://127.0.0.1:{port}", "--profile", "reference-cap-unit")
    assert result.exit_code == 1
    assert "line-down" in result.stdout
    assert "try next: line: check host and port" in result.stdout


def test_a_port_that_is_not_there_is_told_without_a_table_of_nothing(tmp_path: Path) -> None:
    result = _probe(str(tmp_path / "ttyNone"), "--profile", "smc-hrs")
    assert result.exit_code == 1
    assert "No such file" in result.stdout
    assert "try next: line: check that the adapter is plugged in" in result.stdout
    assert "coolant_supply" not in result.stdout
    assert result.stderr == ""


def test_what_cannot_be_concluded_says_why() -> None:
    blind = list(REGISTERS)
    blind[37] = 0xFFFF  # cap 1 has no flow meter

    def respond(request: bytes) -> bytes:
        return request[:2] + bytes.fromhex("0000 0083 01 04 80") + b"".join(word.to_bytes(2, "big") for word in blind)

    with _unit(respond) as line:
        result = _probe(line, "--profile", "reference-cap-unit", "--json")
    assert result.exit_code == 0
    points = {(point["name"], point["cap"]): point for point in json.loads(result.stdout)["points"]}
    circulating = points["circulating", 1]
    assert (circulating["value"], circulating["quality"], circulating["reason"]) == (None, "bad", "undecided")


def test_help_has_an_example_and_the_exit_codes() -> None:
    shown = _probe("--help").stdout
    assert "capgate probe socket://10.0.0.7:502 --profile reference-cap-unit --unit-id 1" in shown
    assert all(f"\n    {code}  " in shown for code in (0, 1, 2))


def _crc(frame: bytes) -> bytes:
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return frame + value.to_bytes(2, "little")


def test_a_setting_may_change_the_dialect_to_rtu_over_tcp() -> None:
    def respond(request: bytes) -> bytes:
        assert request == _crc(bytes.fromhex("05 04 0000 0040"))
        words = b"".join(word.to_bytes(2, "big") for word in REGISTERS)
        return _crc(bytes.fromhex("05 04 80") + words)

    with _unit(respond) as line:
        settings = [
            "--unit-id",
            "5",
            "--set",
            "dialect=modbus-rtu",
            "--set",
            "baud=9600",
            "--set",
            "timing.drain_ms=10",
        ]
        result = _probe(line, "--profile", "reference-cap-unit", "--json", *settings)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["unit_id"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["socket://h:1", "--profile", "nothing"], "no such profile, accepted: eurotherm-3200"),
        (["com1", "--profile", "smc-hrs"], "accepted: /dev/..., socket://host:port"),
        (["/dev/x", "--profile", "smc-hrs", "--set", "parity"], "accepted: KEY=VALUE"),
        (["/dev/x", "--profile", "smc-hrs", "--set", "parity=mark"], "unknown value, accepted: none, even, odd"),
        (["/dev/x", "--profile", "smc-hrs", "--set", "identity.id=y"], "no key 'identity.id', accepted: dialect"),
        (["/dev/x", "--profile", "smc-hrs", "--set", "bogus=1"], "accepted: dialect, baud, bits, parity, stop"),
        (["/dev/x", "--profile", "smc-hrs", "--set", "unit_ids=no"], "accepted: transactions=echoed, unit_ids=echoed"),
        (["/dev/x", "--profile", "smc-hrs", "--set", "timing.bogus=1"], "accepted: gap_ms, timeout_ms, drain_ms"),
        (["/dev/x", "--profile", "smc-hrs", "--set", "baud=fast"], "wrong type, accepted: a whole number"),
        (["/dev/x", "--profile", "smc-hrs", "--unit-id", "100"], "accepted: 1 to 99"),
        (["/dev/x", "--set", "baud=9600"], "say --profile"),
        (["com1"], "accepted: /dev/..., socket://host:port"),
    ],
)
def test_wrong_use_exits_2_and_says_what_is_accepted(arguments: list[str], message: str) -> None:
    result = _probe(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_profiles_of_the_site_are_found(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[4] / "config" / "profiles" / "reference-cap-unit.toml"
    (tmp_path / "own.toml").write_text(shipped.read_text().replace('id = "reference-cap-unit"', 'id = "own"'))
    with _unit(_registers) as line:
        result = _probe(line, "--profile", "own", "--profiles", str(tmp_path), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["profile"] == "own"


def test_a_unit_that_reading_may_switch_is_not_read_without_consent(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[4] / "config" / "profiles" / "reference-cap-unit.toml"
    text = shipped.read_text().replace('id = "reference-cap-unit"', 'id = "own"')
    (tmp_path / "own.toml").write_text(text.replace('reads = "none"', 'reads = "may-switch"'))
    refused = _probe("socket://127.0.0.1:1", "--profile", "own", "--profiles", str(tmp_path))
    assert (refused.exit_code, "--consent" in refused.stderr) == (2, True)
    with _unit(_registers) as line:
        assert _probe(line, "--profile", "own", "--profiles", str(tmp_path), "--consent").exit_code == 0
