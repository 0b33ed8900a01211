"""Receipts on the real pipeline and ledger: what they end, what they leave, and what the broker keeps of a session."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.audit.verify import verify
from gateway.cli import main
from gateway.control.service import ControlService
from gateway.ledger import deliveries
from gateway.ledger.batch import Attempt
from gateway.ledger.bodies import Order
from gateway.ledger.deliveries import Deliveries, Proof
from gateway.ledger.entry import EntryKind
from gateway.ledger.store import open_readonly
from gateway.recording.receipts import OrderRefused
from tests.support.operator import OPERATOR
from tests.support.pipeline import CONFIG, EPOCH_US, Suite, configured, running
from tests.support.schemas import problems
from tests.support.signing import signed

RECEIPTS = '\n[receipts]\nexpected = "json"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configured(tmp_path, RECEIPTS)


async def heads(suite: Suite) -> list[bytes]:
    """What the broker was given to keep of the session, in order."""
    rows = await suite.ledger.outbox.pending(0, 100_000)
    return [row.payload for row in rows if "/session/" in row.topic and "/dev/" in row.topic and row.retain]


def head(payload: bytes) -> dict[str, Any]:
    event = json.loads(payload)
    assert problems(event) == []
    return event["data"]


async def said(suite: Suite, name: str, data: dict[str, object]) -> dict[str, Any]:
    """A receipt, and the answer to it."""
    return await suite.send_event(name, "ack", 0.0, **data)


async def charged(suite: Suite) -> str:
    await signed(suite)
    (charge,) = await suite.sent("/charge/json")
    return charge["id"]


async def test_a_receipt_ends_the_wait_and_the_broker_forgets_the_session(folder: Path) -> None:
    async with running(folder) as suite:
        key = await charged(suite)
        assert (await suite.ledger.outbox.deliveries()).pending == 1
        assert head((await heads(suite))[-1])["charged"] == 3
        answer = await said(suite, "r1", {"for": key, "result": "accepted"})
        assert answer == {"for": "urn:engine|r1", "result": "accepted", "format": "json", "text": "noted"}
        assert await suite.ledger.outbox.deliveries() == Deliveries()
        assert (await heads(suite))[-1] == b""
        await suite.start()
        assert await suite.ledger.outbox.deliveries() == Deliveries(), "a restart forgets nothing"


async def test_the_key_is_found_in_a_control_id_too(folder: Path) -> None:
    async with running(folder) as suite:
        key = await charged(suite)
        assert (await said(suite, "r1", {"for": f"CG{key}", "result": "accepted"}))["result"] == "accepted"
        assert (await suite.ledger.outbox.deliveries()).pending == 0


async def test_an_hl7_acknowledgement_is_a_receipt_too(folder: Path) -> None:
    async with running(folder) as suite:
        key = await charged(suite)
        refusal = (
            f"MSH|^~\\&|EHR|H|CAPGATE|N|20260310||ACK^P03^ACK|E1|T|2.5.1\rMSA|AE|CG{key}\rERR|||204^Unknown^HL70357|E\r"
        )
        await suite.pipeline.message("ehr/in/hl7", refusal.encode())
        assert (await suite.ledger.outbox.deliveries()).rejected == 1
        ack = f"MSH|^~\\&|EHR|H|CAPGATE|N|20260310||ACK^P03^ACK|E2|T|2.5.1\rMSA|AA|CG{key}\r"
        await suite.pipeline.message("ehr/in/hl7", ack.encode())
        assert await suite.ledger.outbox.deliveries() == Deliveries()
        answers = [each["data"] for each in await suite.sent("/result/json")][-2:]
        assert [(each["format"], each["result"]) for each in answers] == [("hl7v2", "accepted")] * 2


async def test_repeated_and_foreign_receipts_do_no_harm_and_late_ones_are_believed(folder: Path) -> None:
    async with running(folder) as suite:
        key = await charged(suite)
        foreign = await said(suite, "r0", {"for": "ZZZZZZZZZ00A", "result": "accepted"})
        assert (foreign["result"], foreign["code"]) == ("ignored", "unknown-message")
        await said(suite, "r1", {"for": key, "result": "rejected", "code": "204", "text": "visit not open"})
        assert (await suite.ledger.outbox.deliveries()).rejected == 1
        again = await said(suite, "r1", {"for": key, "result": "rejected", "code": "204"})
        assert again["code"] == "known-receipt"
        await said(suite, "r2", {"for": key, "result": "accepted"})
        late = await said(suite, "r3", {"for": key, "result": "rejected"})
        assert late["result"] == "accepted", "the last answer decides"
        assert await suite.ledger.outbox.deliveries() == Deliveries(rejected=1)
        entries = [entry for entry in await suite.ledger.entries() if entry.kind is EntryKind.DELIVERY]
        results = [json.loads(entry.body)["receipt"]["result"] for entry in entries]
        assert results == ["rejected", "accepted", "rejected"]
        assert {entry.session for entry in entries} == {key[:9]}
        assert "visit not open" not in str(entries), "the engine's words may name a patient: not in the chain"


async def hl7_said(suite: Suite, code: str, key: str, message: str, condition: str = "204") -> dict[str, Any] | None:
    """An HL7 acknowledgement, and what the gateway answered; None if it answered past the ledger."""
    error = f"ERR|||{condition}^words^HL70357|E\r" if code[1] in "ER" else ""
    text = f"MSH|^~\\&|EHR|H|CAPGATE|N|20260310||ACK^P03^ACK|{message}|T|2.5.1\rMSA|{code}|CG{key}\r{error}"
    suite.clock.us += 1_000_000
    answers = await suite.pipeline.message("ehr/in/hl7", text.encode())
    return json.loads(answers[0].payload)["data"] if answers else None


async def sent_again(suite: Suite, key: str) -> None:
    """A person orders it again, and the broker takes it."""
    await suite.pipeline.send_again(Order(key, "cm-1", "mended"))
    suite.clock.us += 1_000_000
    (row,) = [row for row in await suite.ledger.outbox.pending(0, 100_000) if row.event_id == key]
    await suite.ledger.outbox.mark([Attempt(row.outbox_id, suite.clock.us, 0, delivered=True)])
    suite.clock.us += 1_000_000


async def test_an_engine_that_answers_under_our_own_control_id_is_believed_each_time(folder: Path) -> None:
    async with running(folder) as suite:
        key = await charged(suite)
        echoed = f"CG{key}"
        assert await hl7_said(suite, "AE", key, echoed) is None
        repeated = await hl7_said(suite, "AE", key, echoed)
        assert repeated is not None
        assert repeated["code"] == "known-receipt", "the same id and the same verdict"
        assert await hl7_said(suite, "AE", key, echoed, "207") is None, "the same id with another reason says something"
        await sent_again(suite, key)
        assert (await suite.ledger.outbox.deliveries()).pending == 1
        assert await hl7_said(suite, "AE", key, echoed, "207") is None, "it was sent since: an answer of its own"
        assert await suite.ledger.outbox.deliveries() == Deliveries(rejected=1)
        await suite.pipeline.send_again(Order(key, "cm-1", "mended"))
        assert await hl7_said(suite, "AA", key, echoed) is None
        assert await suite.ledger.outbox.deliveries() == Deliveries()
    assert verify(folder / "state" / "ledger.db").problems == ()


async def test_what_the_engine_stored_waits_for_its_application_and_a_contradiction_for_a_person(folder: Path) -> None:
    async with running(folder) as suite:
        key = await charged(suite)
        service = ControlService(suite.config, suite.clock, suite.ledger, suite.pipeline)

        async def work() -> list[tuple[str, str, list[str]]]:
            items = json.loads(await service.answer(b'{"request": "worklist"}', OPERATOR))["work"]
            return [(each["what"], each["order"], each["sessions"]) for each in items]

        assert await hl7_said(suite, "CA", key, "E1") is None
        stored = await suite.ledger.outbox.deliveries()
        assert (stored.pending, stored.stored, stored.rejected) == (0, 1, 0)
        assert (await heads(suite))[-1] != b"", "the application does not have it yet"
        assert f"{key}  stored" in capgate("outbox", "list", "--config", folder / "gateway.toml")[1]
        await hl7_said(suite, "AA", key, "E2")
        assert await suite.ledger.outbox.deliveries() == Deliveries()
        assert (await heads(suite))[-1] == b""
        late = await hl7_said(suite, "CA", key, "E3")
        assert late is not None
        assert late["code"] == "known-receipt", "that it was stored says no more"
        assert await work() == []
        disputed = [("receipts_disagree", key, [key[:9]])]
        await hl7_said(suite, "AR", key, "E4")
        assert (await suite.ledger.outbox.deliveries(), await work()) == (Deliveries(rejected=1), disputed)
        await hl7_said(suite, "AA", key, "E5")
        assert (await suite.ledger.outbox.deliveries(), await work()) == (Deliveries(), disputed)
        await suite.start()
        assert len(suite.pipeline.state.work) == 1
    assert verify(folder / "state" / "ledger.db").problems == ()


async def test_a_rejection_and_an_acceptance_after_it_was_sent_again_contradict_nothing(folder: Path) -> None:
    async with running(folder) as suite:
        key = await charged(suite)
        await said(suite, "r1", {"for": key, "result": "stored"})
        await said(suite, "r2", {"for": key, "result": "error", "code": "204"})
        assert await suite.ledger.outbox.deliveries() == Deliveries(rejected=1)
        await sent_again(suite, key)
        await said(suite, "r3", {"for": key, "result": "stored"})
        await said(suite, "r4", {"for": key, "result": "accepted"})
        assert await suite.ledger.outbox.deliveries() == Deliveries()
        assert suite.pipeline.state.work == ()


@pytest.mark.requirement("REQ-DELIVER-5")
async def test_a_rejected_charge_is_shown_with_its_reason_and_sent_again_by_order(folder: Path) -> None:
    async with running(folder) as suite:
        key = await charged(suite)
        await said(suite, "r1", {"for": key, "result": "rejected", "code": "no such", "text": "Mrs. Doe?"})
        with open_readonly(folder / "state" / "ledger.db") as connection:
            (shown,) = deliveries.unsettled(connection)
        assert (shown.proof, shown.code, shown.text) == (Proof.REJECTED, "", "no such Mrs. Doe?")
        with pytest.raises(OrderRefused, match="no message"):
            await suite.pipeline.send_again(Order("ZZZZZZZZZ00A", "cm-1", "mended"))
        await suite.pipeline.send_again(Order(key, "cm-1", "mended"))
        assert (await suite.ledger.outbox.deliveries()).pending == 1
        await said(suite, "r2", {"for": key, "result": "accepted"})
        with pytest.raises(OrderRefused, match="acknowledged"):
            await suite.pipeline.send_again(Order(key, "cm-1", "again"))


def capgate(*arguments: str | Path) -> tuple[int, str]:
    """A command beside the running gateway, as an operator runs it."""
    run = CliRunner().invoke(main, [str(each) for each in arguments])
    return run.exit_code, run.output


async def test_the_commands_show_what_the_engine_lacks_why_and_what_was_done_about_it(folder: Path) -> None:
    config = folder / "gateway.toml"
    async with running(folder) as suite:
        key = await charged(suite)
        await said(suite, "r1", {"for": key, "result": "rejected", "code": "204", "text": "visit\x1b[2J not open"})
        _, listed = capgate("outbox", "list", "--config", config)
        first, last = listed.splitlines()
        assert (first.split()[:2], last) == ([key, "rejected"], "1 rejected")
        assert "204 visit\\x1b[2J not open" in first, "what an engine says moves no cursor"
        by_socket = ("--socket", suite.config.state_dir / "control.sock")
        assert capgate("outbox", "list", *by_socket)[1].splitlines()[-1] == listed.splitlines()[-1]
        assert capgate("outbox", "show", key, *by_socket)[0] == 0
        listed = json.loads(capgate("outbox", "list", "--config", config, "--json")[1])
        assert [(each["key"], each["proof"]) for each in listed["messages"]] == [(key, "rejected")]
        suite.clock.us += 1_000_000
        service = ControlService(suite.config, suite.clock, suite.ledger, suite.pipeline)
        order = {"request": "resend", "key": key, "person": "cm-1", "reason": "visit reopened"}
        assert json.loads(await service.answer(json.dumps(order).encode(), OPERATOR))["done"] == f"{key} is sent again"
        sessions = json.loads(await service.answer(b'{"request": "sessions", "all": true}', OPERATOR))["sessions"]
        assert [each["delivery"] for each in sessions[0]["charges"]] == ["pending"]
        status = json.loads(await service.answer(b'{"request": "status"}', OPERATOR))["outbox"]
        assert status == {"delivery": "by receipt", "pending": 1, "unproven": 0, "rejected": 0}
        suite.clock.us += 1_000_000
        await said(suite, "r2", {"for": key, "result": "accepted"})
        config.write_text(config.read_text().replace("[gateway]\n", '[gateway]\ntime_zone = "Asia/Kolkata"\n'))
        _, shown = capgate("outbox", "show", key, "--config", config)
        assert {line.split()[0][-6:] for line in shown.splitlines()[2:]} == {"+05:30"}, "in the site's time"
        assert [line.split(" ", 3)[3] for line in shown.splitlines()[2:]] == [
            "rejected: 204 visit\\x1b[2J not open",
            "ordered again: by cm-1: visit reopened",
            "acknowledged",
        ]
        assert "V-1" not in shown
        assert '"visit":"V-1"' in capgate("outbox", "show", key, "--config", config, "--body")[1]
        assert capgate("outbox", "list", "--config", config) == (0, "the engine has everything\n")
        refused = json.loads(await service.answer(json.dumps(order).encode(), OPERATOR))
        assert (refused["ok"], refused["error"]) == (False, "the engine acknowledged it")
    day = datetime.fromtimestamp(EPOCH_US / 1e6, UTC).date().isoformat()
    _, reconciled = capgate("ledger", "reconcile", folder / "state" / "ledger.db", "--day", day)
    assert reconciled.splitlines()[-1] == (
        "charges and credits at the engine: 1 acknowledged, 0 pending, 0 unproven, 0 rejected"
    )


async def test_all_that_was_rejected_is_sent_again_by_one_order_or_what_was_for_one_reason(folder: Path) -> None:
    of = RECEIPTS + 'of = ["charge", "increment"]\n'
    (folder / "gateway.toml").write_text(CONFIG.replace("[[line]]", f"{of}[[line]]", 1))
    async with running(folder) as suite:
        key = await charged(suite)
        service = ControlService(suite.config, suite.clock, suite.ledger, suite.pipeline)

        async def resend(**fields: object) -> dict[str, Any]:
            request = {"request": "resend", "person": "cm-1", "reason": "mended", **fields}
            return json.loads(await service.answer(json.dumps(request).encode(), OPERATOR))

        async def proofs() -> list[Proof]:
            return list((await suite.ledger.outbox.proofs_of(key[:9])).values())

        increments = [event["id"] for event in await suite.sent("/increment/json")]
        for name, each in enumerate(increments):
            await said(suite, f"r{name}", {"for": each, "result": "rejected", "code": "207"})
        await said(suite, "r9", {"for": key, "result": "rejected", "code": "204"})
        assert (await suite.ledger.outbox.deliveries()).rejected == 4
        oldest = await suite.ledger.outbox.unsettled(Proof.REJECTED, 2)
        assert [(each.key, each.code) for each in oldest] == [(key, "207") for key in increments[:2]]
        assert await suite.ledger.outbox.unsettled(Proof.PENDING, 2) == []
        for wrong in ({}, {"key": key, "all_rejected": True}, {"key": key, "code": "204"}, {"code": "204"}):
            assert not (await resend(**wrong))["ok"]
        assert (await resend(all_rejected=True, code="101"))["done"] == "0 messages are sent again"
        assert (await resend(all_rejected=True, code="207"))["done"] == "3 messages are sent again"
        assert sorted(await proofs()) == [Proof.PENDING, Proof.PENDING, Proof.PENDING, Proof.REJECTED]
        assert (await resend(all_rejected=True))["done"] == "1 message is sent again"
        assert await proofs() == [Proof.PENDING] * 4
        with open_readonly(folder / "state" / "ledger.db") as connection:
            recorded = [(event.what, event.detail) for event in deliveries.events(connection, key)]
        assert ("ordered again", "by cm-1: mended") in recorded
    assert verify(folder / "state" / "ledger.db").problems == ()


async def test_a_cumulative_receipt_must_name_the_messages_own_sequence(folder: Path) -> None:
    async with running(folder) as suite:
        await signed(suite)
        (charge,) = await suite.sent("/charge/json")
        key, sequence = charge["id"], charge["sequence"]
        wrong = await said(suite, "r1", {"for": key, "result": "accepted", "sequence": "1"})
        assert (wrong["result"], wrong["code"]) == ("rejected", "wrong-sequence")
        right = await said(suite, "r2", {"for": key, "result": "accepted", "sequence": sequence})
        assert right["result"] == "accepted"


async def test_without_receipts_the_summary_stays_and_tells_every_gap(folder: Path) -> None:
    (folder / "gateway.toml").write_text(CONFIG)
    async with running(folder) as suite:
        key = await charged(suite)
        kept = [head(payload) for payload in await heads(suite)]
        recorded = [
            int(event["sequence"])
            for ending in ("/session/json", "/increment/json", "/charge/json")
            for event in await suite.sent(ending)
            if event["correlationid"] == key[:9]
        ]
        last = kept[-1]
        assert (last["events"], last["first_sequence"], last["last_sequence"]) == (
            len(recorded),
            min(recorded),
            max(recorded),
        )
        assert (last["attained"], last["charged"]) == (3, 3)
        (entry,) = (each for each in await suite.ledger.entries() if each.seq == last["last_sequence"])
        assert last["head_hash"] == entry.hash
        assert b"V-1" not in b"".join(await heads(suite))
        assert await suite.ledger.outbox.deliveries() == Deliveries(0, 1, 0, None)
        assert [each["last_sequence"] for each in kept] == sorted({each["last_sequence"] for each in kept})
    assert verify(folder / "state" / "ledger.db").problems == ()


async def test_increments_are_followed_where_the_site_asks_for_it(folder: Path) -> None:
    of = RECEIPTS + 'of = ["charge", "increment"]\n'
    (folder / "gateway.toml").write_text(CONFIG.replace("[[line]]", f"{of}[[line]]", 1))
    async with running(folder) as suite:
        key = await charged(suite)
        assert (await suite.ledger.outbox.deliveries()).pending == 4
        await said(suite, "r1", {"for": key, "result": "accepted"})
        assert (await heads(suite))[-1] != b"", "three increments are not delivered yet"
        for event in await suite.sent("/increment/json"):
            await said(suite, event["id"], {"for": event["id"], "result": "accepted"})
        assert (await heads(suite))[-1] == b""


async def test_a_purge_of_words_and_a_forged_receipt_are_told_apart(folder: Path) -> None:
    async with running(folder) as suite:
        key = await charged(suite)
        await said(suite, "r1", {"for": key, "result": "rejected", "text": "Mrs. Doe?"})
    path = folder / "state" / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM receipt_text")
        connection.commit()
    assert verify(path).problems == ()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER receipt_no_update")
        connection.execute("UPDATE receipt SET accepted = 1")
        connection.execute("""
            CREATE TRIGGER receipt_no_update BEFORE UPDATE ON receipt
            BEGIN SELECT RAISE(ABORT, 'UPDATE of receipt is refused'); END""")
        connection.commit()
    assert ["receipt" in problem.text for problem in verify(path).problems] == [True]
