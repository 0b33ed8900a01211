"""A site's key: what came in by every door stands in no file in clear, and everything works as without it."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.audit.backup import backup
from gateway.audit.identifiers import identifiers_among
from gateway.audit.stream import open_snapshot
from gateway.audit.verify import verify
from gateway.cli import main
from gateway.ledger import opening, reads
from gateway.ledger.codec import codec_of
from gateway.ledger.errors import LedgerLocked
from gateway.ledger.key_ring import read_ring
from gateway.ledger.store import open_ledger
from tests.support.ledger_keys import FIRST, KEY_FILE, SECOND, TABLE, write_keys
from tests.support.operator import Operator
from tests.support.patient import ACCOUNT, CANARIES, MRN, NAME, RETENTION, VISIT, WHO, settled
from tests.support.pipeline import FakeClock, Suite, configured, running

SCANNED, WAITING, FHIR_MRN, NURSE_SAID = "QZWRIST8", "QZVISIT9", "QZMRN9", "QZWORDS9"
RECEIPTS = '[receipts]\nexpected = "json"\n\n'
PATIENT = '[charges]\npatient = ["mrn", "account", "name", "birth_date"]\n\n'
EVERY = (*CANARIES, SCANNED, "QZMRN8", WAITING, FHIR_MRN, NURSE_SAID)


def encrypted(folder: Path, tables: str = "") -> Path:
    """The folder of a site that has a key."""
    configured(folder, TABLE + RETENTION + RECEIPTS + PATIENT + tables)
    write_keys(folder, FIRST)
    return folder


def in_clear(folder: Path) -> list[tuple[str, str]]:
    """Each file in the folder, but for the site's own, with each canary that is in it."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".toml", ".key")]
    return [(path.name, each) for path in files for each in EVERY if each.encode() in path.read_bytes()]


def registered(suite: Suite) -> bytes:
    """An HL7 message that has a name, a birth date and numbers, of the visit that is treated."""
    return "\r".join(
        [
            f"MSH|^~\\&|EHR|H|C|N|20260921||ADT^A08|A{suite.clock.us}|P|2.5.1",
            "EVN||20260921",
            f"PID|1||{MRN}^^^H^MR||{NAME}^ADA||19700102|F||||||||||{ACCOUNT}^^^H^AN",
            f"PV1|1|O|{'|' * 16}{VISIT}",
            "",
        ]
    ).encode()


def administered(visit: str, mrn: str) -> bytes:
    """A FHIR statement of a visit that was never seen here."""
    resource: dict[str, Any] = {
        "resourceType": "MedicationAdministration",
        "id": "m9",
        "status": "in-progress",
        "medicationCodeableConcept": {"coding": [{"code": "PACLI"}]},
        "context": {"identifier": {"value": visit}},
        "subject": {"identifier": {"value": mrn}},
        "effectivePeriod": {"start": "2026-09-21T12:00:00Z"},
        "request": {"identifier": {"value": "O-9"}},
    }
    return json.dumps(resource).encode()


async def by_every_door(suite: Suite) -> str:
    """A charged session, a visit that was bound by a scan at the page, one that waits, and a receipt with words."""
    token = await settled(suite)
    await suite.pipeline.message("ehr/in/hl7", registered(suite))
    waits = await suite.answered(administered(WAITING, FHIR_MRN))
    assert "no cap here served" in json.dumps(waits), waits
    (charge,) = await suite.ledger.outbox.proofs_of(token)
    said = {"for": charge, "result": "rejected", "code": "AE", "text": f"unknown patient {NURSE_SAID}"}
    assert (await suite.send_event("r1", "ack", 0.0, **said))["result"] == "accepted"
    await suite.start()
    await suite.poll(2)
    operator = Operator(suite)
    await operator.request_act("bind", place="cap-01:2", visit=SCANNED, mrn="QZMRN8")
    return token


