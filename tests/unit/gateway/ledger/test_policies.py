"""Pinned policies: the text stands in the chain once, later entries name it, and who reads a session gets it whole."""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from drivers.reading import Stamp
from gateway.audit.sessions import sessions
from gateway.audit.stream import open_snapshot
from gateway.audit.verify import verify
from gateway.ledger.opening import Opened, connect_file, open_or_replace
from tests.unit.gateway.ledger.ledger_story import GATEWAY, POLICY, TOKENS, at, write_story

NAME = f"sha256:{hashlib.sha256(POLICY.encode()).hexdigest()}"
OPENED = """FROM entry WHERE kind = 'fact' AND body LIKE '%"session_opened"%'"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_story(tmp_path / "ledger.db")
    return tmp_path / "ledger.db"


def pinned(path: Path) -> list[str]:
    """What the openings of sessions have for a policy, in the order of the chain."""
    with closing(sqlite3.connect(path)) as connection:
        bodies = connection.execute(f"SELECT body {OPENED} ORDER BY seq").fetchall()
    return [json.loads(body)["policy"] for (body,) in bodies]


def tamper(path: Path, *statements: str) -> None:
    """Change the file past its guards, which are there again afterwards."""
    with closing(connect_file(path)) as connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in guards:
            connection.execute(sql)


def opened(path: Path) -> Opened:
    found = open_or_replace(path, GATEWAY, lambda: Stamp(at(200), 0), connect_file)
    found.connection.close()
    return found


def test_the_text_stands_in_the_chain_once(path: Path) -> None:
    assert pinned(path) == [POLICY, NAME]
    assert opened(path).policies == {NAME}


def test_every_session_is_read_with_its_text(path: Path) -> None:
    with open_snapshot(path) as connection:
        found = list(sessions(connection))
    assert [(each.token, each.counted.opened.policy) for each in found] == [(token, POLICY) for token in TOKENS[:2]]


@pytest.mark.parametrize(
    ("attack", "texts"),
    [
        (
            "UPDATE policy SET text = replace(text, '960', '60')",
            {f"under policy {NAME} lies another text", f"the text of its policy {NAME} is missing or was altered"},
        ),
        ("DELETE FROM policy", {f"the text of its policy {NAME} is missing or was altered"}),
    ],
)
def test_a_text_that_was_changed_or_taken_away_is_found(path: Path, attack: str, texts: set[str]) -> None:
    tamper(path, attack)
    report = verify(path)
    assert {each.text for each in report.problems if each.area == "index"} == texts
    assert [each.seq for each in report.problems if "of its policy" in each.text] == [
        seq for (seq,) in connect_file(path).execute(f"SELECT seq {OPENED} ORDER BY seq DESC LIMIT 1")
    ]


@pytest.mark.parametrize("attack", ["UPDATE policy SET text = 'x'", "DELETE FROM policy"])
def test_a_text_that_a_gateway_lacks_is_had_again_from_the_entry(path: Path, attack: str) -> None:
    tamper(path, attack)
    found = opened(path)
    assert found.set_aside is not None
    assert (found.entries_lost, found.policies) == (False, {NAME})
    assert pinned(path) == [POLICY, NAME]
    assert verify(path).problems == ()


def test_a_text_whose_entry_is_lost_is_had_from_the_table(path: Path) -> None:
    tamper(path, "UPDATE entry SET body = replace(body, 'first_threshold_s', 'first_treshold_s')")
    found = opened(path)
    assert found.set_aside is not None
    assert found.entries_lost
    assert pinned(path) == [NAME]
    with open_snapshot(path) as connection:
        assert [each.counted.opened.policy for each in sessions(connection)] == [POLICY]


def test_a_session_whose_policy_nobody_has_is_lost_and_said_to_be(path: Path) -> None:
    tamper(
        path,
        "UPDATE entry SET body = replace(body, 'first_threshold_s', 'first_treshold_s')",
        "UPDATE policy SET text = 'x'",
    )
    found = opened(path)
    assert found.entries_lost
    assert pinned(path) == []
    with closing(connect_file(path)) as connection:
        (body,) = connection.execute("""SELECT body FROM entry WHERE body GLOB '{"set_aside"*'""").fetchone()
    assert json.loads(body)["missing"] == 2
    assert opened(path).head == found.head, "it opens again"


def test_nobody_changes_a_text(path: Path) -> None:
    with closing(connect_file(path)) as connection:
        for deed in ("UPDATE policy SET text = 'x'", "DELETE FROM policy"):
            with pytest.raises(sqlite3.IntegrityError, match="is refused"):
                connection.execute(deed)
