"""Who looked at whom: readings of identifiers leave entries in the chain, from the socket and from commands."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.audit.activity import activity
from gateway.audit.verify import verify
from gateway.cli import main
from gateway.ledger.access import LEFT, Actor, Took, TookNote, leave
from gateway.ledger.store import LEDGER_FILE
from gateway.messages.instants import rfc3339
from gateway.session.facts import UnitSwapped
from tests.support.accesses import accesses, who_and_what
from tests.support.operator import Operator
from tests.support.pipeline import Suite, cool, running


def sound(suite: Suite) -> bool:
    return verify(suite.config.state_dir / LEDGER_FILE).sound


@pytest.mark.requirement("REQ-PRIVACY-3")
async def test_identifiers_are_shown_only_after_a_trace(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        operator = Operator(suite)
        token = (await operator.session())["token"]
        for _ in range(3):
            await operator.ask(request="session", token=token, identify=True)
        assert who_and_what(suite) == [], "nobody is known yet"
        await operator.request_act("bind", place=token, visit="V-1")
        await operator.ask(request="session", token=token)
        assert who_and_what(suite) == [], "nothing was shown"
        for _ in range(3):
            await operator.ask(request="session", token=token, identify=True)
            await operator.ask(request="sessions", identify=True)
        me = operator.by.login
        assert who_and_what(suite) == [(me, "session", [token]), (me, "list", [token])]
        assert "V-1" not in json.dumps(accesses(suite))
        await suite.poll(40)
        assert sound(suite)


async def test_what_became_due_is_recorded_with_the_trace_and_the_ledger_stays_sound(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        operator = Operator(suite)
        token = (await operator.session())["token"]
        await operator.request_act("bind", place=token, visit="V-1")
        for hours in (1, 30, 50, 100):
            suite.clock.us += hours * 3_600_000_000  # nothing is polled meanwhile, and nothing ticks
            await operator.ask(request="session", token=token, identify=True)
        assert len(who_and_what(suite)) == 4
        assert sound(suite)


async def test_a_command_on_the_file_leaves_its_trace_for_the_gateway(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        operator = Operator(suite)
        token = (await operator.session())["token"]
        await operator.request_act("bind", place=token, visit="V-1")
        ledger = str(suite.config.state_dir / LEDGER_FILE)
        runner = CliRunner()
        assert "V-1" not in runner.invoke(main, ["record", token, "--ledger", ledger]).output
        for command in (
            ["record", token, "--ledger", ledger, "--identify"],
            ["record", "V-1", "--ledger", ledger, "--identify"],
            ["ledger", "show", ledger, token, "--identify"],
            ["ledger", "list", ledger, "--visit", "V-1", "--identify"],
        ):
            shown = runner.invoke(main, command)
            assert shown.exit_code == 0, shown.output
            assert "V-1" in shown.output
        assert len(list((suite.config.state_dir / LEFT).glob("*.json"))) == 4
        await suite.pipeline.take_up_traces()
        assert list((suite.config.state_dir / LEFT).glob("*")) == []
        assert [each[1:] for each in who_and_what(suite)].count(("record", [token])) == 1
        assert {each[1] for each in who_and_what(suite)} == {"record", "export", "list"}
        assert all(each[0].startswith("host:") for each in who_and_what(suite))
        (suite.config.state_dir / LEFT / "damaged.json").write_text("{")
        await suite.pipeline.take_up_traces()
        assert list((suite.config.state_dir / LEFT).glob("*")) == []
        assert sound(suite)


async def test_who_changes_an_account_stands_there_with_the_account(folder: Path) -> None:
    async with running(folder) as suite:
        await suite.poll(2)
        state = suite.config.state_dir
        note = TookNote(Took.ACCOUNT_PIN, login="host:ada:1001", account="m.curie", at_us=suite.clock.us)
        leave(state, note)
        await suite.poll(90)
        await suite.pipeline.take_up_traces()
        assert list((state / LEFT).glob("*")) == []
        with closing(sqlite3.connect(state / LEDGER_FILE)) as connection:
            (row,) = [each for each in activity(connection, None, None).activity if each.what == "took-account-pin"]
        assert (row.login, row.cap, row.recorded_at) == ("host:ada:1001", "m.curie", rfc3339(note.at_us))
        assert sound(suite)


@pytest.mark.requirement("REQ-PRIVACY-3")
async def test_without_a_trace_nothing_is_shown(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        operator = Operator(suite)
        token = (await operator.session())["token"]
        await operator.request_act("bind", place=token, visit="V-1")
        (suite.config.state_dir / LEFT).write_text("a file in the way")
        ledger = str(suite.config.state_dir / LEDGER_FILE)
        refused = CliRunner().invoke(main, ["record", token, "--ledger", ledger, "--identify"])
        assert refused.exit_code == 2
        assert "--identify leaves a trace beside the ledger, and cannot" in refused.output
        assert "V-1" not in refused.output


async def test_what_is_done_at_the_machines_stands_there_as_well(folder: Path) -> None:
    async with running(folder) as suite:
        await suite.poll(2)
        operator = Operator(suite)
        operator.by = Actor("sso:m.curie", "biomed")
        swap = UnitSwapped(
            at_us=suite.clock.us,
            known_at_us=suite.clock.us,
            unit="cap-01",
            loaner="cap-99",
            person="Marie Curie",
            reason="pump noisy",
            login=operator.by.login,
            role=operator.by.role,
        )
        await suite.pipeline.record([swap])
        assert (await operator.ask(request="capture", line="net-1", person="Marie Curie"))["ok"]
        assert not (await operator.ask(request="capture", line="net-1", person="Marie Curie"))["ok"], "it goes on"
        assert (await operator.ask(request="took", what="diagnose", person="Marie Curie"))["ok"]
        for what in ("sign-in", "sign-in-refused"):
            assert (await operator.ask(request="took", what=what, person="Marie Curie", address="10.1.2.3"))["ok"]
        await suite.poll(2)
        assert sound(suite)
        ledger = str(suite.config.state_dir / LEDGER_FILE)
        day = datetime.fromtimestamp(suite.clock.us / 1e6, suite.config.people_zone).date()
        found = CliRunner().invoke(main, ["activity", "--ledger", ledger, "--from", day.isoformat(), "--json"])
        rows = json.loads(found.output)["activity"]
        assert [(each["what"], each["cap"], each["reason"]) for each in rows] == [
            ("unit_swapped", "cap-01 cap-99", "pump noisy"),
            ("took-capture", "net-1", ""),
            ("took-diagnose", "", ""),
            ("took-sign-in", "10.1.2.3", ""),
            ("took-sign-in-refused", "10.1.2.3", ""),
        ]
        assert {(each["person"], each["login"], each["role"]) for each in rows} == {
            ("Marie Curie", "sso:m.curie", "biomed")
        }


async def test_the_list_says_who_did_what_and_who_looked_at_whom(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        operator = Operator(suite)
        token = (await operator.session())["token"]
        await operator.request_act("bind", place=token, visit="V-1")
        operator.by = Actor("page:p.roe", "charge")
        await operator.request_act("note", token=token, text="cap refitted")
        await operator.ask(request="session", token=token, identify=True)
        ledger = str(suite.config.state_dir / LEDGER_FILE)
        day = datetime.fromtimestamp(suite.clock.us / 1e6, suite.config.people_zone).date()

        def listed(*options: str) -> str:
            asked = CliRunner().invoke(main, ["activity", "--ledger", ledger, *options])
            assert asked.exit_code == 0, asked.output
            return asked.output

        rows = json.loads(listed("--from", day.isoformat(), "--json"))["activity"]
        assert [(each["what"], each["person"], each["login"], each["role"], each["reason"]) for each in rows] == [
            ("patient_bound", "rn-4471", "host:rn-4471:1000", "", "as charted"),
            ("note_added", "rn-4471", "page:p.roe", "charge", "as charted"),
            ("looked-session", "", "page:p.roe", "charge", ""),
        ]
        assert rows[1]["sessions"] == rows[2]["sessions"] == [token]
        table = listed("--from", day.isoformat(), "--person", "P.Roe", "--csv").splitlines()
        assert len(table) == 3
        assert table[0].startswith("entry,recorded_at,what,person,login,role,reason,sessions")
        text = listed("--from", day.isoformat())
        assert f"rn-4471 (page:p.roe, charge)  note_added  {token}: as charted" in text
        assert f"page:p.roe (charge)  looked-session  {token}" in text
        assert "V-1" not in text
        before = (day - timedelta(days=1)).isoformat()
        assert CliRunner().invoke(main, ["activity", "--ledger", ledger, "--from", before]).exit_code == 1
