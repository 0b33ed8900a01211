"""Operators and a gateway: acts on a real pipeline and ledger, and the command line on the installed process."""

import asyncio
import json
import re
import signal
import socket
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from unittest import mock

import msgspec
import pytest

from drivers.reading import RunState
from gateway.control.socket import SOCKET_FILE
from gateway.ledger.errors import LedgerBroken
from gateway.messages.instants import rfc3339
from tests.broker.harness import Mosquitto
from tests.support import suite as processes
from tests.support.operator import OPERATOR, Json, Operator
from tests.support.pipeline import Suite, configured, cool, facts_of, running


@asynccontextmanager
async def cooling(folder: Path) -> AsyncGenerator[tuple[Suite, Operator, str]]:
    """A cap that has cooled an hour for nobody known, and the session's token."""
    async with running(folder) as suite:
        await cool(suite)
        operator = Operator(suite)
        yield suite, operator, (await operator.session())["token"]


def minutes_ago(suite: Suite, minutes: float) -> str:
    return datetime.fromtimestamp(suite.clock.us / 1e6 - minutes * 60, UTC).isoformat()


def operations(answer: Json) -> list[tuple[str, str]]:
    return [(each["op"], each["increment"][9:]) for changed in answer["changed"] for each in changed["increments"]]


async def test_a_whole_session_by_hand(folder: Path) -> None:
    async with cooling(folder) as (suite, operator, token):
        held = await operator.session()
        assert (held["bound"], held["held"], held["phase"]) == (False, ["unbound"], "pre-cooling")
        answer = await operator.request_act("bind", place=token, visit="V-1", mrn="M-1")
        assert "bound" in answer["changed"][0]["happened"]
        at = minutes_ago(suite, 48)
        answer = await operator.request_act("infusion-ended", token=token, order="O-1", at=at, agent="chemo")
        assert answer["recorded"] == ["infusion_ended"]
        assert operations(answer) == [("emit", "01A"), ("emit", "02A")]
        later = minutes_ago(suite, 20)
        answer = await operator.request_act("infusion-ended", token=token, order="O-1", at=later, correct=True)
        assert operations(answer) == [("retract", "02A"), ("amend", "01B")]
        for act, fields in (
            ("prepared", {}),
            ("tolerance", {"comfort": "ok"}),
            ("cap-id", {"cap_id": "SC-M-0431"}),
            ("note", {"text": "cap refitted"}),
            ("order-checked", {"found": True}),
        ):
            await operator.request_act(act, token=token, **fields)
        assert "order" not in (await operator.session())["missing"]
        assert "cooling goes on" in await operator.refused("finalise", token=token)
        suite.state = RunState.STOPPED
        await suite.poll(5)
        answer = await operator.request_act("finalise", token=token)
        assert "finalised" in answer["changed"][0]["happened"]
        (signed,) = await facts_of(suite, "session_finalized")
        assert (signed["token"], signed["person"], signed["reason"]) == (token, "rn-4471", "as charted")
        assert "already" in await operator.refused("finalise", token=token)
        assert (await operator.ask(request="sessions"))["sessions"] == []
        assert (await operator.session(all=True))["token"] == token


async def test_what_waits_is_worked_out_once_and_again_when_somebody_says_something_of_it(folder: Path) -> None:
    async with cooling(folder) as (suite, operator, token):
        suite.state = RunState.STOPPED
        await suite.poll(5)
        suite.clock.us += 4 * 86_400_000_000
        await suite.pipeline.tick()
        waits = await operator.session()
        assert waits["state"] == "incomplete"
        with mock.patch.object(suite.pipeline, "session", wraps=suite.pipeline.session) as computed:
            assert await operator.session() == waits
            computed.assert_not_called()
            await operator.request_act("bind", place=token, visit="V-1")
            computed.reset_mock()
            bound = await operator.session()
            assert (bound["bound"], computed.call_count) == (True, 1)


