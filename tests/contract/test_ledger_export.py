"""Audit bundles: readable and verifiable by their receiver alone, and no patient in them unless asked for."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from gateway.audit.export import Form, gather, write_bundle
from gateway.audit.stream import open_snapshot
from gateway.ledger.errors import TargetExists
from tests.unit.gateway.audit.record_story import write_session
from tests.unit.gateway.ledger.ledger_story import IDENTITIES, POLICY, TOKENS, write_story

FORMS: tuple[Form, ...] = get_args(Form)
Json = dict[str, Any]
SESSION, OTHER = TOKENS[:2]
IDENTIFIERS = [text for each in IDENTITIES.values() for text in (each.visit, each.mrn, each.account) if text]


class Bundles:
    """Bundles of one ledger, written once, and copies of them to forge."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ledger = directory / "state" / "ledger.db"
        write_story(self._ledger)

    def write(self, *, identify: bool, form: Form = "json", token: str = SESSION) -> Path:
        """A bundle, as it is exported."""
        target = self._directory / f"{form}-{identify}-{token}"
        if not target.exists():
            with open_snapshot(self._ledger) as connection:
                write_bundle(connection, gather(connection, token, identify=identify), target, form)
        return target

    def forged(self, name: str, forge: Callable[[list[Json]], object], *, identify: bool = True) -> Path:
        """A bundle in whose `name`, a file of lines or one object, something was changed."""
        target = self._directory / "forged"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.write(identify=identify), target)
        file = target / name
        if name.endswith(".jsonl"):
            lines: list[Json] = [json.loads(line) for line in file.read_text().splitlines()]
            forge(lines)
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        else:
            content: list[Json] = [json.loads(file.read_text())]
            forge(content)
            file.write_text(json.dumps(content[0]))
        return target


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(tmp_path_factory.mktemp("bundles"))


