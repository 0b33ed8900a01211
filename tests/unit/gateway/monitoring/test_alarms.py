"""Alarms: each condition raises its own, only changes are published, the first update clears what the broker kept."""

import json
import re
from collections.abc import Collection
from pathlib import Path

import pytest

from drivers.reading import FaultKind
from gateway.messages.cloudevents import Origin
from gateway.messages.destination import Destination
from gateway.messages.notation import Mode
from gateway.monitoring.alarms import (
    STORED_S,
    UNREACHABLE_S,
    UNRECEIPTED_S,
    UNSENT_S,
    AlarmCode,
    AlarmInputs,
    Alarms,
    UnitDown,
    active,
)
from gateway.monitoring.waiting import Waiting
from gateway.mqtt.topics import Topics
from gateway.runtime.crashes import Crash
from gateway.session.facts import SharedBy, UnitShared
from tests.unit.gateway.monitoring.feed_rows import FEED_ROW

ROOT = Path(__file__).parents[4]
CALM = AlarmInputs()
DOWN = UnitDown(FaultKind.TIMEOUT, UNREACHABLE_S)
CAUSES: dict[AlarmCode, AlarmInputs] = {
    AlarmCode.UNIT_UNREACHABLE: AlarmInputs(units_down={"cap-07": DOWN}),
    AlarmCode.UNIT_MISTAKEN: AlarmInputs(units_down={"cap-07": UnitDown(FaultKind.WRONG_IDENTITY, 0.0)}),
    AlarmCode.UNIT_SHARED: AlarmInputs(
        units_shared=[
            UnitShared(at_us=1, known_at_us=1, device="cap-07", gateway="gw-02", unit="cap-7", by=SharedBy.LINE)
        ]
    ),
    AlarmCode.CONSENT_NEEDED: AlarmInputs(units_down={"cap-07": UnitDown(FaultKind.NEEDS_CONSENT, UNREACHABLE_S)}),
    AlarmCode.TOPIC_REFUSED: AlarmInputs(held_topics={"capgate/v1/s/ehr/g/charge/json": 0x87}),
    AlarmCode.SUBSCRIPTION_REFUSED: AlarmInputs(refused_filters={"capgate/v1/s/ehr/in/hl7": 0x87}),
    AlarmCode.CLIENT_ID_TAKEN: AlarmInputs(rival_of="capgate-g"),
    AlarmCode.NOBODY_LISTENS: AlarmInputs(held_topics={"capgate/v1/s/ehr/g/charge/json": 0x10}),
    AlarmCode.MESSAGES_WAIT: AlarmInputs(oldest_unsent_s=UNSENT_S),
    AlarmCode.MESSAGE_REJECTED: AlarmInputs(rejected=2),
    AlarmCode.FEED_REJECTED: AlarmInputs(feed_rejected=[FEED_ROW]),
    AlarmCode.STAGING_FULL: AlarmInputs(staging_full=200_000),
    AlarmCode.RECEIPT_OVERDUE: AlarmInputs(oldest_unreceipted_s=UNRECEIPTED_S),
    AlarmCode.DISK_FULL: AlarmInputs(disk_free_bytes=0),
    AlarmCode.LEDGER_BLOCKED: AlarmInputs(ledger_blocked="database or disk is full"),
    AlarmCode.SAFE_MODE: AlarmInputs(safe_mode="safe mode after 5 crashes"),
    AlarmCode.CLOCK_IMPLAUSIBLE: AlarmInputs(clock_implausible="the clock shows 1970"),
    AlarmCode.CRASHED: AlarmInputs(crashes=[Crash(1, "ValueError in begin, state.py line 3")]),
    AlarmCode.RESTARTS_OFTEN: AlarmInputs(starts=4),
    AlarmCode.DESCRIPTORS_LOW: AlarmInputs(descriptors_left=12),
    AlarmCode.CERTIFICATE_EXPIRES: AlarmInputs(expiring={"page": "expires on 2026-05-01"}),
    AlarmCode.HISTORY_UNWRITTEN: AlarmInputs(history_trouble="Permission denied"),
    AlarmCode.PURGE_WAITS: AlarmInputs(purge_waits="the last sweep was 1461 days ago by this clock"),
    AlarmCode.FILE_SET_ASIDE: AlarmInputs(files_set_aside=["temperatures.db.set-aside-1"]),
    AlarmCode.LEDGER_SET_ASIDE: AlarmInputs(ledger_set_aside="ledger.db.damaged-1"),
    AlarmCode.LEDGER_BEHIND: AlarmInputs(ledger_set_aside="ledger.db.damaged-1-behind"),
    AlarmCode.ENTRIES_LOST: AlarmInputs(lost_since_us=0),
    AlarmCode.MESSAGES_MISSED: AlarmInputs(missed_us=(0, 1)),
    AlarmCode.START_DISAGREES: AlarmInputs(start_disagrees=1),
    AlarmCode.SESSION_DEFECT: AlarmInputs(defects=1),
    AlarmCode.CONFIGURATION_REFUSED: AlarmInputs(configuration_refused="gateway.toml:3: not TOML"),
    AlarmCode.PORT_TAKEN: AlarmInputs(unserved={"health page": "127.0.0.1 port 9464: Address already in use"}),
    AlarmCode.POLICY_UNAPPROVED: AlarmInputs(policy_unapproved="midpoint"),
    AlarmCode.SESSIONS_INCOMPLETE: AlarmInputs(incomplete=Waiting(2, 5.5 * 86_400)),
    AlarmCode.SESSIONS_HELD: AlarmInputs(held=Waiting(1, 3_600.0)),
}


