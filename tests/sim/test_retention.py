"""A session from the cap to the purge: what is kept and why, what is left in the files, and what comes late."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.audit.verify import verify
from gateway.cli import main
from gateway.ledger.access import Actor
from gateway.ledger.bodies import PurgeNote
from gateway.ledger.deliveries import Proof, ResendRules
from gateway.recording.retention import Retention
from tests.support.operator import Operator
from tests.support.patient import CANARIES, DAY_US, RETENTION, VISIT, WHO, settled, taken_by_broker, treated
from tests.support.pipeline import Json, Suite, configured, running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configured(tmp_path, RETENTION)


async def acknowledged(suite: Suite, name: str, result: Json) -> None:
    answer = await suite.send_event(name, "ack", 0.0, **result)
    assert answer["result"] == "accepted", answer


def left_in(folder: Path) -> list[tuple[str, str]]:
    """Each file beside the ledger with each canary that is in it."""
    files = [path for path in sorted((folder / "state").rglob("*")) if path.is_file()]
    assert {"ledger.db", "ledger.db-wal"} <= {path.name for path in files}
    return [(path.name, each) for path in files for each in CANARIES if each.encode() in path.read_bytes()]


@pytest.mark.requirement("REQ-PRIVACY-4")
async def test_a_settled_session_is_purged_and_everything_still_works(folder: Path) -> None:
    async with running(folder) as suite:
        token = await treated(suite)
        operator = Operator(suite)
        suite.clock.us += 31 * DAY_US
        kept = await operator.ask(request="purge", dry_run=True)
        assert (kept["identifiers"], kept["kept"]) == (0, [{"session": token, "why": "open"}])
        await operator.request_act("finalise", token=token)
        kept = await operator.ask(request="purge", **WHO)
        assert (kept["identifiers"], kept["kept"]) == (0, []), "counted from the last that happened"
        suite.clock.us += 31 * DAY_US
        kept = await operator.ask(request="purge", **WHO)
        assert (kept["identifiers"], kept["kept"]) == (0, [{"session": token, "why": "undelivered"}])
        await taken_by_broker(suite)
        assert left_in(folder)
        would = await operator.ask(request="purge", dry_run=True)
        purged = await operator.ask(request="purge", **WHO)
        assert (would | {"dry_run": False}) == purged
        assert (purged["identifiers"], purged["kept"], purged["complete"]) == (1, [], True)
        assert left_in(folder) == []
        again = await operator.ask(request="purge", **WHO)
        assert (again["identifiers"], again["messages"]) == (0, 0)
        session = (await operator.ask(request="session", token=token, identify=True))["session"]
        assert session["patient"] is None
        assert (await operator.ask(request="why", session=token))["sessions"][0]["token"] == token
    path = folder / "state" / "ledger.db"
    assert verify(path).problems == ()
    audits = folder / "audits"
    for command in (
        ["ledger", "show", str(path), token, "--identify"],
        ["ledger", "export", str(path), token, "--identify", "--out", str(audits)],
        ["record", token, "--ledger", str(path), "--identify"],
        ["activity", "--from", "2026-11-22", "--ledger", str(path), "--person", "rn-1"],
        ["ledger", "reconcile", str(path), "--day", "2026-09-21"],
    ):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, (command, done.output)
        assert (
            "--day" in command
            or "--out" in command
            or any(said in done.output for said in ("purge", "not kept any more"))
        ), (command, done.output)
    script = [sys.executable, str(next(audits.iterdir()) / "verify_bundle.py")]
    assert (await asyncio.to_thread(subprocess.run, script, capture_output=True)).returncode == 0
    with closing(sqlite3.connect(folder / "state" / "ledger.db")) as ledger:
        bodies = ledger.execute("""SELECT body FROM entry WHERE body GLOB '{"purge"*' ORDER BY seq""").fetchall()
    (note,) = [json.loads(body)["purge"] for (body,) in bodies]
    assert (note["person"], note["reason"], len(note["identifiers"])) == ("rn-1", "the yearly review", 1)


async def test_the_gateway_sweeps_by_itself_and_takes_old_copies_along(folder: Path) -> None:
    async with running(folder) as suite:
        await settled(suite)
        state = folder / "state"
        old, young = state / "ledger.db.before-m0001_ledger", state / "ledger.db.damaged-20260901T000000Z"
        for copy, days in ((old, 31), (young, 1)):
            copy.write_text(VISIT)
            at_s = suite.clock.us / 1e6 - days * 86_400
            os.utime(copy, (at_s, at_s))
        retention = Retention(suite.config, suite.clock, suite.ledger, suite.pipeline)
        suite.clock.speed = 1e6  # ten minutes after the start come at once
        sweeps = asyncio.create_task(retention.run())
        while retention.swept_us is None:
            await asyncio.sleep(0.01)
        sweeps.cancel()
        await asyncio.wait([sweeps])
        assert retention.purged == {"identifiers": 1, "messages": 1, "texts": 0, "copies": 1}
        assert (old.exists(), young.exists()) == (False, True)
        notes = [json.loads(entry.body)["purge"] for entry in await suite.ledger.entries() if "purge" in entry.body[:9]]
        assert [note.get("copies") for note in notes] == [[old.name], None]
        assert all("person" not in note for note in notes)
    assert verify(state / "ledger.db").problems == ()


async def test_a_clock_that_is_years_ahead_purges_nothing_until_a_person_confirms_it(folder: Path) -> None:
    async with running(folder) as suite:
        retention = Retention(suite.config, suite.clock, suite.ledger, suite.pipeline)
        await retention.sweep(PurgeNote(), Actor(""))
        await settled(suite)
        right_us = suite.clock.us - 25 * DAY_US
        suite.clock.us += 4 * 365 * DAY_US
        suite.clock.speed = 1e6
        sweeps = asyncio.create_task(retention.run())
        while not retention.waits:
            await asyncio.sleep(0.01)
        sweeps.cancel()
        await asyncio.wait([sweeps])
        operator = Operator(suite)
        asked: Json = {"request": "purge", **WHO}
        refused = await operator.ask(**asked)
        assert not refused["ok"]
        assert "days ago by this clock, 2030-" in refused["error"]
        ahead_us, suite.clock.us = suite.clock.us, right_us
        assert (await operator.ask(**asked))["identifiers"] == 0, "by the right clock it is young, and nothing is asked"
        suite.clock.us = ahead_us
        assert not (await operator.ask(**asked))["ok"], "a restart of the service would not make it forget"
        done = await operator.ask(**asked, clock_checked=True)
        assert (done["ok"], done["identifiers"]) == (True, 1)
        assert (await operator.ask(**asked))["ok"]


async def test_nothing_is_purged_where_no_class_has_days(tmp_path: Path) -> None:
    async with running(configured(tmp_path)) as suite:
        refused = await Operator(suite).ask(request="purge", dry_run=True)
        assert (refused["ok"], refused["error"]) == (False, "nothing is ever purged here")


async def test_a_late_correction_of_a_purged_session_comes_before_a_person(folder: Path) -> None:
    async with running(folder) as suite:
        token, operator = await settled(suite), Operator(suite)
        assert (await operator.ask(request="purge", **WHO))["identifiers"] == 1
        await suite.start()
        operator = Operator(suite)
        order = {"visit": VISIT, "order": "O-1", "agent_class": "chemo", "source": "mar"}
        minutes_ago = 31 * 1440 + 3  # of the hour of cooling almost nothing was after that
        answer = await suite.send_event("c", "infusion.completed", minutes_ago, final=True, version=2, **order)
        assert answer["result"] == "accepted", answer
        (change,) = (await operator.ask(request="session", token=token))["session"]["corrections"]
        decision: Json = {"token": token, "charge": change["charge"], "approve": True}
        await operator.request_act("decide-correction", **decision)
    assert verify(folder / "state" / "ledger.db").problems == ()


async def test_a_late_rejection_of_a_purged_charge_ends_nothing_and_cannot_be_sent_again(tmp_path: Path) -> None:
    folder = configured(tmp_path, RETENTION + '[receipts]\nexpected = "json"\n\n')
    async with running(folder) as suite:
        token, operator = await settled(suite), Operator(suite)
        kept = await operator.ask(request="purge", **WHO)
        assert kept["kept"] == [{"session": token, "why": "undelivered"}]
        (charge,) = await suite.ledger.outbox.proofs_of(token)
        await acknowledged(suite, "r1", {"for": charge, "result": "accepted"})
        await taken_by_broker(suite)
        suite.clock.us += 31 * DAY_US
        assert (await operator.ask(request="purge", **WHO))["identifiers"] == 1
        await acknowledged(suite, "r2", {"for": charge, "result": "rejected", "code": "207"})
        assert await suite.ledger.outbox.due_again(suite.clock.us + DAY_US, ResendRules(), 0, 9) == []
        (work,) = (await operator.ask(request="worklist"))["work"]
        assert work["what"] == "receipts_disagree"
        assert "purged" in (await operator.ask(request="resend", key=charge, **WHO))["error"]
        assert (await suite.ledger.outbox.proofs_of(token))[charge] is Proof.REJECTED
        everything = await operator.ask(request="resend", all_rejected=True, **WHO)
        assert everything["done"] == "0 messages are sent again"
    assert verify(folder / "state" / "ledger.db").problems == ()