async def test_what_people_told_survives_a_restart(folder: Path) -> None:
    async with cooling(folder) as (suite, operator, token):
        await operator.request_act("bind", place=token, visit="V-1")
        await operator.request_act("infusion-ended", token=token, order="O-1", at=minutes_ago(suite, 20), agent="chemo")
        before = await operator.ask(request="session", token=token)
        await suite.start()
        assert await Operator(suite).ask(request="session", token=token) == before


async def test_a_stop_charted_early_takes_increments_back(folder: Path) -> None:
    async with cooling(folder) as (suite, operator, token):
        await operator.request_act("bind", place=token, visit="V-1")
        at = minutes_ago(suite, 50)
        await operator.request_act("infusion-ended", token=token, order="O-1", at=at, agent="chemo")
        answer = await operator.request_act("stop-charted", token=token, at=minutes_ago(suite, 30))
        assert operations(answer) == [("retract", "02A")]


async def test_whose_it_is_is_shown_only_where_it_is_asked_for(folder: Path) -> None:
    async with cooling(folder) as (_, operator, token):
        await operator.request_act("bind", place=token, visit="V-1", mrn="M-1")
        for request in ({"request": "sessions"}, {"request": "session", "token": token}):
            assert "V-1" not in json.dumps(await operator.ask(**request))
            assert "V-1" in json.dumps(await operator.ask(**request, identify=True))
        patient = (await operator.session(identify=True))["patient"]
        assert patient == {"visit": "V-1", "mrn": "M-1", "account": None}


async def test_a_reassigned_session_takes_its_increments_along(folder: Path) -> None:
    async with cooling(folder) as (suite, operator, token):
        await operator.request_act("bind", place="c01", visit="V-1")
        at = minutes_ago(suite, 20)
        await operator.request_act("infusion-ended", token=token, order="O-1", at=at, agent="chemo")
        answer = await operator.request_act("reassign", token=token, visit="V-2")
        assert ("retract", "01A") in operations(answer)
        sessions = (await operator.ask(request="sessions", all=True, identify=True))["sessions"]
        assert {session["patient"]["visit"] for session in sessions} == {"V-1", "V-2"}
        assert (await operator.session(identify=True))["patient"]["visit"] == "V-2", "the other one is done with"


async def test_an_unknown_token_lists_the_open_ones(folder: Path) -> None:
    async with cooling(folder) as (_, operator, token):
        assert token in await operator.refused("finalise", token="000000000")
        answer = await operator.ask(request="session", token="000000000")
        assert (answer["ok"], answer["accepted"]) == (False, token)
        assert (await operator.ask(request="session", token=token.lower()))["ok"]


async def test_the_status_names_the_gateway_and_what_may_be_told(folder: Path) -> None:
    async with cooling(folder) as (_, operator, _token):
        status = await operator.ask(request="status")
        assert (status["gateway"], status["mode"], status["open"], status["units"]) == ("gw-01", "test", 1, ["cap-01"])
        assert "finalise" in status["acts"]


