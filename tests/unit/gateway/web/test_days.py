"""The sessions of some days, over HTTP: who sees what of them, what compares them, and what is refused."""

import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.audit.listing import ListedSession
from gateway.audit.reasons import Explained, Refused, Undecided
from gateway.audit.reconcile import SessionPlace
from gateway.web.days import MAX_DAYS
from gateway.web.guard import MAX_BODY_BYTES
from gateway.web.privacy import without_people
from tests.unit.gateway.audit.record_story import TOKEN, VISIT
from tests.unit.gateway.web.page_app import form_token_of, signed_in
from tests.unit.gateway.web.page_client import Answered, Listening, ask

Json = dict[str, Any]
DAYS = "from=2026-03-09&to=2026-03-15"  # of the one session in the ledger


async def shown(server: Listening, cookie: str = "", days: str = DAYS) -> Json:
    answer = await ask(server, "GET", f"/api/days?{days}", cookie=cookie)
    assert answer.status == 200, answer.body
    return cast(Json, json.loads(answer.body))


async def compared(server: Listening, cookie: str, chart: bytes, token: str | None = None) -> Answered:
    own = await form_token_of(server, cookie) if token is None else token
    return await ask(server, "POST", f"/api/days/charted?{DAYS}", chart, cookie=cookie, x_form_token=own)


async def test_the_visit_is_shown_to_whoever_signed_in_and_to_nobody_else(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        for shown_to, visit in ((cookie, VISIT), ("", "")):
            (row,) = (await shown(server, shown_to))["sessions"]
            assert (row["session"], row["visit"]) == (TOKEN, visit)


def test_without_a_sign_in_no_person_is_named() -> None:
    row = ListedSession(
        day=date(2026, 3, 10),
        opened_at="",
        session=TOKEN,
        caps="",
        visit=VISIT,
        place=SessionPlace.EXPLAINED,
        reasons=(Explained("rn-1", "as said"), Refused("K", 3, 1, "cm-1", 7), Undecided()),
        counted_minutes=0.0,
        chart_minutes=0,
        attained=0,
        charged=0,
        engine="",
    )
    shown = without_people(row)
    assert (shown.visit, shown.reasons) == ("", (Explained("", ""), Refused("K", 3, 1, "", 7), Undecided()))


async def test_the_sums_are_those_of_the_rows(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        answer = await shown(server, cookie)
        (row,) = answer["sessions"]
        assert (answer["seen"], sum(answer["places"].values()), answer["places"][row["place"]]) == (1, 1, 1)
        for name in ("attained", "charged", "counted_minutes", "chart_minutes"):
            assert answer[name] == row[name]
        assert row["counted_minutes"] > 0
        assert (await shown(server, cookie, "from=2026-03-11&to=2026-03-11"))["seen"] == 0


async def test_minutes_charted_by_hand_are_set_beside_the_count_and_not_kept(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        chart = f"visit,minutes\n{VISIT},0\nV-9,30\n".encode()
        answer = json.loads((await compared(server, cookie, chart)).body)
        by_hand, unmatched = answer["compared"]
        assert (by_hand["session"], by_hand["verdict"], by_hand["charted_minutes"]) == (TOKEN, "different", 0)
        assert (unmatched["line"], unmatched["verdict"]) == (3, "not computed")
        assert answer["differing"] == 2
        assert (await shown(server, cookie))["compared"] == []


@pytest.mark.parametrize(
    ("chart", "status", "said"),
    [
        (b"visit\nV-1\n", 400, "line 1: the columns must be minutes"),
        (b"visit,minutes\nV-1,many\n", 400, "line 2: accepted: "),
        (b"visit,minutes\n\xff,1\n", 400, "not UTF-8"),
        (b" " * (MAX_BODY_BYTES + 1), 413, ""),
    ],
)
async def test_a_chart_that_cannot_be_read_is_refused_with_its_lines(
    tmp_path: Path, written: bytes, chart: bytes, status: int, said: str
) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        answer = await compared(server, cookie, chart)
        assert answer.status == status
        assert said in answer.body


async def test_only_who_signed_in_compares_and_only_from_a_page_of_ours(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        assert (await compared(server, cookie, b"visit,minutes\n", token="another")).status == 401
        assert (await compared(server, "", b"visit,minutes\n", token="")).status == 401


async def test_the_table_has_the_visits_and_is_for_whoever_signed_in(tmp_path: Path, written: bytes) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        table = await ask(server, "GET", f"/days.csv?{DAYS}", cookie=cookie)
        assert table.headers["content-disposition"] == 'attachment; filename="sessions-2026-03-09-2026-03-15.csv"'
        (row,) = csv.DictReader(io.StringIO(table.body))
        assert (row["session"], row["visit"]) == (TOKEN, VISIT)
        assert (await ask(server, "GET", f"/days.csv?{DAYS}")).status == 401
        sent = await ask(server, "GET", f"/days.csv?{DAYS}", accept="text/html")
        assert sent.headers["location"] == "/sign-in?next=/days.csv%3Ffrom%3D2026-03-09%26to%3D2026-03-15"


@pytest.mark.parametrize(
    "days",
    [
        "",
        "from=2026-03-09",
        "from=2026-03-09&to=2026-03-08",
        "from=2026-01-01&to=2026-12-31",
        "from=2026-02-30&to=2026-03-01",
        "from=x&to=%00",
    ],
)
async def test_days_that_make_no_sense_are_refused(tmp_path: Path, written: bytes, days: str) -> None:
    async with signed_in(tmp_path, written) as (server, cookie):
        for path in ("/api/days", "/days.csv"):
            answer = await ask(server, "GET", f"{path}?{days}", cookie=cookie)
            assert (answer.status, str(MAX_DAYS) in answer.body) == (400, True)
