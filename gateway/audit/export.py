"""The audit bundle of one session: everything about it, and the chain that holds it, readable without Capgate.

What the bundle proves and what it does not is said in its README.txt. Bodies that name the patient are withheld unless
asked for; the chain then has them by their digest.
"""

import csv
import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Literal

import msgspec

from gateway.audit.sessions import RecordedSession, origin_of, session
from gateway.audit.stream import RawEntry, stream
from gateway.ledger import reads
from gateway.ledger.bodies import change_of, charge_of, event_of, names_patient, without_patient
from gateway.ledger.checkpoint import Checkpoint, to_data
from gateway.ledger.entry import EntryKind
from gateway.ledger.errors import LedgerUnavailable, TargetExists
from gateway.messages.identity import Identity
from gateway.messages.instants import rfc3339
from gateway.session.charges import charged_units
from gateway.session.facts import ObservedUntil, PatientBound, PatientReleased, decode_fact, encode_fact

_STATIC = ("README.txt", "verify_bundle.py")
_DAY_US = 86_400_000_000
Rows = Sequence[Mapping[str, object]]
Form = Literal["json", "csv"]


class Bundle(msgspec.Struct, frozen=True):
    """What the files of a bundle are made from."""

    recorded: RecordedSession
    entries: tuple[RawEntry, ...]  # the range of the chain
    shown: frozenset[int]  # whose bodies are shown
    withheld: tuple[int, ...]  # of the session, and name the patient
    last_of_session: int
    checkpoints: tuple[Checkpoint, ...]
    gateway: str
    epoch: str
    identity: Identity | None


def gather(connection: sqlite3.Connection, token: str, *, identify: bool) -> Bundle:
    """All about a session. Raises UnknownSession, LedgerDamaged, LedgerUnavailable."""
    origin = origin_of(connection)
    recorded = session(connection, token)
    facts = {encode_fact(fact).decode() for fact in recorded.counted.session.facts}
    announced_us = {entry.recorded_us for entry in stream(connection) if entry.session == token}
    own = [e for e in stream(connection) if e.session == token or _concerns(e, facts, announced_us, recorded)]
    withheld = tuple(entry.seq for entry in own if not identify and names_patient(entry.body))
    first, last = own[0].seq, own[-1].seq
    held = reads.checkpoints(connection)
    anchor = next((each.head.seq for each in held if each.head.seq >= last), reads.head(connection, origin).seq)
    patient = recorded.counted.session.patient
    return Bundle(
        recorded=recorded,
        entries=tuple(takewhile(lambda entry: entry.seq <= anchor, stream(connection, first - 1))),
        shown=frozenset(entry.seq for entry in own) - set(withheld),
        withheld=withheld,
        last_of_session=last,
        checkpoints=tuple(each for each in held if first <= each.head.seq <= anchor),
        gateway=origin.gateway,
        epoch=origin.epoch,
        identity=reads.identity(connection, patient) if identify and patient else None,
    )


def write_bundle(bundle: Bundle, directory: Path, form: Form) -> None:
    """Writes the bundle's files into `directory`, which must not be there. Raises TargetExists, LedgerUnavailable."""
    try:
        directory.mkdir(mode=0o700, parents=True)
        for name in _STATIC:
            text = files("gateway.audit.bundle").joinpath(name).read_text(encoding="utf-8")
            (directory / name).write_text(text, encoding="utf-8")
        (directory / "bundle.json").write_bytes(msgspec.json.format(msgspec.json.encode(_manifest(bundle))) + b"\n")
        (directory / "policy.toml").write_text(bundle.recorded.counted.opened.policy, encoding="utf-8")
        _write_lines(directory / "chain.jsonl", (_link(entry, bundle.shown) for entry in bundle.entries))
        _write_lines(directory / "checkpoints.jsonl", map(to_data, bundle.checkpoints))
        content = session_content(bundle)
        if form == "json":
            (directory / "session.json").write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
        else:
            _write_tables(directory, content)
    except FileExistsError:
        raise TargetExists(f"{directory} is there already") from None
    except OSError as error:
        raise LedgerUnavailable(f"{directory}: {error.strerror}") from error


def session_content(bundle: Bundle) -> dict[str, Rows | object]:
    """The session as JSON has it: facts in the order of recording, the log of increments, charges."""
    recorded, token = bundle.recorded, bundle.recorded.token
    own = [entry for entry in bundle.entries if entry.seq in bundle.shown | set(bundle.withheld)]
    assessment = recorded.counted.outcome.assessment
    return {
        "session": token,
        "gateway": bundle.gateway,
        "epoch": bundle.epoch,
        "opened_at": rfc3339(recorded.counted.opened.at_us),
        "policy": {"name": recorded.policy.name, "revision": recorded.policy.revision},
        "subject": recorded.counted.session.patient or None,
        "patient": None if bundle.identity is None else _identifiers(bundle.identity),
        "phase": None if recorded.published is None else recorded.published.phase,
        "flags": assessment.flags,
        "net_s": assessment.net_us / 1e6,
        "chart_minutes": assessment.chart_minutes,
        "increments_standing": [f"{token}{each.index:02d}{each.revision}" for each in recorded.standing],
        "units_charged": charged_units(recorded.charges),
        "facts": [_fact_row(entry) for entry in own if entry.kind == EntryKind.FACT],
        "increments": [_increment_row(entry) for entry in own if entry.kind == EntryKind.INCREMENT],
        "charges": [_charge_row(entry) for entry in own if entry.kind == EntryKind.CHARGE],
        "deliveries": [_delivery_row(entry) for entry in own if entry.kind == EntryKind.DELIVERY],
    }