@pytest.mark.requirement("REQ-PRIVACY-6")
async def test_no_file_has_an_identifier_and_everything_is_read_with_the_key(tmp_path: Path) -> None:
    folder = encrypted(tmp_path)
    ledger, copy = folder / "state" / "ledger.db", folder / "copy.db"
    async with running(folder) as suite:
        token = await by_every_door(suite)
        assert in_clear(folder) == []
    async with running(folder) as suite:
        operator = Operator(suite)
        session = (await operator.ask(request="session", token=token, identify=True))["session"]
        assert (session["patient"]["visit"], session["patient"]["mrn"]) == (VISIT, MRN)
        done = await asyncio.to_thread(CliRunner().invoke, main, ["ledger", "backup", str(ledger), str(copy)])
        assert done.exit_code == 0, done.output
    assert in_clear(folder) == []
    assert verify(copy).problems == ()
    assert identifiers_among(ledger, [VISIT, FHIR_MRN, "QZOTHER"]) == {VISIT, FHIR_MRN}
    for path in (ledger, copy):
        for command in (
            ["ledger", "show", str(path), token, "--identify"],
            ["ledger", "list", str(path), "--visit", VISIT, "--identify"],
            ["record", VISIT, "--ledger", str(path), "--identify"],
        ):
            done = CliRunner().invoke(main, command)
            assert VISIT in done.output, (command, done.output)


async def test_a_ledger_in_clear_is_encrypted_at_the_next_start_and_can_be_stored_in_clear_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = configured(tmp_path, RETENTION + RECEIPTS)
    ledger = folder / "state" / "ledger.db"
    async with running(folder) as suite:
        token = await by_every_door(suite)
    before = _seen(ledger)
    shutil.copy(ledger, ledger.with_name("ledger.db.before-m0099"))
    assert in_clear(folder)
    encrypted(folder)
    async with running(folder):
        assert {name for name, _ in in_clear(folder)} == {"ledger.db.before-m0099"}
    assert "name patients in clear" in caplog.text
    ledger.with_name("ledger.db.before-m0099").unlink()
    assert_same(ledger, before)
    write_keys(folder, SECOND, FIRST)
    async with running(folder) as suite:
        assert in_clear(folder) == []
        session = (await Operator(suite).ask(request="session", token=token, identify=True))["session"]
        assert session["patient"]["mrn"] == MRN
    write_keys(folder, SECOND)
    assert_same(ledger, before)
    key = str(folder / KEY_FILE)
    for exit_code, said in ((0, "is in clear"), (1, "is in clear already")):
        done = CliRunner().invoke(main, ["ledger", "rekey", str(ledger), "--key", key, "--clear"])
        assert (done.exit_code, said in done.output) == (exit_code, True), done.output
    assert_same(ledger, before)
    assert in_clear(folder)
    done = CliRunner().invoke(main, ["ledger", "rekey", str(ledger), "--key", key])
    assert f"encrypted with key {SECOND.id}" in done.output, done.output
    assert in_clear(folder) == []
    assert_same(ledger, before)


_Seen = tuple[list[object], list[object], object]


def assert_same(ledger: Path, before: _Seen) -> None:
    """The chain has only gone on, and everybody is who he was."""
    chain, *beside = _seen(ledger)
    assert (chain[: len(before[0])], *beside) == before


def _seen(ledger: Path) -> _Seen:
    """All that must not change: the chain, the identities as they are read, and whether all of it is sound."""
    with open_snapshot(ledger) as connection:
        chain = connection.execute("SELECT hash FROM entry ORDER BY seq").fetchall()
        subjects = [subject for (subject,) in connection.execute("SELECT DISTINCT subject FROM identity ORDER BY 1")]
        return chain, [reads.identity(connection, subject) for subject in subjects], verify(ledger).problems


async def test_without_the_key_nothing_is_lost_and_the_text_says_which_key_is_missing_where(tmp_path: Path) -> None:
    folder = encrypted(tmp_path)
    state = folder / "state"
    async with running(folder) as suite:
        await by_every_door(suite)
    before = {path.name: path.read_bytes() for path in state.iterdir() if "shm" not in path.name}
    write_keys(folder, SECOND)
    for key_file, said in ((folder / KEY_FILE, f"{folder / KEY_FILE} has {SECOND.id}"), (None, "names no file")):
        with pytest.raises(LedgerLocked, match=f"key {FIRST.id}") as refused:
            async with open_ledger(state / "ledger.db", "gw-01", FakeClock().now, ring=read_ring(key_file)):
                pass
        assert said in str(refused.value)
    assert {path.name: path.read_bytes() for path in state.iterdir() if "shm" not in path.name} == before


