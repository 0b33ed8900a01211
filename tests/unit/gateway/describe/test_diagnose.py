"""The diagnose archive: what is in it, and that no canary is, wherever one was put."""

import io
import json
import re
import shutil
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.config.last_good import load_or_last_good
from gateway.config.load import load_config
from gateway.config.roles import Role
from gateway.describe.diagnose import Living, NotTold, archive
from gateway.ledger.store import LEDGER_FILE
from gateway.ledger.temperatures import HISTORY_FILE, READ, PollCount, TemperatureFile
from gateway.monitoring.health import Health, HealthReport
from gateway.polling.captures import FOLDER, capture_file
from gateway.web.accounts import Account, hash_secret, no_accounts, write_accounts
from tests.support.operator import Operator
from tests.support.pipeline import configured, running

PASSWORD, REMARK, VISIT, MRN, ACCOUNT = "QZPASSWORD", "QZREMARK", "QZVISIT", "QZMRN", "QZACCT"
CLIENT_SECRET = "QZCLIENT"
CANARIES = (PASSWORD, CLIENT_SECRET, REMARK, VISIT, MRN, ACCOUNT, "QZUSER", "$argon2", "m.curie")
KEPT = '[charges]\npatient = ["mrn", "account"]\n'
OIDC = """
[web.oidc]
issuer = "https://login.north.example"
client_id = "capgate"
client_secret_file = "provider"
otherwise = "viewer"
"""
NOT_RUNNING = NotTold("no gateway runs")
PARTS = [
    "README.txt",
    "about.json",
    "configuration.json",
    "check.json",
    "ledger.json",
    "lines.json",
    "errors.csv",
    "health.json",
    "metrics.txt",
    "log.jsonl",
]


def site(folder: Path) -> Path:
    """A site with a secret in every place that has room for one."""
    secret = folder / "site" / "password.txt"
    file = configured(folder / "site", KEPT) / "gateway.toml"
    secret.write_text(f"{PASSWORD}\n")
    secret.chmod(0o600)
    broker = 'url = "mqtt://127.0.0.1:1883"'
    text = file.read_text().replace(broker, f'{broker}\nusername = "QZUSER"\npassword_file = "password.txt"')
    provider = folder / "site" / "provider"
    provider.write_text(f"{CLIENT_SECRET}\n")
    provider.chmod(0o600)
    file.write_text(f"# {REMARK}\n{text}{OIDC}")
    state = folder / "site" / "state"
    state.mkdir()
    account = Account(name="m.curie", role=Role.BIOMED, password=hash_secret(PASSWORD))
    write_accounts(state, no_accounts().with_account(account))
    with closing(TemperatureFile(state / HISTORY_FILE)) as history:
        history.count([PollCount("2026-03-10", "net-1", "cap-01", kind, 50) for kind in (READ, "garbled")])
    (state / FOLDER).mkdir()
    capture_file(state, "net-1").write_text("{}\n")
    return file


def a_log_that_leaks() -> Living:
    """What a gateway with a defect would say of itself."""
    health = Health(
        gateway="gw-01",
        version="1",
        mqtt_connected=True,
        units_up=(),
        units_down=(),
        oldest_unsent_s=None,
        since_progress_s=1,
    )
    log = json.dumps(
        {"msg": f"visit {VISIT} of {MRN}", "reason": f"password {PASSWORD} {CLIENT_SECRET}", "account": ACCOUNT}
    )
    metrics = f'capgate_feed_messages_total{{sender="{MRN}"}} 7.0\n'
    return Living(metrics, HealthReport(health, (f"units down: {ACCOUNT}",)), (log, json.dumps(f"cut {VISIT}")))


def unpacked(packed: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(packed)) as zipped:
        assert zipped.testzip() is None
        return {name: zipped.read(name).decode() for name in zipped.namelist()}


def found(parts: dict[str, str]) -> list[str]:
    return [canary for canary in CANARIES if any(canary.lower() in f"{each}".lower() for each in parts.items())]


async def with_a_patient(folder: Path) -> Path:
    """A site whose ledger knows a patient."""
    file = site(folder)
    async with running(file.parent) as suite:
        await suite.poll(1)
        await Operator(suite).request_act("bind", place="c01", visit=VISIT, mrn=MRN, account=ACCOUNT)
        serving = suite.pipeline.state.serving(suite.clock.us).values()
        identities = [await suite.ledger.identity(each) for each in serving]
        assert [(each.visit, each.mrn, each.account) for each in identities if each] == [(VISIT, MRN, ACCOUNT)]
    return file


