"""`capgate check`: its text and JSON output, and its exit codes."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.account import command as account
from gateway.cli.check import command
from gateway.runtime.shipped import shipped_dir
from tests.support.certificates import certificate
from tests.unit.gateway.config.config_files import CONFIG, POLICY, certificates, site

__all__ = ["certificates", "site"]


TEN_MISTAKES = Path(__file__).parents[3] / "data" / "configs" / "ten_mistakes.toml"


def check(path: Path, *options: str) -> Result:
    return CliRunner().invoke(command, [str(path), *options], catch_exceptions=False)


def test_a_policy_of_a_day_to_come_is_an_error(site: Path) -> None:
    (site / "policy.toml").write_text(POLICY.replace("effective = 2026-01-01", "effective = 2999-01-01"))
    result = check(site / "gateway.toml")
    assert result.exit_code == 1
    assert (
        f"{site / 'gateway.toml'}:20: tracking.policy: policy midpoint is effective from 2999-01-01 on" in result.stdout
    )


def test_a_calibration_of_a_day_to_come_is_an_error_at_its_line(site: Path) -> None:
    (site / "gateway.toml").write_text(CONFIG.replace("calibrated_on = 2026-10-01", "calibrated_on = 2999-01-01"))
    result = check(site / "gateway.toml")
    assert result.exit_code == 1
    place = f"{site / 'gateway.toml'}:34: line[0].unit[0].offset[0].calibrated_on"
    assert f"{place}: a day to come, accepted: the day it was measured" in result.stdout


def test_a_page_on_the_network_needs_an_account(site: Path) -> None:
    web = '[web]\nlisten = "10.20.0.5:9480"\ncert_file = "secrets/client.crt"\nkey_file = "secrets/client.key"\n'
    (site / "gateway.toml").write_text(f"{CONFIG}\n{web}")
    result = check(site / "gateway.toml")
    assert result.exit_code == 1
    assert "web.listen: nobody could sign in on the network" in result.stdout
    added = ["add", "m.curie", "--role", "nurse", "--config", str(site / "gateway.toml")]
    assert CliRunner().invoke(account, added, input="correct horse\n").exit_code == 0
    assert check(site / "gateway.toml").exit_code == 0


def test_a_sound_configuration_is_told_back_as_it_was_understood(site: Path) -> None:
    result = check(site / "gateway.toml")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "gateway gw-01, live, topics capgate/v1/north/...",
        "broker broker.example:8883 with TLS",
        "policy midpoint revision 1, approved by J. Doe, compliance",
        "line bay-a: julabo at socket://10.20.0.31:4001",
        "  unit cap-07: julabo-cf (trust: peer), every 20 s, cap 1 chair c12",
        "line bay-b: modbus-ascii 19200 7E1 at rfc2217://10.20.0.32:4001",
        "  unit cap-08 at 1: smc-hrs (trust: manual), every 20 s, cap 1 chair c13",
        "  unit cap-09 at 2: smc-hrs (trust: manual), every 20 s, no chairs",
        "no errors, no warnings",
    ]


def test_errors_and_warnings_are_lines_of_file_line_key_and_message(site: Path) -> None:
    (site / "gateway.toml").write_text(CONFIG.replace('"c13"', '"c12"').replace("keepalive_s = 15", "keepalive_s = 1"))
    (site / "policy.toml").write_text(POLICY.replace("J. Doe, compliance", ""))
    result = check(site / "gateway.toml")
    assert result.exit_code == 1
    file = site / "gateway.toml"
    assert result.stdout.splitlines() == [
        f"{file}:17: mqtt.keepalive_s: too small, accepted: 5 or more",
        f"{file}:53: line[1].unit[0].cap[0].chair: another chair is named c12 in line 38, accepted: each once",
        f"{file}:20: tracking.policy: warning: policy midpoint revision 1 is approved by nobody: "
        "its increments are held",
        "2 errors, 1 warning",
    ]


def test_ten_mistakes_are_ten_errors_each_with_its_line(site: Path) -> None:
    text = TEN_MISTAKES.read_text()
    (site / "gateway.toml").write_text(text)
    said = json.loads(check(site / "gateway.toml", "--json").stdout)["problems"]
    wrong = [
        (number, *found.groups())
        for number, line in enumerate(text.splitlines(), 1)
        if (found := re.search(r"# wrong: (.+?): (.+)$", line))
    ]
    assert len(wrong) == 10
    assert [(each["line"], each["path"]) for each in said] == [(line, path) for line, path, _ in wrong]
    for each, (_, _, words) in zip(said, wrong, strict=True):
        assert words in each["message"], each
        assert each["severity"] == "error"


def test_json_has_every_problem_with_its_severity(site: Path) -> None:
    (site / "gateway.toml").write_text(CONFIG.replace('"c13"', '"c12"'))
    (site / "policy.toml").write_text(POLICY.replace("J. Doe, compliance", ""))
    result = check(site / "gateway.toml", "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["ok"]) == (1, False)
    assert [(each["severity"], each["line"], each["path"]) for each in said["problems"]] == [
        ("error", 53, "line[1].unit[0].cap[0].chair"),
        ("warning", 20, "tracking.policy"),
    ]
    assert {each["file"] for each in said["problems"]} == {str(site / "gateway.toml")}


def test_warnings_alone_are_ok(site: Path) -> None:
    (site / "policy.toml").write_text(POLICY.replace("J. Doe, compliance", ""))
    assert check(site / "gateway.toml", "--json").exit_code == 0
    assert "approved by NOBODY" in check(site / "gateway.toml").stdout


def test_what_a_file_holds_cannot_move_the_terminals_cursor(site: Path) -> None:
    (site / "gateway.toml").write_text(CONFIG.replace("[mqtt]", '[mqtt]\n"\\u001b[2J" = 1'))
    result = check(site / "gateway.toml")
    assert "\x1b" not in result.stdout
    assert r"mqtt.\x1b[2J: unknown key" in result.stdout


def test_a_policy_is_checked_by_itself_also_before_it_takes_effect(site: Path) -> None:
    later = site / "next.toml"
    later.write_text(POLICY.replace("effective = 2026-01-01", "effective = 2999-01-01"))
    result = check(later)
    assert result.exit_code == 0
    assert "effective from 2999-01-01 on in America/New_York" in result.stdout
    later.write_text(POLICY.replace("first_threshold_s = 960", "first_threshold_s = 0").replace("revision", "revison"))
    wrong = json.loads(check(later, "--json").stdout)
    assert [(each["line"], each["path"]) for each in wrong["problems"]] == [(2, "revison"), (5, "first_threshold_s")]


def test_a_vocabulary_is_checked_by_itself(site: Path) -> None:
    words = site / "words.toml"
    words.write_text((shipped_dir() / "vocabularies" / "status-in-rxa-20.toml").read_text())
    result = check(words)
    assert (result.exit_code, "RXA-9 pause: pause, paused, hold" in result.stdout) == (0, True)
    words.write_text('extends = "comon"\n[rxa_9]\nstart = ["go"]\n')
    assert f"{words}:1: extends: no such vocabulary" in (said := check(words).stdout)
    assert "(did you mean common?)" in said


def test_a_file_is_taken_for_what_most_of_its_keys_are_of(site: Path) -> None:
    profile = (shipped_dir() / "profiles" / "watlow-ez-zone.toml").read_text()
    (site / "p.toml").write_text(profile.replace("[identity]", "[idendity]"))
    result = check(site / "p.toml")
    assert result.stdout.splitlines()[0].startswith(f"{site / 'p.toml'}:6: idendity: unknown key")
    assert "did you mean identity?" in result.stdout
    (site / "empty.toml").write_text("")
    assert "gateway: missing" in check(site / "empty.toml").stdout


def test_secrets_are_never_shown(site: Path) -> None:
    (site / "gateway.toml").write_text(CONFIG.replace("mqtts://", "mqtts://gw:hunter2@").replace("15", '"hunter2"'))
    for options in ((), ("--json",)):
        assert "hunter2" not in check(site / "gateway.toml", *options).output


def test_wrong_use_is_exit_code_2(site: Path) -> None:
    assert check(site / "nowhere.toml").exit_code == 2
    assert check(site).exit_code == 2
    assert CliRunner().invoke(command, []).exit_code == 2


def test_the_installed_command_checks_too(site: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "gateway", "check", site / "gateway.toml"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.endswith("no errors, no warnings\n")


def test_the_shipped_example_can_be_started_once_its_secrets_are_there(site: Path) -> None:
    text = (shipped_dir() / "gateway.toml").read_text()
    (site / "gateway.toml").write_text(text.replace("/var/lib/capgate", "state"))
    result = check(site / "gateway.toml", "--json")
    assert result.exit_code == 0, result.stdout
    told = {each["path"]: each["message"] for each in json.loads(result.stdout)["problems"]}
    assert told.pop("line[0].url").endswith("is not there now")
    assert told.pop("tracking.policy").endswith("is approved by nobody: its increments are held")
    assert told.pop("gateway.time_zone").startswith("the policy takes service dates from UTC")
    assert told.pop("receipts.expected").startswith("no receipts of the engine are expected")
    assert told.pop("ledger.key_file").startswith("missing: who has the disk or a backup reads the patients")
    assert told == {}


def test_a_live_gateway_that_expects_no_receipts_is_warned_and_one_in_test_is_not(site: Path) -> None:
    unproven = CONFIG.replace('expected = "json"', 'expected = "none"')
    warned = (
        "receipts.expected: warning: no receipts of the engine are expected: whether it has a charge stays unproven"
    )
    for text, is_warned in ((unproven, True), (unproven.replace('"live"', '"test"'), False), (CONFIG, False)):
        (site / "gateway.toml").write_text(text)
        assert (warned in check(site / "gateway.toml").stdout) is is_warned


@pytest.mark.parametrize(
    ("left", "said"), [(timedelta(days=29), "expires on "), (timedelta(days=-1), "expired on "), (timedelta(31), "")]
)
def test_a_certificate_is_told_of_thirty_days_before_it_expires(site: Path, left: timedelta, said: str) -> None:
    until = datetime.now(UTC) + left
    (site / "secrets" / "ca.crt").write_bytes(certificate(until))
    shown = [line for line in check(site / "gateway.toml").stdout.splitlines() if "mqtt.ca_file" in line]
    wanted = (
        f"{site / 'gateway.toml'}:14: mqtt.ca_file: warning: the certificate {said}{until.date()}: it must be renewed"
    )
    assert shown == ([wanted] if said else [])