def verify(bundle: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """As a receiver does: with a bare interpreter that sees no installed package, somewhere else."""
    command = [sys.executable, "-I", "-S", bundle / "verify_bundle.py", *options]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


def held(bundles: Bundles) -> Path:
    return bundles.write(identify=True) / "checkpoints.jsonl"


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("identify", [True, False])
def test_a_bundle_verifies_by_itself_and_against_what_its_receiver_holds(
    bundles: Bundles, form: Form, identify: bool
) -> None:
    bundle = bundles.write(identify=identify, form=form)
    alone = verify(bundle)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "NOT PROVEN against somebody who could write the ledger" in alone.stdout
    against = verify(bundle, "--held", held(bundles))
    assert against.returncode == 0
    assert "3 increments stand, 3 units are charged" in against.stdout
    assert "what you hold vouches for all entries up to" in against.stdout


def test_one_hash_that_the_receiver_knows_is_enough(bundles: Bundles) -> None:
    bundle = bundles.write(identify=True)
    last = json.loads((bundle / "chain.jsonl").read_text().splitlines()[-1])
    assert verify(bundle, "--hash", str(last["seq"]), last["hash"]).returncode == 0
    wrong = verify(bundle, "--hash", str(last["seq"]), "0" * 64)
    assert wrong.returncode == 1
    assert "is not the one that a checkpoint that you hold vouches for" in wrong.stdout


@pytest.mark.parametrize("form", ["json", "csv"])
def test_no_file_names_a_patient_unless_asked_and_then_only_the_sessions_own(bundles: Bundles, form: Form) -> None:
    def named(bundle: Path) -> set[str]:
        return {name for file in bundle.iterdir() for name in IDENTIFIERS if name in file.read_text()}

    assert named(bundles.write(identify=False, form=form)) == set()
    assert named(bundles.write(identify=True)) == {"VISIT-1001", "MRN-555001", "ACC-1"}


def test_entries_of_other_sessions_show_no_body(bundles: Bundles) -> None:
    chain = (bundles.write(identify=True) / "chain.jsonl").read_text().splitlines()
    others = [entry for line in chain if (entry := json.loads(line))["session"] == OTHER]
    assert others
    assert not any("body" in entry for entry in others)
    assert OTHER not in "".join(json.loads(line).get("body", "") for line in chain)


def test_the_content_is_whole_in_json_and_in_csv(bundles: Bundles) -> None:
    content = json.loads((bundles.write(identify=False) / "session.json").read_text())
    assert [row["key"][-3:] for row in content["increments"]] == ["01A", "02A", "03A", "01B", "02B", "03B"]
    kinds = {row["fact"] for row in content["facts"]}
    assert {"patient_bound", "cooling_started", "infusion_ended", "infusion_end_corrected", "note_added"} <= kinds
    tables = bundles.write(identify=False, form="csv")
    for name in ("facts", "increments", "charges"):
        with (tables / f"{name}.csv").open(newline="") as file:
            assert [row["seq"] for row in csv.DictReader(file)] == [str(row["seq"]) for row in content[name]], name
    with (tables / "intervals.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    assert 'name = "midpoint"' in (tables / "policy.toml").read_text()


def leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every value of the JSON that is no list or object, and its name."""
    if isinstance(value, dict):
        for key, each in cast(Json, value).items():
            yield from leaves(each, key)
    elif isinstance(value, list):
        for each in cast(list[object], value):
            yield from leaves(each, name)
    elif value is not None:
        yield name, value


def moment(text: object) -> datetime | None:
    """The instant that a cell or a value says, if it is one."""
    try:
        return datetime.fromisoformat(str(text)) if "T" in str(text) else None
    except ValueError:
        return None


def test_the_csv_says_all_that_the_json_says(bundles: Bundles) -> None:
    content = json.loads((bundles.write(identify=True) / "session.json").read_text())
    tables = bundles.write(identify=True, form="csv")
    cells: set[str] = set()
    moments: set[datetime | None] = set()
    for file in tables.glob("*.csv"):
        with file.open(newline="") as opened:
            for row in csv.reader(opened):
                cells |= set(row)
                moments |= {moment(cell) for cell in row}
                nested = [json.loads(cell) for cell in row if cell.startswith(("[", "{"))]
                cells |= {str(value) for each in nested for _, value in leaves(each)}
    moments.discard(None)
    said = [each for each in leaves(content) if str(each[1]) in cells or moment(each[1]) in moments]
    assert said == list(leaves(content))


def test_session_csv_names_patient_phase_flags_minutes_and_policy(bundles: Bundles) -> None:
    def row(*, identify: bool) -> dict[str, str]:
        with (bundles.write(identify=identify, form="csv") / "session.csv").open(newline="") as file:
            (only,) = csv.DictReader(file)
        return only

    named = row(identify=True)
    assert [named[f"patient_{name}"] for name in ("visit", "mrn", "account")] == ["VISIT-1001", "MRN-555001", "ACC-1"]
    assert [named[name] for name in ("phase", "flags", "chart_minutes", "net_s")] == ["finalized", "[]", "80", "4800.0"]
    policy = [named[f"policy_{name}"] for name in ("name", "revision", "effective", "approved_by")]
    assert policy == ["midpoint", "3", "2026-01-01", "J. Ortiz, compliance"]
    assert row(identify=False).get("patient", "") == ""


def test_what_a_spreadsheet_would_compute_is_text(tmp_path: Path) -> None:
    words = '=HYPERLINK("http://example.invalid")'
    write_session(tmp_path / "ledger.db", words)
    with open_snapshot(tmp_path / "ledger.db") as connection:
        write_bundle(connection, gather(connection, SESSION, identify=False), tmp_path / "bundle", "csv")
    texts = [file.read_text().splitlines(keepends=True) for file in (tmp_path / "bundle").glob("*.csv")]
    cells = [cell for text in texts for row in csv.reader(text) for cell in row]
    assert f"'{words}" in cells
    assert [cell for cell in cells if cell.startswith("=")] == []


def test_times_are_local_in_csv_and_utc_in_json(tmp_path: Path) -> None:
    write_session(tmp_path / "ledger.db")
    for form in FORMS:
        with open_snapshot(tmp_path / "ledger.db") as connection:
            write_bundle(connection, gather(connection, SESSION, identify=False), tmp_path / form, form)
        assert verify(tmp_path / form).returncode == 0
    content = json.loads((tmp_path / "json" / "session.json").read_text())
    with (tmp_path / "csv" / "increments.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, said in zip(rows, content["increments"], strict=True):
        assert said["attained_at"].endswith("Z")
        assert row["attained_at"].endswith("-04:00")
        assert datetime.fromisoformat(row["attained_at"]) == datetime.fromisoformat(said["attained_at"])
        assert row["infusion_end_time"].endswith("-04:00")


def body_edit(lines: list[Json]) -> None:
    line = next(each for each in lines if each["kind"] == "increment" and "body" in each)
    line["body"] = line["body"].replace("T12:", "T11:")


def session_hidden(lines: list[Json]) -> None:
    line = next(each for each in lines if each["kind"] == "increment" and "body" in each)
    line["body_sha256"] = "0" * 64
    del line["body"]


FORGERIES: dict[str, tuple[str, Callable[[list[Json]], object], str]] = {
    "a body edited": ("chain.jsonl", body_edit, "is not what was hashed"),
    "a body hidden": ("chain.jsonl", session_hidden, "is of this session and not shown"),
    "an entry taken out": ("chain.jsonl", lambda lines: lines.pop(30), "the chain has a gap"),
    "entries moved": ("chain.jsonl", lambda lines: lines.insert(3, lines.pop(40)), "the chain has a gap"),
    "a foreign digest edited": (
        "chain.jsonl",
        lambda lines: next(each for each in lines if "body" not in each).update(body_sha256="0" * 64),
        "is not what was hashed",
    ),
    "a foreign entry given to nobody": (
        "chain.jsonl",
        lambda lines: next(each for each in lines if each["session"] == OTHER).update(session=""),
        "is not what was hashed",
    ),
    "the tail cut off": ("chain.jsonl", lambda lines: lines.pop(), "the chain has a gap"),
    "more increments claimed": ("bundle.json", lambda c: c[0].update(increments=4), "3 increments stand by the chain"),
    "fewer units charged": ("bundle.json", lambda c: c[0].update(charged=2), "3 units are charged by the chain"),
    "increments told otherwise": (
        "session.json",
        lambda c: c[0]["increments"][-1]["data"].update(net_s=1.0),
        "otherwise than the chain",
    ),
    "another checkpoint": (
        "checkpoints.jsonl",
        lambda lines: lines[0].update(note=re.sub("[0-9a-f]{64}", "0" * 64, lines[0]["note"])),
        "a checkpoint in the bundle",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_bundle_is_found_out(bundles: Bundles, name: str) -> None:
    file, forge, text = FORGERIES[name]
    found = verify(bundles.forged(file, forge), "--held", held(bundles))
    assert found.returncode == 1
    assert text in found.stdout


def test_a_bundle_chained_anew_is_found_out_by_who_holds_a_checkpoint(bundles: Bundles, tmp_path: Path) -> None:
    """The forger hashes everything after the edit again, and the checkpoints in the bundle with it."""
    script = f"""
import json, sys
sys.path.insert(0, sys.argv[1])
import verify_bundle as v
from pathlib import Path
bundle = json.loads((v.HERE / "bundle.json").read_text())
chain = v.lines(v.HERE / "chain.jsonl")
edited = next(e for e in chain if "body" in e and "{SESSION}" == e["session"])
edited["body"] += " "
for before, entry in zip([None, *chain], chain):
    if before: entry["prev_hash"] = before["hash"]
    entry["hash"] = v.entry_hash(bundle, entry)
(v.HERE / "chain.jsonl").write_text("".join(json.dumps(e) + chr(10) for e in chain))
(v.HERE / "checkpoints.jsonl").write_text("")
"""
    forged = tmp_path / "forged"
    shutil.copytree(bundles.write(identify=True), forged)
    subprocess.run([sys.executable, "-c", script, forged], check=True)
    assert verify(forged).returncode == 0, "alone, a skilful forgery goes unseen: the control"
    assert verify(forged, "--held", held(bundles)).returncode == 1


def test_increments_that_do_not_add_up_are_found_without_any_chain(bundles: Bundles) -> None:
    """Where bodies are withheld, session.json is what is checked, by arithmetic alone."""

    def shorten(content: list[Json]) -> None:
        content[0]["increments"][-1]["data"]["intervals"][0]["start"] = "2026-03-10T12:40:00.000Z"

    found = verify(bundles.forged("session.json", shorten, identify=False))
    if "withheld" in found.stdout:
        assert found.returncode == 1
        assert "has intervals of" in found.stdout
    else:
        assert "otherwise than the chain" in found.stdout


def test_the_policy_beside_a_chain_that_names_it_is_the_one(bundles: Bundles) -> None:
    """Only the first session's entry has the text; the second one's names it."""
    bundle = bundles.write(identify=False, token=OTHER)
    opened = [line for line in (bundle / "chain.jsonl").read_text().splitlines() if "session_opened" in line]
    assert ["first_threshold_s" in line for line in opened] == [False]
    assert verify(bundle).returncode == 0
    policy = (bundle / "policy.toml").read_text()
    assert policy == POLICY
    (bundle / "policy.toml").write_text(policy + "# another\n")
    found = verify(bundle)
    assert found.returncode == 1
    assert "policy.toml is not the policy that the chain says was pinned" in found.stdout


def test_an_older_checkpoint_does_not_vouch_for_the_end(bundles: Bundles, tmp_path: Path) -> None:
    old = tmp_path / "old.jsonl"
    old.write_text(held(bundles).read_text().splitlines()[0] + "\n")
    found = verify(bundles.write(identify=True), "--held", old)
    assert found.returncode == 1
    assert "an end may be missing" in found.stdout


def test_files_that_cannot_be_read_end_without_a_traceback(bundles: Bundles, tmp_path: Path) -> None:
    broken = bundles.forged("bundle.json", lambda content: content[0].pop("session"))
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("{}\n")
    for found in (verify(broken), verify(bundles.write(identify=True), "--held", wrong)):
        assert (found.returncode, found.stderr) == (2, "")


def test_a_bundle_replaces_nothing(bundles: Bundles, tmp_path: Path) -> None:
    with open_snapshot(bundles.write(identify=True).parent / "state" / "ledger.db") as connection:
        bundle = gather(connection, SESSION, identify=False)
        with pytest.raises(TargetExists):
            write_bundle(connection, bundle, tmp_path, "json")
