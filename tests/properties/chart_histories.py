"""Histories of a chart, and the messages in which each notation tells them: HL7 v2 in both shapes, FHIR and JSON.

A history is what was charted, entry by entry: minutes of one day, for bags of orders. What stands at its end is worked
out here from the entries alone (`standing`), so that it can be compared with what the gateway makes of the messages.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

DAY = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
VISIT = "V770012"


@dataclass(frozen=True)
class Entry:
    """One version of one bag, as charted: running since `start`, ended at `end`, or withdrawn."""

    order: str
    bag: int
    charted: int  # minute
    start: int
    end: int | None = None
    withdrawn: bool = False
    replaces: bool = False  # charted as an update
    had_end: int | None = None  # the end that the version before had
    had_start: int | None = None  # its start; None: nothing stood


History = tuple[Entry, ...]  # in the order of charting


@st.composite
def histories(draw: st.DrawFn, *, one_at_a_time: bool = False, moving_starts: bool = True) -> History:
    """Up to three bags of an order and perhaps another order, each charted up to four times, no two at one minute."""
    bags = draw(st.lists(st.sampled_from(["RX1", "RX1", "RX2"]), min_size=1, max_size=3))
    charted = iter(sorted(draw(st.lists(st.integers(1, 400), min_size=12, max_size=12, unique=True))))
    plans: list[list[str]] = [draw(_versions()) for _ in bags]
    turns = draw(st.permutations([number for number, plan in enumerate(plans) for _ in plan]))
    periods: dict[int, tuple[int, int]] = {}
    at = 6  # no start, moved back by 5, falls on the instant at which cooling began: the oracle takes one fact a second
    for number in range(len(bags)):
        start = at + draw(st.integers(0, 5)) if one_at_a_time else draw(st.integers(6, 100))
        end = start + draw(st.integers(11, 60))
        periods[number], at = (start, end), end + 11
    last: dict[int, Entry] = {}
    history: list[Entry] = []
    for number in turns:
        what = plans[number].pop(0)
        before = last.get(number)
        start, end = periods[number]
        if before is not None and moving_starts and draw(st.booleans()):
            start += draw(st.integers(-5, 5))
        if before is not None:
            end += draw(st.integers(-5, 5))
        stands = before is not None and not before.withdrawn
        moved = stands and before is not None and start != before.start
        takes_back = stands and before is not None and before.end is not None and what == "running"
        if what == "withdrawn" and stands and before is not None:
            start = before.start
        entry = Entry(
            bags[number],
            number + 1,
            next(charted),
            start,
            end if what == "ended" else None,
            what == "withdrawn",
            replaces=what != "withdrawn" and stands and (moved or takes_back or draw(st.booleans())),
            had_end=before.end if before is not None and stands else None,
            had_start=before.start if before is not None and stands else None,
        )
        last[number] = entry
        history.append(entry)
    return tuple(history)


@st.composite
def _versions(draw: st.DrawFn) -> list[str]:
    more = draw(st.lists(st.sampled_from(["ended", "ended", "running", "withdrawn"]), max_size=2))
    return [
        draw(st.sampled_from(["running", "ended"])),
        *more,
        draw(st.sampled_from(["ended", "ended", "ended", "running"])),
    ]


def standing(history: History) -> dict[str, tuple[int, int | None]]:
    """Order by order, when it began and when it ended: None while a bag runs, or if nothing of it stands."""
    latest = {(entry.order, entry.bag): entry for entry in history}
    found: dict[str, tuple[int, int | None]] = {}
    for order in sorted({entry.order for entry in history}):
        own = [entry for (of, _), entry in latest.items() if of == order]
        stand = [entry for entry in own if not entry.withdrawn]
        ends = [entry.end for entry in stand if entry.end is not None]
        is_over = bool(stand) and len(ends) == len(stand)
        found[order] = min(entry.start for entry in own), max(ends) if is_over else None
    return found


def minute(at: int) -> datetime:
    return DAY + timedelta(minutes=at)


# --- HL7 v2


def _hl7_time(at: int) -> str:
    return minute(at).strftime("%Y%m%d%H%M%S+0000")


def _ras(entry: Entry, name: str, rxa: dict[int, str], orc_5: str) -> bytes:
    fields = [rxa.get(number, "") for number in range(1, 23)]
    lines = [
        f"MSH|^~\\&|MAR|DEMO|CAPGATE|DEMO|{_hl7_time(entry.charted)}||RAS^O17^RAS_O17|{name}|P|2.5.1",
        f"PV1|1|O|{'|' * 16}{VISIT}",
        f"ORC|RE|{entry.order}|||{orc_5}",
        "|".join(["RXA", *fields]),
    ]
    return "\r".join([*lines, ""]).encode()


def status_words(history: History, *, numbered: bool = True) -> list[bytes]:
    """RXA-3 to RXA-4 with a code in RXA-20 and a word in RXA-9. Not numbered: RXA-2 is 1 whatever the bag."""
    messages: list[bytes] = []
    for number, entry in enumerate(history):
        over = entry.end is not None
        end = entry.end if entry.end is not None else entry.start
        rxa = {
            1: "0",
            2: str(entry.bag) if numbered else "1",
            3: _hl7_time(entry.start),
            4: _hl7_time(end),
            5: "PACLI",
            9: "STOPPED^Stopped^L" if over else "NEWBAG^New bag^L",
            20: "CP" if over else "PA",
            21: "D" if entry.withdrawn else "U" if entry.replaces else "A",
            22: _hl7_time(entry.charted),
        }
        messages.append(_ras(entry, f"S{number}", rxa, "CM" if over else "IP"))
    return messages


def actions(history: History) -> list[bytes]:
    """Each step by itself: its word in RXA-20, its time in RXA-3, RXA-4 empty."""
    messages: list[bytes] = []

    def step(entry: Entry, word: str, at: int, action: str) -> None:
        first = 2 * entry.bag - 1
        rxa = {
            1: "0",
            2: str(first if word == "New Bag" else first + 1),
            3: _hl7_time(at),
            5: "PACLI",
            20: word,
            21: action,
            22: _hl7_time(entry.charted),
        }
        messages.append(_ras(entry, f"A{len(messages)}", rxa, ""))

    for entry in history:
        if entry.withdrawn:
            if entry.had_start is not None:
                step(entry, "New Bag", entry.had_start, "D")
            if entry.had_end is not None:
                step(entry, "Stopped", entry.had_end, "D")
            continue
        if entry.start != entry.had_start:
            step(entry, "New Bag", entry.start, "A" if entry.had_start is None else "U")
        if entry.end is not None:
            step(entry, "Stopped", entry.end, "A" if entry.had_end is None else "U")
        elif entry.had_end is not None:
            step(entry, "Stopped", entry.had_end, "D")
    return messages


# --- FHIR and JSON


def fhir(history: History) -> list[bytes]:
    """`MedicationAdministration`: one resource a bag, as it stands after each charting."""
    messages: list[bytes] = []
    for entry in history:
        period = {"start": minute(entry.start).isoformat()}
        if entry.end is not None:
            period["end"] = minute(entry.end).isoformat()
        status = "entered-in-error" if entry.withdrawn else "in-progress" if entry.end is None else "completed"
        resource = {
            "resourceType": "MedicationAdministration",
            "id": f"bag-{entry.bag}",
            "meta": {"lastUpdated": minute(entry.charted).isoformat()},
            "status": status,
            "medicationCodeableConcept": {"coding": [{"code": "PACLI"}]},
            "context": {"identifier": {"value": VISIT}},
            "request": {"identifier": {"value": entry.order}},
            "effectivePeriod": period,
        }
        messages.append(json.dumps(resource).encode())
    return messages


def events(history: History) -> list[bytes]:
    """JSON events: started, completed, voided, each with its administration and when it was charted."""
    messages: list[bytes] = []

    def event(entry: Entry, kind: str, at: int, second: int = 0, **data: object) -> None:
        recorded = minute(entry.charted) + timedelta(seconds=second)
        said = {
            "specversion": "1.0",
            "type": f"org.example.infusion.{kind}.v1",
            "source": "urn:tests",
            "id": f"E{len(messages)}",
            "time": minute(at).isoformat(),
            "recordedtime": recorded.isoformat(),
            "data": {
                "order": entry.order,
                "administration": f"bag-{entry.bag}",
                "visit": VISIT,
                "agent_class": "chemo",
                "source": "mar",
                **data,
            },
        }
        messages.append(json.dumps(said).encode())

    for entry in history:
        if entry.withdrawn:
            event(entry, "voided", entry.charted)
            continue
        if entry.had_end is not None and entry.end is None:
            event(entry, "voided", entry.charted)
            event(entry, "started", entry.start, 1)
        elif entry.start != entry.had_start:
            event(entry, "started", entry.start)
        if entry.end is not None:
            changes = {"amends": "E0"} if entry.replaces and entry.had_end is not None else {}
            event(entry, "completed", entry.end, 2, **changes)
    return messages


NOTATIONS: dict[str, Callable[[History], list[bytes]]] = {
    "status words": status_words,
    "fhir": fhir,
    "json": events,
}
"""Notations that tell of bags that run side by side."""