def _concerns(entry: RawEntry, facts: set[str], announced_us: set[int], recorded: RecordedSession) -> bool:
    """Whether a fact is one of the session's, binds its patient to its caps, or says how far its units were observed
    when something was told.
    """
    if entry.kind != EntryKind.FACT:
        return False
    if entry.body in facts:
        return True
    fact = decode_fact(entry.body)
    caps = set(recorded.counted.outcome.assessment.caps)
    match fact:
        case ObservedUntil():
            return entry.recorded_us in announced_us and fact.device in {cap.device for cap in caps}
        case PatientBound() | PatientReleased():
            near = abs(fact.at_us - recorded.counted.opened.at_us) <= _DAY_US
            return near and fact.cap in caps and fact.patient == recorded.counted.session.patient
        case _:
            return False


def _manifest(bundle: Bundle) -> dict[str, object]:
    return {
        "format": "capgate-bundle/1",
        "gateway": bundle.gateway,
        "epoch": bundle.epoch,
        "session": bundle.recorded.token,
        "first": bundle.entries[0].seq,
        "last": bundle.entries[-1].seq,
        "last_of_session": bundle.last_of_session,
        "entries_shown": len(bundle.shown),
        "withheld": bundle.withheld,
        "increments": len(bundle.recorded.standing),
        "charged": charged_units(bundle.recorded.charges),
        "identified": bundle.identity is not None,
    }


def _link(entry: RawEntry, shown: frozenset[int]) -> dict[str, object]:
    link: dict[str, object] = msgspec.structs.asdict(entry)
    if entry.seq not in shown:
        del link["body"]
        link["body_sha256"] = hashlib.sha256(entry.body.encode()).hexdigest()
    return link


def _fact_row(entry: RawEntry) -> dict[str, object]:
    fact = msgspec.json.decode(entry.body, type=dict[str, object])
    instants = {name.removesuffix("_us"): rfc3339(int(str(fact[name]))) for name in ("at_us", "known_at_us")}
    rest = {name: value for name, value in fact.items() if name not in ("fact", "at_us", "known_at_us")}
    return {"seq": entry.seq, "fact": fact["fact"], **instants, "detail": rest}


def _increment_row(entry: RawEntry) -> dict[str, object]:
    change = change_of(entry.body)
    event = event_of(entry.body)
    return {
        "seq": entry.seq,
        "recorded_at": rfc3339(entry.recorded_us),
        "op": change.op,
        "key": f"{entry.session}{change.index:02d}{change.revision}",
        "attained_at": rfc3339(change.attained_at_us),
        "was": None if change.was_us is None else rfc3339(change.was_us),
        "data": {} if event is None else without_patient(event)["data"],
    }


def _charge_row(entry: RawEntry) -> dict[str, object]:
    charge = charge_of(entry.body)
    return {
        "seq": entry.seq,
        "recorded_at": rfc3339(entry.recorded_us),
        "key": charge.key,
        "reverses": charge.reverses or None,
        "quantity": charge.quantity,
        "increments": charge.line.increments,
        "service_date": charge.line.service_date.isoformat(),
        "net_s": charge.line.net_us / 1e6,
    }


def _delivery_row(entry: RawEntry) -> dict[str, object]:
    said = msgspec.json.decode(entry.body, type=dict[str, dict[str, str]])
    receipt, order = said.get("receipt", {}), said.get("resend", {})
    return {
        "seq": entry.seq,
        "recorded_at": rfc3339(entry.recorded_us),
        "key": receipt.get("key") or order.get("key"),
        "what": receipt.get("result", "ordered again"),
        "code": receipt.get("code") or None,
        "person": order.get("person"),
        "reason": order.get("reason"),
    }


def _identifiers(identity: Identity) -> dict[str, str]:
    return {"visit": identity.visit, "mrn": identity.mrn or "", "account": identity.account or ""}


def _write_lines(path: Path, objects: Iterable[object]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in objects))


def _write_tables(directory: Path, content: Mapping[str, object]) -> None:
    """The rows of facts, increments with their intervals, charges and receipts; what is nested becomes JSON."""
    tables = {
        name: msgspec.convert(content[name], list[dict[str, object]])
        for name in ("facts", "increments", "charges", "deliveries")
    }
    tables["intervals"] = [
        {"key": row["key"], "op": row["op"], **interval}
        for row in tables["increments"]
        for interval in msgspec.convert(row["data"], _Intervals).intervals
    ]
    columns = {
        "facts": ("seq", "fact", "at", "known_at", "detail"),
        "increments": ("seq", "recorded_at", "op", "key", "attained_at", "was"),
        "intervals": ("key", "op", "start", "end", "unit", "cap"),
        "charges": ("seq", "recorded_at", "key", "reverses", "quantity", "increments", "service_date", "net_s"),
        "deliveries": ("seq", "recorded_at", "key", "what", "code", "person", "reason"),
    }
    for name, names in columns.items():
        with (directory / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            writer.writerows([_cell(row[column]) for column in names] for row in tables[name])


class _Intervals(msgspec.Struct):
    intervals: list[dict[str, object]] = []


def _cell(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list | tuple) else value
