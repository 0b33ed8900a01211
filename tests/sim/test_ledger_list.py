"""`capgate ledger list` and `reconcile --csv` on what the real pipeline recorded: weeks, visits, reasons in words."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from drivers.reading import RunState
from gateway.cli import main
from gateway.messages.instants import rfc3339
from tests.support.operator import Operator
from tests.support.pipeline import MINUTE_US, Suite, cool, running

WEEK_US = 7 * 1440 * MINUTE_US
VISITS = ("V-1", "=HYPERLINK(1)", "V-1")


def capgate(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def treat(suite: Suite, visit: str) -> None:
    """A signed session of one unit, a week after the one before."""
    operator = Operator(suite)
    suite.treatment_s = 0
    await cool(suite)
    token = (await operator.ask(request="sessions"))["sessions"][-1]["token"]
    await operator.request_act("bind", place="c01", visit=visit)
    at = rfc3339(suite.clock.us - 20 * MINUTE_US)
    await operator.request_act("infusion-ended", token=token, order="O-1", at=at, agent="chemo")
    suite.state = RunState.STOPPED
    await suite.poll(2)
    await operator.request_act("finalise", token=token)
    suite.clock.us += WEEK_US
    await suite.pipeline.tick()


@pytest.fixture
async def ledger(folder: Path) -> Path:
    """Three weeks, each with a session that is held for its preparation."""
    async with running(folder) as suite:
        for visit in VISITS:
            await treat(suite, visit)
    return folder / "state" / "ledger.db"


async def test_a_week_is_listed_with_reasons_in_words(ledger: Path) -> None:
    every = json.loads(capgate("ledger", "list", ledger, "--from", "2026-09-01", "--to", "2026-12-31", "--json").stdout)
    days = [row["day"] for row in every["sessions"]]
    assert (len(days), days) == (3, sorted(days))
    (row,) = table(capgate("ledger", "list", ledger, "--from", days[0], "--csv").stdout)
    assert (row["session"], row["caps"], row["visit"]) == (every["sessions"][0]["session"], "cap-01:1", "")
    assert (row["place"], row["attained"], row["charged"], row["counted_minutes"]) == ("held", "1", "0", "20.0")
    assert row["why"] == "nobody has charted the preparation"
    capgate("ledger", "list", ledger, "--from", "2020-01-01", code=1)


async def test_a_visit_that_came_again_is_listed_with_each_of_its_sessions(ledger: Path) -> None:
    rows = table(capgate("ledger", "list", ledger, "--visit", "V-1", "--csv", "--identify").stdout)
    assert [row["visit"] for row in rows] == ["V-1", "V-1"]
    (last,) = table(capgate("ledger", "list", ledger, "--visit", "V-1", "--from", rows[1]["day"], "--csv").stdout)
    assert last["session"] == rows[1]["session"]
    capgate("ledger", "list", ledger, "--visit", "V-9", code=1)


async def test_a_table_computes_nothing_in_a_spreadsheet(ledger: Path) -> None:
    (row,) = table(capgate("ledger", "list", ledger, "--visit", VISITS[1], "--csv", "--identify").stdout)
    assert row["visit"] == f"'{VISITS[1]}"


async def test_the_sums_of_a_month_go_beside_its_table(ledger: Path) -> None:
    result = capgate("ledger", "reconcile", ledger, "--from", "2026-09-01", "--to", "2026-12-31", "--csv", "--identify")
    assert [row["visit"] for row in table(result.stdout)] == ["V-1", f"'{VISITS[1]}", "V-1"]
    assert "3 seen = 0 charged + 3 held" in result.stderr


@pytest.mark.parametrize("options", [[], ["--to", "2026-10-01"], ["--from", "2026-10-02", "--to", "2026-10-01"]])
async def test_days_that_make_no_sense_are_refused(ledger: Path, options: list[str]) -> None:
    assert "--to" in capgate("ledger", "list", ledger, *options, code=2).output