class Published:
    """What an `Alarms` published: topic -> state."""

    def __init__(self, known: Collection[AlarmCode] = tuple(AlarmCode)) -> None:
        self.messages: list[tuple[str, str]] = []
        self.alarms = Alarms(Origin("s", "g"), Topics("s", "g", Mode.LIVE), self._publish, known)

    def _publish(self, to: Destination, payload: bytes) -> None:
        self.messages.append((to.topic, json.loads(payload)["data"]["state"]))

    def after(self, condition: AlarmInputs) -> list[tuple[str, str]]:
        self.messages.clear()
        self.alarms.update(condition, 1_773_144_000_000_000)
        return list(self.messages)


def test_the_schema_and_the_page_have_every_code() -> None:
    schema = json.loads((ROOT / "gateway" / "messages" / "schemas" / "alarm-1.json").read_text())
    assert set(schema["properties"]["code"]["enum"]) == set(AlarmCode)
    page = (ROOT / "docs" / "reference" / "messages.md").read_text().partition("### Alarm\n")[2].partition("\n### ")[0]
    assert {code for code in AlarmCode if f"| `{code}` |" not in page} == set()


def test_each_alarm_has_its_row_of_what_to_do() -> None:
    page = (ROOT / "docs" / "how-to" / "alarms.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| .+ \| .+ \| .+ \|$", page, re.MULTILINE)
    assert rows == list(AlarmCode), "every one, in the order of the list"


@pytest.mark.parametrize("code", AlarmCode)
def test_each_condition_raises_its_own_alarm_and_no_other(code: AlarmCode) -> None:
    assert [raised for raised, _ in active(CAUSES[code])] == [code]
    assert list(active(CALM)) == []


@pytest.mark.parametrize(
    "condition",
    [
        AlarmInputs(units_down={"cap-07": UnitDown(FaultKind.TIMEOUT, UNREACHABLE_S - 1)}),
        AlarmInputs(oldest_unsent_s=UNSENT_S - 1),
        AlarmInputs(oldest_unreceipted_s=UNRECEIPTED_S - 1),
        AlarmInputs(oldest_stored_s=STORED_S - 1),
    ],
)
def test_what_may_pass_by_itself_raises_nothing_yet(condition: AlarmInputs) -> None:
    assert list(active(condition)) == []


def test_waiting_sessions_are_counted_and_announced_again_as_that_changes() -> None:
    assert dict(active(CAUSES[AlarmCode.SESSIONS_INCOMPLETE]))[AlarmCode.SESSIONS_INCOMPLETE] == (
        "2 sessions, the oldest of 5 d ago: patient or infusion end unknown; see capgate session list"
    )
    published = Published()
    published.after(CALM)
    raised = [("capgate/v1/s/dev/g/alarm/sessions-held", "raised")]
    assert published.after(AlarmInputs(held=Waiting(1, 0.0))) == raised
    assert published.after(AlarmInputs(held=Waiting(1, 3_600.0))) == []
    assert published.after(AlarmInputs(held=Waiting(2, 3_600.0))) == raised
    assert published.after(AlarmInputs(held=Waiting(2, 90_000.0))) == raised
    assert published.after(CALM) == [("capgate/v1/s/dev/g/alarm/sessions-held", "cleared")]


def test_what_the_engine_stored_may_wait_longer_for_its_answer_but_not_for_ever() -> None:
    ((code, text),) = active(AlarmInputs(oldest_stored_s=STORED_S))
    assert (code, text.partition(",")[0]) == (AlarmCode.RECEIPT_OVERDUE, "stored by the engine for 24 h")


def test_the_first_telling_has_every_alarm_and_later_ones_have_changes() -> None:
    published = Published()
    first = dict(published.after(CAUSES[AlarmCode.MESSAGE_REJECTED]))
    assert first == {
        f"capgate/v1/s/dev/g/alarm/{code}": "raised" if code is AlarmCode.MESSAGE_REJECTED else "cleared"
        for code in AlarmCode
    }
    assert published.after(CAUSES[AlarmCode.MESSAGE_REJECTED]) == []
    assert published.after(CALM) == [("capgate/v1/s/dev/g/alarm/message-rejected", "cleared")]
    assert published.after(CAUSES[AlarmCode.UNIT_MISTAKEN]) == [("capgate/v1/s/dev/g/alarm/unit-mistaken", "raised")]
    assert published.alarms.raised == {AlarmCode.UNIT_MISTAKEN}


def test_who_cannot_tell_of_an_alarm_leaves_it_as_it_is() -> None:
    published = Published([AlarmCode.LEDGER_BLOCKED])
    blocked = CAUSES[AlarmCode.LEDGER_BLOCKED]
    assert published.after(blocked) == [("capgate/v1/s/dev/g/alarm/ledger-blocked", "raised")]
    assert published.after(CALM) == [("capgate/v1/s/dev/g/alarm/ledger-blocked", "cleared")]