async def test_the_log_has_the_act_and_the_login_and_neither_patient_nor_reason(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with cooling(folder) as (_, operator, token):
        with caplog.at_level("INFO", "capgate.control"):
            await operator.request_act("bind", place=token, visit="V-1")
        (record,) = [each for each in caplog.records if each.name == "capgate.control"]
        logged = [vars(record)[name] for name in ("act", "session", "login")]
        assert logged == ["bind", token, "host:rn-4471:1000"]
        assert "V-1" not in str(vars(record))
        assert "as charted" not in str(vars(record))


async def test_a_defect_is_answered_and_a_broken_ledger_ends_the_gateway(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cooling(folder) as (suite, operator, token):

        def fail(error: Exception) -> None:
            def advance(*_: object, **__: object) -> None:
                raise error

            monkeypatch.setattr("gateway.recording.steps.advance", advance)

        fail(ZeroDivisionError("V-1"))
        assert "a defect" in await operator.refused("note", token=token, text="x")
        fail(LedgerBroken("the disk is gone"))
        with pytest.raises(LedgerBroken):
            await operator.request_act("note", token=token, text="x")
        monkeypatch.undo()
        await operator.request_act("note", token=token, text="x")
        await suite.poll(1)


async def test_hydration_whose_end_names_no_class_starts_no_count(folder: Path) -> None:
    async with cooling(folder) as (suite, operator, token):
        await operator.request_act("bind", place=token, visit="V-1")
        await suite.send_event("s", "infusion.started", 50, visit="V-1", order="H-1", agent_class="hydration")
        ended: dict[str, object] = {"visit": "V-1", "order": "H-1", "source": "mar", "final": True}
        answer = await suite.send_event("e", "infusion.completed", 40, **ended)
        assert answer["result"] == "accepted"
        assert await suite.increments() == []
        await suite.send_event("e2", "infusion.completed", 40, visit="V-1", order="X-1", source="mar", final=True)
        assert await suite.increments() == [("emit", 1, "A")], "a class that nobody tells is presumed"
        await suite.send_event("s2", "infusion.started", 50, visit="V-1", order="X-1", agent_class="other")
        assert await suite.increments() == [("emit", 1, "A"), ("retract", 1, "A")]


async def test_a_held_session_stays_open_until_a_person_lifts_the_hold_and_so_does_a_correction(folder: Path) -> None:
    async with cooling(folder) as (suite, operator, token):
        await operator.request_act("bind", place=token, visit="V-1")
        await operator.request_act("order-checked", token=token, found=False)
        await operator.request_act("prepared", token=token)
        at = minutes_ago(suite, 50)
        await operator.request_act("infusion-ended", token=token, order="O-1", at=at, agent="chemo")
        suite.state = RunState.STOPPED
        await suite.poll(5)
        await operator.request_act("finalise", token=token)
        assert (await operator.session())["held"] == ["no_order"]
        (changed,) = (await operator.request_act("lift-hold", token=token, holds=["no_order"]))["changed"]
        (charge,) = changed["charges"]
        assert charge["quantity"] == 2
        assert (await operator.ask(request="sessions"))["sessions"] == []
        at = minutes_ago(suite, 25)
        await operator.request_act("infusion-ended", token=token, order="O-1", at=at, correct=True)
        (item,) = (await operator.session())["corrections"]
        assert (item["charge"], item["charged"], item["counted"]) == (charge["charge"], 2, 1)
        assert item["charge"] in await operator.refused(
            "decide-correction", token=token, charge=f"{token}99Z", approve=True
        )
        answer = await operator.request_act("decide-correction", token=token, charge=item["charge"], approve=True)
        credit, anew = answer["changed"][0]["charges"]
        assert (credit["reverses"], anew["quantity"]) == (charge["charge"], 1)
        assert (await operator.ask(request="sessions"))["sessions"] == []


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "restarted"])
async def test_why_is_answered_for_each_session_of_a_visit_however_old(folder: Path, restart: bool) -> None:
    async with running(folder) as suite:
        operator = Operator(suite)
        tokens: list[str] = []
        for cycle in range(3):
            suite.treatment_s = 0
            await cool(suite)
            session = (
                await operator.session(all=True)
                if cycle == 0
                else (await operator.ask(request="sessions"))["sessions"][-1]
            )
            tokens.append(session["token"])
            await operator.request_act("bind", place="c01", visit="V-1")
            at = minutes_ago(suite, 20 + cycle)
            await operator.request_act("infusion-ended", token=tokens[-1], order=f"O-{cycle}", at=at, agent="chemo")
            by_chair = (await operator.ask(request="why", session="C01"))["sessions"]
            assert [each["token"] for each in by_chair] == [tokens[-1]]
            suite.state = RunState.STOPPED
            await suite.poll(2)
            await operator.request_act("finalise", token=tokens[-1])
            suite.clock.us += 21 * 24 * 3600 * 1_000_000
            await suite.pipeline.tick()
            if restart:
                await suite.start()
                operator = Operator(suite)
        found = (await operator.ask(request="why", session="V-1"))["sessions"]
        assert [(each["token"], each["units"], each["ending"]) for each in found] == [
            (token, 1, "machine") for token in tokens
        ]
        (alone,) = (await operator.ask(request="why", session=tokens[1]))["sessions"]
        assert alone == found[1]
        show = {"request": "session", "token": "V-1"}
        assert (await operator.ask(**show))["accepted"] == ", ".join(tokens)
        await operator.ask(request="tell", act="note", token=tokens[2], text="a look", person="rn", reason="review")
        unknown = await operator.ask(request="why", session="V-9")
        assert (unknown["ok"], unknown["error"]) == (False, "no session has that token, chair or visit")


