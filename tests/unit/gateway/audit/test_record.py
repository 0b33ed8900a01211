"""The record of a session says what its ledger says, to whoever reads it: figures, people, words of others, pages."""

import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from pypdf import PdfReader

from drivers.reading import Stamp
from gateway.cli import main
from gateway.ledger.store import open_ledger
from gateway.session.facts import PatientReassigned
from tests.unit.gateway.audit.record_story import (
    ACCOUNT,
    CHARGE,
    CREDIT,
    HOSTILE,
    MRN,
    TOKEN,
    VISIT,
    WORDS,
    write_session,
)
from tests.unit.gateway.ledger.ledger_story import (
    CAP_1,
    GATEWAY,
    P1,
    P2,
    T0_US,
    TOKENS,
    Story,
    at,
    record_story,
    write_story,
)

NEW_YORK = ZoneInfo("America/New_York")
IDENTIFIERS = [VISIT, MRN, ACCOUNT]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record") / "ledger.db"
    write_session(path)
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "ledger.db"
    write_session(path, HOSTILE)
    return path


def record(ledger: Path, *options: str | Path, name: str = TOKEN) -> Result:
    """What `capgate record` does; its exception, if it raises another than an exit, fails the test."""
    result = CliRunner().invoke(main, ["record", name, "--ledger", str(ledger), *map(str, options)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def text_of(ledger: Path, *options: str | Path) -> str:
    result = record(ledger, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


# --- what the ledger says, read without the product


class Rows:
    """The session's entries, read as SQL and JSON."""

    def __init__(self, path: Path) -> None:
        with sqlite3.connect(path) as connection:
            self.entries: list[tuple[int, str, str, int, str]] = connection.execute(
                "SELECT seq, kind, session, recorded_us, body FROM entry ORDER BY seq"
            ).fetchall()
            self.hash = dict(connection.execute("SELECT seq, hash FROM entry"))

    def bodies(self, kind: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
        for seq, each, _, recorded_us, body in self.entries:
            if each == kind:
                yield seq, recorded_us, json.loads(body)

    @property
    def opened_us(self) -> int:
        """When the session opened."""
        return next(body["at_us"] for _, _, body in self.bodies("fact") if body["fact"] == "session_opened")

    def standing(self) -> list[dict[str, Any]]:
        """The messages of the increments that no later one retracts, by number."""
        last: dict[int, dict[str, Any]] = {}
        for _, _, body in self.bodies("increment"):
            last[body["event"]["data"]["index"]] = body["event"]["data"]
        return [last[index] for index in sorted(last) if last[index]["op"] != "retract"]


def local(instant: str | int) -> str:
    """RFC 3339 text or microseconds as the record has them."""
    moment = datetime.fromisoformat(instant) if isinstance(instant, str) else datetime.fromtimestamp(instant / 1e6, UTC)
    return moment.astimezone(NEW_YORK).replace(microsecond=0).isoformat()


def seconds(text: str) -> int:
    """`67 min 40 s` in seconds."""
    found = re.fullmatch(r"(?:(\d+) min)?\s*(?:(\d+) s)?", text)
    assert found, text
    return 60 * int(found[1] or 0) + int(found[2] or 0)


def section(text: str, title: str) -> list[str]:
    """The lines of one section of the text."""
    return text.split(f"\n{title}\n", 1)[1].split("\n\n", 1)[0].splitlines()


def test_units_and_their_intervals_are_those_of_the_published_increments(ledger: Path) -> None:
    standing = Rows(ledger).standing()
    assert len(standing) == 3
    rows = [re.split(r"\s{2,}", line.strip()) for line in section(text_of(ledger), "UNITS OF 97009")[1:]]
    covered: list[tuple[str, str, str]] = []
    total_s = 0
    for data, (number, key, attained, length, cooling) in zip(standing, rows, strict=False):
        assert (number, key) == (str(data["index"]), data["increment"] + data["revision"])
        assert attained == local(data["attained_at"])
        total_s += seconds(length)
        assert total_s == data["net_s"] == data["threshold_s"]
        covered += [(found[0], found[1], found[2]) for found in re.findall(r"(\S+) to (\S+) on ([^;]+)", cooling)]
        clocks = [(local(each["start"])[11:19], local(each["end"])[11:19]) for each in data["intervals"]]
        assert spans(covered) == merged(clocks), "what the unit and those before it cover is what was published"
    assert rows[3][:2] == ["left over", "counts for no unit"]


def spans(covered: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return merged([(start, end) for start, end, _ in covered])


def merged(clocks: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Clock times of one day, those that touch joined."""
    found: list[tuple[str, str]] = []
    for start, end in sorted(clocks):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def test_every_change_charge_and_answer_is_told_with_its_entry(ledger: Path) -> None:
    rows, text = Rows(ledger), text_of(ledger)
    words = {"emit": "emitted", "amend": "amended", "retract": "retracted"}
    expected = [
        [str(seq), local(recorded_us), words[body["change"]["op"]], body["event"]["id"].removesuffix(".retract")]
        for seq, recorded_us, body in rows.bodies("increment")
    ]
    assert [line.split()[:4] for line in section(text, "INCREMENTS AS PUBLISHED")[1:]] == expected
    charged = section(text, "CHARGES AND CREDITS")[1:]
    assert [line.split()[0] for line in charged] == [str(seq) for seq, _, _ in rows.bodies("charge")]
    for line, (_, recorded_us, body) in zip(charged, rows.bodies("charge"), strict=True):
        said = body["event"]["data"]
        assert f"  {local(recorded_us)}  " in line
        assert re.search(rf"  {said['charge']}\s+{said['quantity']}\s+{said['service_date']}  ", line)
    assert "acknowledged; accepted 2026-03-10T10:33:00-04:00" in charged[0]
    assert f"credit of {CHARGE}" in charged[1]
    assert f"rejected 2026-03-10T10:51:00-04:00 AR-7; ordered again 2026-03-10T10:52:00-04:00 by {WORDS}" in charged[1]


def test_every_statement_of_the_infusion_has_who_said_it_and_when_it_was_charted(ledger: Path) -> None:
    expected = [
        (seq, body["order"], local(body.get("new_end_us", body["at_us"])), body["person"], local(body["charted_us"]))
        for seq, _, body in Rows(ledger).bodies("fact")
        if body["fact"].startswith("infusion_")
    ]
    assert len(expected) == 3
    lines = section(text_of(ledger), "INFUSION")[1:]
    for line, (seq, order, when, person, charted) in zip(lines, expected, strict=True):
        cells = re.split(r"\s{2,}", line.strip())
        assert (cells[0], cells[1], cells[4], cells[6]) == (str(seq), order, when, charted)
        assert person in cells[5]


def test_every_act_of_a_person_is_told_with_its_reason(ledger: Path) -> None:
    acts = {
        seq: body
        for seq, _, body in Rows(ledger).bodies("fact")
        if body.get("person") and not body["fact"].startswith(("infusion_", "unit_swapped"))
    }
    told = {
        int(line.split()[0]): line
        for line in section(text_of(ledger), "DOCUMENTATION AND DECISIONS")
        if line[2].isdigit()
    }
    assert set(acts) <= set(told)
    for seq, body in acts.items():
        assert local(body["at_us"]) in told[seq]
        assert f"  {body['person']}" in told[seq]
        assert told[seq].count(body.get("reason", "")) >= 1


def test_devices_have_their_serial_numbers_and_the_swap_its_person_and_reason(ledger: Path) -> None:
    lines = section(text_of(ledger), "DEVICES")
    assert re.split(r"\s{2,}", lines[1].strip())[:4] == ["cap-01:1", WORDS, "as configured", "measured flow"]
    assert re.split(r"\s{2,}", lines[2].strip())[:4] == ["loan-01:1", "L-7", "julabo-cf", "the pump's state"]
    swapped = f"2026-03-10T09:10:00-04:00: loan-01 stands in for cap-01, by {WORDS}: {WORDS}."
    assert lines[3].strip() == swapped


def test_what_does_not_count_is_told_with_its_reason(ledger: Path) -> None:
    lines = [line.strip() for line in section(text_of(ledger), "HOW IT WAS COUNTED")]
    assert "Not counted: 9 min 12 s, 08:40:00 to 08:49:12: the cap was disconnected (P9)." in lines
    assert "Not counted: 2 min, 09:10:00 to 09:12:00: cooling was off (P12)." in lines


def test_the_policy_is_named_with_who_approved_it(ledger: Path) -> None:
    said = " ".join(line.strip() for line in section(text_of(ledger), "POLICY, PINNED WHEN THE SESSION OPENED"))
    assert said.startswith(
        "midpoint, revision 3, in effect from 2026-01-01, approved by J. Ortiz, compliance. Unit 1 takes"
    )


def test_the_proof_is_the_chain_s_and_its_commands_prove(ledger: Path, tmp_path: Path) -> None:
    text = text_of(ledger)
    own = [seq for seq, _, session, _, _ in Rows(ledger).entries if session == TOKEN]
    assert f"Hash of entry {own[-1]}" in text
    assert Rows(ledger).hash[own[-1]] in text
    proof = dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in section(text.rstrip("\n"), "PROOF"))
    (tmp_path / "ledger.db").write_bytes(ledger.read_bytes())
    capgate = Path(sys.executable).with_name("capgate")
    for command in (proof["This session alone"], proof["and then"]):
        words = command.split()
        program = [str(capgate)] if words[0] == "capgate" else [sys.executable]
        done = subprocess.run([*program, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


# --- who reads it


@pytest.mark.parametrize("form", [(), ("--html",)])
def test_no_identifier_is_told_unless_it_is_asked_for(ledger: Path, form: tuple[str, ...]) -> None:
    assert [name for name in IDENTIFIERS if name in text_of(ledger, *form)] == []
    assert [name for name in IDENTIFIERS if name not in text_of(ledger, "--identify", *form)] == []


def test_the_engine_s_words_are_told_to_nobody(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    write_session(path, engine="MRN-555001 is unknown")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT text FROM receipt_text").fetchall() == [("MRN-555001 is unknown",)] * 2
    assert "is unknown" not in text_of(path, "--identify")


# --- words of others


class Seen(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert {name for name, _ in attrs} <= {"lang", "charset", "name", "content", "class", "scope"}, attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def printable(words: str) -> str:
    return words.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e").replace("\n", "\\n")


def test_hostile_words_stay_words_in_the_page(ledger: Path, hostile: Path) -> None:
    tame, seen = (Seen(text_of(each, "--html")) for each in (ledger, hostile))
    assert seen.tags == tame.tags, "they add no element"
    assert seen.text.count(printable(HOSTILE)) == tame.text.count(WORDS)
    assert seen.text.count(WORDS) == 0


def test_hostile_words_stay_words_on_a_terminal(ledger: Path, hostile: Path) -> None:
    text = text_of(hostile)
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    assert text.count("\n") >= text_of(ledger).count("\n")


def test_a_terminal_that_lacks_a_letter_gets_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    write_session(path, "Zoë")
    command = [sys.executable, "-m", "gateway", "record", TOKEN, "--ledger", path]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=ascii_only, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "by Zoë: Zoë" in done.stdout.decode()


# --- pages


def pages(ledger: Path, *options: str) -> PdfReader:
    result = record(ledger, "--pdf", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    return PdfReader(io.BytesIO(result.stdout_bytes))


@pytest.mark.parametrize(("paper", "size"), [("letter", (612, 792)), ("a4", (595, 842))])
def test_a_pdf_is_one_or_two_pages_with_all_of_it(ledger: Path, paper: str, size: tuple[int, int]) -> None:
    reader = pages(ledger, "--paper", paper, "--identify")
    assert len(reader.pages) <= 2
    assert (round(reader.pages[0].mediabox.width), round(reader.pages[0].mediabox.height)) == size
    said = re.sub(r"\s+", "", "".join(page.extract_text() for page in reader.pages))
    for word in re.split(r"\s+", text_of(ledger, "--identify")):
        assert word.lower() in said.lower(), word


def test_a_short_session_fits_too(tmp_path: Path) -> None:
    write_story(tmp_path / "ledger.db")
    assert len(pages(tmp_path / "ledger.db").pages) <= 2


def test_a_page_needs_no_other_file(ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "record.html"
    assert record(ledger, "--html", "-o", target).stdout == ""
    page = target.read_text(encoding="utf-8")
    assert page == text_of(ledger, "--html")
    assert re.findall(r"(?:src|href|url\(|@import|<script|<link)", page) == []


# --- the command


def test_without_the_extra_the_error_names_it(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    result = record(ledger, "--pdf")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pip install 'capgate[pdf]'" in result.stderr


def test_a_session_is_named_by_its_visit_too(ledger: Path) -> None:
    assert record(ledger, name=VISIT).stdout == text_of(ledger)
    unknown = record(ledger, name="V-0")
    assert unknown.exit_code == 1
    assert unknown.stderr == "no session V-0 in this ledger, and no session of such a visit\n"


def test_of_several_sessions_of_a_visit_one_must_be_named(tmp_path: Path) -> None:
    write_session(tmp_path / "ledger.db", twice=True)
    several = record(tmp_path / "ledger.db", name=VISIT)
    assert (several.exit_code, several.stdout) == (1, "")
    assert several.stderr == f"the visit has several sessions; accepted: one of {TOKEN}, {TOKENS[1]}\n"


def test_what_cannot_be_done_is_refused(ledger: Path, tmp_path: Path) -> None:
    assert "--paper belongs to --pdf" in record(ledger, "--paper", "a4").stderr
    unwritable = record(ledger, "-o", tmp_path / "no" / "such.txt")
    assert unwritable.exit_code == 2
    assert "No such file or directory" in unwritable.stderr
    assert record(tmp_path).exit_code == 2


def test_a_credit_is_found_with_the_charge_that_it_reverses(ledger: Path) -> None:
    assert re.search(rf"credit of {CHARGE}\s+{CREDIT}", text_of(ledger))


def test_ledger_show_has_the_policy_s_local_time_and_utc_in_json(ledger: Path) -> None:
    shown = CliRunner().invoke(main, ["ledger", "show", str(ledger), TOKEN]).stdout
    assert f"opened {local(Rows(ledger).opened_us)} under midpoint revision 3" in shown
    assert "new_end=2026-03-10T08:38:00-04:00" in shown
    assert re.findall(r"\S+Z\b", shown) == []
    content = CliRunner().invoke(main, ["ledger", "show", str(ledger), TOKEN, "--json"]).stdout
    assert json.loads(content)["opened_at"].endswith("Z")
    assert "-04:00" not in content


def test_ledger_show_leaves_hostile_words_words(hostile: Path) -> None:
    shown = CliRunner().invoke(main, ["ledger", "show", str(hostile), TOKEN]).stdout
    assert [character for character in shown if not character.isprintable() and character != "\n"] == []


# --- what is not whole


def test_identifiers_that_were_purged_are_said_to_be(ledger: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(ledger.read_bytes())
    assert f"Patient          visit {VISIT}, MRN {MRN}, account {ACCOUNT}" in text_of(path, "--identify")
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM identity")
    assert "Patient          known, and the identifiers are not kept any more" in text_of(path, "--identify")
    assert "Patient          known, and not named here" in text_of(path)


def test_a_session_that_goes_on_says_as_of_when(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    write_session(path, twice=True)
    result = record(path, name=TOKENS[1])
    assert result.exit_code == 0
    assert "Cooling ended    not known" in result.stdout
    assert "Cooling goes on." in result.stdout
    assert "As of            2026-03-12T10:01:00-04:00" in result.stdout
    assert "No infusion was reported." in result.stdout


def test_a_forged_entry_is_an_error_and_no_traceback(ledger: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(ledger.read_bytes())
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER entry_no_update")
        forged = """UPDATE entry SET body = replace(body, '"mode":"test"', '"mode":7') WHERE kind = 'session'"""
        connection.execute(forged)
    result = record(path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "verify the ledger" in result.stderr


async def test_a_session_whose_cooling_was_another_patient_s_says_so(tmp_path: Path) -> None:
    moved = PatientReassigned(
        at_us=at(160),
        known_at_us=at(160),
        cap=CAP_1,
        from_patient=P1,
        to_patient=P2,
        began_before_us=at(20),
        person="rn-9",
    )
    async with open_ledger(tmp_path / "ledger.db", GATEWAY, lambda: Stamp(T0_US, 0)) as ledger:
        story = Story(ledger, tmp_path)
        await record_story(story)
        await story.learn(160, moved)
    text = text_of(tmp_path / "ledger.db")
    assert section(text, "UNITS OF 97009") == ["  None stands."]
    assert section(text, "DEVICES") == ["  No unit is known to have cooled."]
    assert "the session is another patient's" in text
    assert f"In question: {CHARGE}, 3 charged, 0 counted (a person must decide)." in text
    assert "Cooling goes on" not in text