async def test_no_canary_is_in_it_and_the_rest_is(tmp_path: Path) -> None:
    file = await with_a_patient(tmp_path)
    leaking = a_log_that_leaks()
    assert found({"log": "".join(leaking.log)}) == [PASSWORD, CLIENT_SECRET, VISIT, MRN, ACCOUNT], (
        "the search finds them"
    )
    parts = unpacked(archive(file, load_config(file), leaking))
    assert list(parts) == [*PARTS, "captures/net-1.jsonl"]
    assert found(parts) == []
    assert parts["log.jsonl"].splitlines() == [
        '{"msg":"visit *** of ***","reason":"password *** ***","account":"***"}',
        '"cut ***"',
    ]
    assert parts["metrics.txt"] == 'capgate_feed_messages_total{sender="***"} 7.0\n'
    assert json.loads(parts["ledger.json"])["sound"]
    assert json.loads(parts["configuration.json"])["line"][0]["unit"][0]["id"] == "cap-01"
    assert json.loads(parts["about.json"])["policies"] == ["midpoint revision 7"]
    assert json.loads(parts["lines.json"])["lines"][0]["units"][0]["cause"] == "garbled"
    assert parts["errors.csv"].splitlines() == [
        "day,line,unit,kind,count",
        "2026-03-10,net-1,cap-01,garbled,50",
        "2026-03-10,net-1,cap-01,read,50",
    ]


async def test_a_large_ledger_is_not_verified_beside_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await with_a_patient(tmp_path)
    monkeypatch.setattr("gateway.describe.diagnose.MOST_VERIFIED", 0)
    said = json.loads(unpacked(archive(file, load_config(file), NOT_RUNNING))["ledger.json"])
    assert re.fullmatch(r"it has \d+ entries; capgate ledger verify takes the time that it needs", said["missing"])


async def test_a_ledger_that_cannot_say_whom_they_name_lets_no_words_out(tmp_path: Path) -> None:
    file = await with_a_patient(tmp_path)
    (file.parent / "state" / LEDGER_FILE).write_bytes(b"no database at all" * 1000)
    parts = unpacked(archive(file, load_config(file), a_log_that_leaks()))
    assert found(parts) == []
    assert "the ledger cannot say whom it names" in parts["log.jsonl"]
    assert json.loads(parts["check.json"])["ok"]


def test_a_configuration_with_errors_is_named_and_not_packed(tmp_path: Path) -> None:
    file = site(tmp_path)
    file.write_text(file.read_text().replace('"password.txt"', f'"{PASSWORD}"') + f'\npassword = "{PASSWORD}"\n')
    parts = unpacked(archive(file, None, NOT_RUNNING))
    assert found(parts) == []
    assert not json.loads(parts["check.json"])["ok"]
    assert "it has errors" in parts["configuration.json"]
    file.write_text("[gateway\n")
    assert "cannot be read" in unpacked(archive(file, None, NOT_RUNNING))["configuration.json"]


def test_the_command_packs_what_there_is_and_overwrites_nothing(tmp_path: Path) -> None:
    file, out = site(tmp_path), tmp_path / "gw.zip"
    arguments = ["diagnose", "--config", str(file), "--out", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    parts = unpacked(out.read_bytes())
    assert found(parts) == []
    assert "no gateway that runs" in parts["health.json"]
    assert "cannot be opened" in json.loads(parts["ledger.json"])["missing"]
    again = CliRunner().invoke(main, arguments)
    assert (again.exit_code, "File exists" in again.output) == (2, True)


def test_a_spoilt_configuration_is_packed_from_the_last_good_one(tmp_path: Path) -> None:
    file, out = site(tmp_path), tmp_path / "gw.zip"
    load_or_last_good(file)
    file.write_text(file.read_text().replace('mode = "test"', 'mode = "tset"'))
    (file.parent / "password.txt").unlink()
    assert CliRunner().invoke(main, ["diagnose", "--config", str(file), "--out", str(out)]).exit_code == 0
    parts = unpacked(out.read_bytes())
    assert found(parts) == []
    assert not json.loads(parts["check.json"])["ok"]
    assert json.loads(parts["about.json"])["gateway"] == "gw-01"
    assert json.loads(parts["lines.json"])["lines"][0]["line"] == "net-1"


@pytest.mark.parametrize("lost", [HISTORY_FILE, FOLDER])
def test_a_part_that_is_lost_leaves_the_others(tmp_path: Path, lost: str) -> None:
    file = site(tmp_path)
    path = file.parent / "state" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert set(PARTS) <= unpacked(archive(file, load_config(file), NOT_RUNNING)).keys()