async def test_an_act_sent_again_after_a_restart_is_answered_and_not_done_again(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        token = (await Operator(suite).session())["token"]
        acts: list[tuple[str, Json]] = [
            ("bind", {"place": token, "visit": "V-1"}),
            ("reassign", {"token": token, "visit": "V-2"}),
            ("infusion-ended", {"token": token, "order": "O-1", "at": minutes_ago(suite, 20), "agent": "chemo"}),
            ("note", {"token": token, "text": "cap refitted"}),
            ("bind", {"place": "c01", "visit": "V-3"}),
        ]
        for number, (act, fields) in enumerate(acts):
            key = f"key-of-act-{number}"
            operator = Operator(suite)
            first = await operator.request_act(act, key=key, **fields)
            assert await operator.request_act(act, key=key, **fields) == first
            suite.clock.us += 60_000_000
            await suite.start()
            told = suite.ledger.head
            again = await Operator(suite).request_act(act, key=key, **fields)
            assert (again["recorded"], again["changed"], suite.ledger.head) == (first["recorded"], [], told), act
        operator, told = Operator(suite), suite.ledger.head
        operator.by = msgspec.structs.replace(OPERATOR, login="host:another:1001")
        assert (await operator.request_act("note", key="key-of-act-3", token=token, text="seen"))["recorded"]
        assert suite.ledger.head != told, "another account's key"


async def test_what_stands_already_is_refused_where_an_act_has_no_key(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        operator = Operator(suite)
        token = (await operator.session())["token"]
        told_at = rfc3339(suite.clock.us)
        await operator.request_act("bind", place=token, visit="V-1")
        suite.clock.us += 60_000_000
        said = await operator.refused("bind", place=token, visit="V-1")
        assert said.startswith(f"it stands already: rn-4471 told it at {told_at[:19]}")
        other = await operator.refused("bind", place=token, visit="V-3")
        assert other.startswith("the session is bound already"), "that is news"


async def test_why_speaks_the_language_of_the_site_or_the_one_that_is_asked_for(tmp_path: Path) -> None:
    async with running(configured(tmp_path, '[web]\nlanguage = "de"\n\n')) as suite:
        await cool(suite)
        said = {
            language: (await Operator(suite).ask(request="why", session="c01", **asked))["sessions"][0]["sentences"]
            for language, asked in {"site": {}, "es": {"language": "es"}, "en": {"language": "en"}}.items()
        }
        assert said["site"][0] == "0 Einheiten: keine Infusion eines Wirkstoffs, der zählt, ist bekannt."
        assert said["es"][0].startswith("0 unidades: ")
        assert said["en"][0] == "0 units: no infusion of an agent that counts is known."
        refused = await Operator(suite).ask(request="why", session="c01", language="fr")
        assert (refused["ok"], "en, de, es" in refused["accepted"]) == (False, True)


# --- the installed process and the command line


class CommandLine:
    """`capgate session` against one gateway."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "gateway.toml"

    async def run(self, *arguments: str, code: int = 0) -> Json:
        """The JSON that a command prints."""
        process = await asyncio.create_subprocess_exec(
            processes.CAPGATE, "session", *arguments, "--config", self.config, "--json",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == code, (arguments, out, err)
        assert b"Traceback" not in err
        return cast(Json, json.loads(out)) if out else {"said": err.decode()}

    async def act(self, *arguments: str, code: int = 0) -> Json:
        return await self.run(*arguments, "--person", "rn-4471", "--reason", "as charted", code=code)

    async def until(self, what: str) -> Json:
        """The only session, once it has a true `what`."""
        async with asyncio.timeout(processes.HANGS_S):
            while True:
                sessions = (await self.run("list"))["sessions"]
                if sessions and sessions[0][what]:
                    return sessions[0]
                await asyncio.sleep(0.2)


async def lines_to(path: Path, *lines: bytes) -> list[Json]:
    """What the gateway answers to lines on one connection."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"".join(line + b"\n" for line in lines))
    answers = [json.loads(await reader.readline()) for _ in lines]
    writer.close()
    await writer.wait_closed()
    return answers


@pytest.mark.timeout(300)
async def test_a_session_signed_on_the_command_line_is_in_the_ledger_with_person_and_reason(tmp_path: Path) -> None:
    nobody = Mosquitto(tmp_path)  # never started: operators need no broker
    line = CommandLine(tmp_path)
    async with processes.serving(tmp_path, processes.one_line("cap-01")) as units:
        units.cool("cap-01")
        processes.write_configuration(tmp_path, units.url, nobody, first_s=2, further_s=600)
        gateway = processes.Gateway(tmp_path)
        await gateway.start()
        await gateway.says("started")
        token = (await line.until("token"))["token"]
        path = gateway.ledger.with_name(SOCKET_FILE)
        deaf = socket.socket(socket.AF_UNIX)
        deaf.connect(str(path))
        deaf.send(b'{"request": "sessions"}\n' * 100)
        garbage = await lines_to(path, b"garbage", b"\x00\xff", b'{"request": "status"}')
        assert [answer["ok"] for answer in garbage] == [False, False, True]
        await line.act("bind", token, "--visit", "V-1")
        at = datetime.now(UTC).isoformat()
        both = await asyncio.gather(
            line.act("infusion-ended", token, "O-1", "--at", at, "--agent", "chemo"),
            line.act("note", token, "two at once"),
        )
        assert [answer["recorded"] for answer in both] == [["infusion_ended"], ["note_added"]]
        assert (await line.until("increments"))["bound"]
        assert "cooling goes on" in (await line.act("finalise", token, code=1))["error"]
        units.stop("cap-01")
        await line.until("stopped_at")
        deaf.close()
        assert "finalised" in (await line.act("finalise", token))["changed"][0]["happened"]
        assert await gateway.end(signal.SIGTERM) == 0
    assert not path.exists()
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()
    assert "no gateway runs" in (await line.run("list", code=2))["said"]
    connection = sqlite3.connect(gateway.ledger)
    bodies = [json.loads(body) for (body,) in connection.execute("SELECT body FROM entry WHERE kind = 'fact'")]
    connection.close()
    (signed,) = [body for body in bodies if body["fact"] == "session_finalized"]
    assert (signed["token"], signed["person"], signed["reason"]) == (token, "rn-4471", "as charted")
    assert re.fullmatch(r"host:\S+:\d+", signed["login"]), "the user who was logged in, as the kernel has it"


@pytest.mark.timeout(300)
async def test_a_gateway_that_was_killed_leaves_a_socket_that_the_next_one_replaces(tmp_path: Path) -> None:
    processes.write_configuration(tmp_path, "socket://127.0.0.1:1", Mosquitto(tmp_path), first_s=2, further_s=2)
    line = CommandLine(tmp_path)
    gateway = processes.Gateway(tmp_path)
    await gateway.start()
    await gateway.says("started")
    assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
    assert gateway.ledger.with_name(SOCKET_FILE).exists()
    assert "no gateway runs" in (await line.run("list", code=2))["said"]
    await gateway.start()
    await gateway.says("started", times=2)
    assert (await line.run("list"))["sessions"] == []
    assert (await line.run("show", "000000000", code=1))["accepted"] == "none is open"
    assert await gateway.end(signal.SIGTERM) == 0
