"""What the gateway has published, as a receiver keeps it: sessions, increments and charges folded by their keys."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tests.campaign.plan import Rule

Json = dict[str, Any]


class Standing(NamedTuple):
    """An increment that was emitted and not retracted."""

    revision: str
    attained_us: int


class Change(NamedTuple):
    """A change of an increment, or a charge or credit, as it came."""

    token: str
    what: str  # emit, amend, retract, charge, credit
    number: int  # of the increment, or how many units are charged
    revision: str
    cause: str  # the message that made it, "" for none


@dataclass
class SeenSession:
    """One token."""

    token: str
    unit: str
    cap: int
    started_us: int
    policy: str  # name and revision
    unbound: bool = False  # nobody is known to be cooled in it
    standing: dict[int, Standing] = field(default_factory=dict[int, Standing])
    charges: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict[str, tuple[int, tuple[str, ...]]])
    credited: set[str] = field(default_factory=set[str])

    @property
    def charged(self) -> int:
        """Units charged and not credited."""
        return sum(quantity for key, (quantity, _) in self.charges.items() if key not in self.credited)


class Bus:
    """`complain` is told of what no receiver should see, `answered` of each answer to a message."""

    def __init__(self, complain: Callable[[Rule, str], None], answered: Callable[[Json], None]) -> None:
        self.sessions: dict[str, SeenSession] = {}
        self.changes: list[Change] = []  # since somebody took them
        self.counts: dict[str, int] = {}
        self._complain = complain
        self._answered = answered
        self._payloads: dict[str, bytes] = {}
        self._trace = hashlib.sha256()

    @property
    def trace(self) -> str:
        """A digest of all that was published for the EHR, in its order."""
        return self._trace.hexdigest()[:16]

    def take(self, topic: str, payload: bytes) -> None:
        """A message at QoS 1."""
        if "/ehr/" not in topic:
            return
        self._trace.update(payload)
        is_json = topic.endswith("/json")
        event: Json = json.loads(payload) if is_json else {}
        key = self.key(topic, payload)
        known = self._payloads.setdefault(key, payload)
        if known != payload:
            self._complain(Rule.BYTES, f"message {key} was sent again with other bytes")
        if known is not payload or not is_json:
            return
        data: Json = event["data"]
        kind = topic.rsplit("/", 2)[-2]
        match kind:
            case "result":
                self._answered(data)
            case "session":
                self._session(data)
            case "increment":
                self._increment(data, str(event.get("causationid", "")))
            case "charge":
                self._charge(data, str(event.get("causationid", "")))
            case _:
                pass

    def key(self, topic: str, payload: bytes) -> str:
        """By what a receiver knows a message again, and its kind."""
        if topic.endswith("/json"):
            event: Json = json.loads(payload)
            return self.key_of(topic, event["id"])
        return self.key_of(topic, payload.split(b"|", 10)[9].decode())  # MSH-10

    def charge(self, topic: str, payload: bytes) -> str:
        """The charge's own key."""
        return self.key(topic, payload).rpartition(" ")[2].removeprefix("CG" if topic.endswith("/hl7") else "")

    def key_of(self, topic: str, name: str) -> str:
        """The same, by the message's own id."""
        kind = topic.rsplit("/", 2)[-2]
        return f"{kind} {name}" if topic.endswith("/json") else f"{kind} in HL7 {name}"

    def payload(self, key: str) -> bytes | None:
        """The message as it came; None if it did not."""
        return self._payloads.get(key)

    def keys_of_rows(self) -> set[str]:
        """The messages that came, but for answers, of which some never enter the ledger."""
        return {key for key in self._payloads if not key.startswith("result ")}

    def _session(self, data: Json) -> None:
        session = self._of(data, _us(data["started_at"]), str(data["unit"]), int(data["cap"]))
        session.unbound = "unbound" in data["release"]["reasons"]

    def _increment(self, data: Json, cause: str) -> None:
        device: Json = next(iter(data["devices"]), {"unit": "", "cap": 0})
        session = self._of(data, 0, str(device["unit"]), int(device["cap"]))
        index, op = int(data["index"]), str(data["op"])
        self._note(session.token, op, index, str(data["revision"]), cause)
        there = index in session.standing
        if there == (op == "emit"):
            self._complain(
                Rule.LOG, f"{session.token} {op} of unit {index}, which {'stands' if there else 'does not stand'}"
            )
        if op == "retract":
            session.standing.pop(index, None)
        else:
            session.standing[index] = Standing(str(data["revision"]), _us(data["attained_at"]))

    def _charge(self, data: Json, cause: str) -> None:
        session = self.sessions.get(data["session"])
        if session is None:
            self._complain(Rule.LOG, f"a charge of {data['session']}, of which nothing was published")
            return
        action = str(data["action"])
        self._note(session.token, action, int(data["quantity"]), "", cause)
        if action == "credit":
            session.credited.add(data["reverses"])
        else:
            session.charges[data["charge"]] = (int(data["quantity"]), tuple(data["increments"]))

    def _of(self, data: Json, started_us: int, unit: str, cap: int) -> SeenSession:
        token = str(data["session"])
        policy = f"{data['policy']['name']} {data['policy']['revision']}"
        session = self.sessions.setdefault(token, SeenSession(token, unit, cap, started_us, policy))
        session.started_us = session.started_us or started_us
        if session.policy != policy:
            self._complain(Rule.POLICY, f"{token} is counted by policy {policy}, and was opened under {session.policy}")
        return session

    def _note(self, token: str, what: str, number: int, revision: str, cause: str) -> None:
        self.changes.append(Change(token, what, number, revision, cause))
        self.counts[what] = self.counts.get(what, 0) + 1


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