async def test_without_the_key_the_chain_is_verified_and_no_patient_is_shown(tmp_path: Path) -> None:
    folder = encrypted(tmp_path)
    ledger = folder / "state" / "ledger.db"
    async with running(folder) as suite:
        token = await by_every_door(suite)
    held = tmp_path / "held" / KEY_FILE
    held.parent.mkdir()
    (folder / KEY_FILE).rename(held)
    report = verify(ledger)
    assert report.sound
    assert any(f"encrypted with key {FIRST.id}" in note for note in report.notes)
    assert not verify(ledger, key_file=held).notes[-1].startswith("patients")
    shown = CliRunner().invoke(main, ["ledger", "show", str(ledger), token])
    assert shown.exit_code == 0, shown.output
    for command in (
        ["ledger", "show", str(ledger), token, "--identify"],
        ["ledger", "list", str(ledger), "--visit", VISIT],
        ["record", token, "--ledger", str(ledger), "--identify"],
    ):
        refused = CliRunner().invoke(main, command)
        assert (refused.exit_code, "--key" in refused.output) == (2, True), (command, refused.output)
        allowed = CliRunner().invoke(main, [*command, "--key", str(held)])
        assert allowed.exit_code == 0, (command, allowed.output)
        wrong = CliRunner().invoke(main, [*command, "--key", str(write_keys(folder, SECOND))])
        assert (wrong.exit_code, f"has {SECOND.id}" in wrong.output) == (2, True), wrong.output
        (folder / KEY_FILE).unlink()


async def test_a_purge_of_an_encrypted_ledger_leaves_a_chain_that_proves_it(tmp_path: Path) -> None:
    configured(tmp_path, TABLE + RETENTION)
    write_keys(tmp_path, FIRST)
    async with running(tmp_path) as suite:
        await settled(suite)
        purged = await Operator(suite).ask(request="purge", **WHO)
        assert (purged["identifiers"], purged["kept"]) == (1, [])
    assert verify(tmp_path / "state" / "ledger.db").problems == ()


async def test_a_damaged_ledger_is_replaced_by_what_it_proves_encrypted_with_the_key_in_use(tmp_path: Path) -> None:
    folder = encrypted(tmp_path)
    ledger = folder / "state" / "ledger.db"
    async with running(folder) as suite:
        await by_every_door(suite)
    before = _seen(ledger)[1]
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DROP TRIGGER entry_no_delete")
    write_keys(folder, SECOND)
    with pytest.raises(LedgerLocked, match=FIRST.id):
        async with running(folder):
            pass
    write_keys(folder, SECOND, FIRST)
    async with running(folder) as suite:
        assert suite.ledger.set_aside is not None
        assert in_clear(folder) == []
    assert _seen(ledger)[1:] == (before, ())
    with open_snapshot(ledger) as connection:
        assert codec_of(connection).key_id == SECOND.id


async def test_a_copy_of_an_encrypted_ledger_is_restored_with_its_key(tmp_path: Path) -> None:
    folder = encrypted(tmp_path)
    ledger, copy = folder / "state" / "ledger.db", folder / "copy.db"
    async with running(folder) as suite:
        await by_every_door(suite)
    before = _seen(ledger)[1]
    backup(ledger, copy)
    shutil.rmtree(folder / "state")
    (folder / "state").mkdir()
    done = CliRunner().invoke(main, ["ledger", "restore", str(copy), str(ledger)])
    assert done.exit_code == 0, done.output
    async with running(folder):
        pass
    assert _seen(ledger)[1:] == (before, ())
    assert in_clear(folder) == []


async def test_a_large_ledger_stays_as_it_is_at_a_start_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = configured(tmp_path)
    async with running(folder) as suite:
        await suite.infusion_over()
    configured(folder, TABLE)
    write_keys(folder, FIRST)
    monkeypatch.setattr(opening, "MOST_REKEYED", 0)
    async with running(folder) as suite:
        assert "see the page on encryption" in caplog.text
        await suite.send_event("b2", "association.bound", 60, validated=True, unit="cap-01", cap=2, visit=VISIT)
    ledger = folder / "state" / "ledger.db"
    assert VISIT.encode() in ledger.read_bytes()
    assert verify(ledger).problems == ()
