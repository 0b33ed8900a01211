"""Replay of golden polls, as in `capgate check` of a profile."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from drivers.golden.polls import golden_problems
from drivers.toml.document import TomlProblems
from gateway.cli.check import command

ROOT = Path(__file__).parents[4]
SHIPPED = sorted((ROOT / "config" / "profiles").glob("*.toml"))


def _edited(tmp_path: Path, name: str, old: str, new: str) -> Path:
    text = (ROOT / "config" / "profiles" / f"{name}.toml").read_text()
    assert old in text, f"{old!r} is no longer in {name}"
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_profile_is_read_as_its_golden_polls_expect(path: Path) -> None:
    assert golden_problems(path) == ()


@pytest.mark.parametrize(
    ("name", "old", "new", "at", "message"),
    [
        (
            "watlow-ez-zone",
            "01 03 09 BA 00 01 A6 73",
            "01 03 09 BB 00 01 A6 73",
            "golden[0].exchanges[3].tx",
            "no request of this profile, accepted: 01 03 01 68 00 03 85 EB, 01 03 07 58 00 01 04 AD, "
            "01 03 08 70 00 02 C7 B0, 01 03 09 BA 00 01 A6 73",
        ),
        (
            "watlow-ez-zone",
            "01 03 02 00 0A 38 43",
            "01 03 02 00 0B 38 43",
            "golden[0].exchanges[1].rx",
            "bad-check, accepted: a reply to this request, its length and check right",
        ),
        (
            "polyscience-ls",
            'rx = "-04.2\\r"',
            'rx = "-04.2"',
            "golden[0].exchanges[0].rx",
            "not one whole reply, accepted: a reply to this request, its length and check right",
        ),
        (
            "polyscience-ls",
            '[[golden.exchanges]]\ntx = "RF\\r"\nrx = "00\\r"\n',
            "",
            "golden[0].exchanges",
            "nothing for RF, accepted: one exchange for every request of a poll",
        ),
        (
            "julabo-magio",
            'coolant_supply = "-4.2"',
            'coolant_supply = "-4.3"',
            "golden[0].expect.points.coolant_supply",
            "is read as -4.2",
        ),
        (
            "julabo-magio",
            'external_sensor = "not-finite"',
            'external_sensor = "sentinel"',
            "golden[1].expect.bad.external_sensor",
            "is read as bad: not-finite",
        ),
        (
            "julabo-magio",
            'run_state = "running"',
            'run_state = "ready"',
            "golden[0].expect.caps[0].run_state",
            "is concluded to be running",
        ),
        (
            "julabo-magio",
            "circulating = true",
            "circulating = false",
            "golden[0].expect.caps[0].circulating",
            "is concluded to be true",
        ),
        (
            "julabo-magio",
            'connected = "unknown"',
            "connected = true",
            "golden[0].expect.caps[0].connected",
            "is concluded to be unknown",
        ),
        (
            "julabo-magio",
            "alarms = []",
            'alarms = ["unit-fault"]',
            "golden[0].expect.alarms",
            "others are raised: none",
        ),
        (
            "julabo-magio",
            'serial_number = "100000"',
            'serial_number = "7"',
            "golden[0].expect.serial_number",
            "is read as 100000",
        ),
        (
            "julabo-magio",
            "exception = 2",
            "exception = 3",
            "golden[3].expect",
            "the exceptions [2] come, accepted: exception = the one that comes",
        ),
        (
            "julabo-magio",
            "within = [-150, 400]",
            "within = [0, 400]",
            "golden[0].expect",
            "this poll would be refused: coolant_supply is -4.2, not within 0 to 400",
        ),
    ],
)
def test_what_a_golden_poll_has_otherwise_is_named_with_its_line(
    tmp_path: Path, name: str, old: str, new: str, at: str, message: str
) -> None:
    path = _edited(tmp_path, name, old, new)
    first = golden_problems(path)[0]
    assert (first.path, first.message[: len(message)]) == (at, message)
    assert first.line > 0


def test_a_file_that_is_no_profile_is_not_replayed(tmp_path: Path) -> None:
    with pytest.raises(TomlProblems, match="missing"):
        golden_problems(_edited(tmp_path, "smc-hrs", 'type = "int16"\n', ""))


def test_the_check_of_a_profile_says_what_it_was_understood_to_be() -> None:
    result = CliRunner().invoke(command, [str(ROOT / "config" / "profiles" / "julabo-presto.toml")])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "profile julabo-presto: JULABO PRESTO (trust: manual), from PRESTO series manual of 2.13.2018, p. 103-106",
        "modbus-tcp 19200 8N1, 4 requests a poll, every 1 s at the quickest",
        "circulation: reported",
        "no errors: every golden poll is read as it expects",
    ]


def test_the_check_of_a_profile_as_json_has_every_problem(tmp_path: Path) -> None:
    path = _edited(tmp_path, "polyscience-ls", 'rx = "-04.2\\r"', 'rx = "-04.3\\r"')
    result = CliRunner().invoke(command, [str(path), "--json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"]) == (1, False)
    (problem,) = told["problems"]
    assert problem["path"] == "golden[0].expect.points.coolant_supply"
    assert problem["message"] == "is read as -4.3 Cel"
    assert (problem["severity"], problem["file"]) == ("error", str(path))


def test_the_check_of_a_profile_with_a_wrong_key_names_it_with_its_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(_edited(tmp_path, "smc-hrs", "scale =", "skale ="))])
    assert result.exit_code == 1
    assert "skale: unknown key, accepted: " in result.stdout
