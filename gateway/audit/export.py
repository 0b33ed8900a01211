"""The audit bundle of one session: all of its entries, and their part of the hash chain, readable without Capgate.

The bundle's README.txt says what it proves. Bodies that name the patient are withheld unless asked for; the chain then
has them by their digest.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Literal

import msgspec

from gateway.audit.session_tables import write_tables
from gateway.audit.sessions import RecordedSession, origin_of, session
from gateway.audit.stream import RawEntry, facts_recorded_at, numbered, of_session, stream
from gateway.ledger import index, policies, reads
from gateway.ledger.bodies import change_of, charge_of, event_of, names_patient, without_patient
from gateway.ledger.checkpoint import Checkpoint, to_data
from gateway.ledger.entry import EntryKind
from gateway.ledger.errors import LedgerUnavailable, TargetExists
from gateway.messages.identity import Identity
from gateway.messages.instants import rfc3339, rfc3339_or_none
from gateway.session.charges import charged_units
from gateway.session.facts import AnyFact, PatientBound, PatientReleased, cap_key, decode_fact
from gateway.session.keys import increment_key
from gateway.session.marks import observed_units

_STATIC = ("README.txt", "verify_bundle.py")
_DAY_US = 86_400_000_000
Form = Literal["json", "csv"]


class Bundle(msgspec.Struct, frozen=True):
    """The content of a bundle's files; the range of the chain is read while it is written."""

    recorded: RecordedSession
    own: tuple[RawEntry, ...]  # the session's entries, by sequence number
    withheld: tuple[int, ...]  # sequence numbers of those whose bodies name the patient and are left out
    last_seq: int  # the end of the range: the next checkpoint, or the end of the ledger
    checkpoints: tuple[Checkpoint, ...]
    gateway: str
    epoch: str
    identity: Identity | None

    @property
    def first_seq(self) -> int:
        """The first entry of the range."""
        return self.own[0].seq

    @property
    def shown(self) -> frozenset[int]:
        """The entries whose bodies are shown."""
        return frozenset(entry.seq for entry in self.own) - set(self.withheld)


def gather(connection: sqlite3.Connection, token: str, *, identify: bool) -> Bundle:
    """The content of a session's bundle. Raises UnknownSession, LedgerDamaged, LedgerUnavailable."""
    origin = origin_of(connection)
    recorded = session(connection, token)
    own = _own_entries(connection, recorded)
    first, last = own[0].seq, own[-1].seq
    last_seq = reads.next_checkpoint_seq(connection, last) or reads.head(connection, origin).seq
    patient = recorded.counted.session.patient
    return Bundle(
        recorded=recorded,
        own=own,
        withheld=tuple(entry.seq for entry in own if not identify and names_patient(entry.body)),
        last_seq=last_seq,
        checkpoints=tuple(reads.checkpoints(connection, first, last_seq)),
        gateway=origin.gateway,
        epoch=origin.epoch,
        identity=reads.identity(connection, patient) if identify and patient else None,
    )


def write_bundle(connection: sqlite3.Connection, bundle: Bundle, directory: Path, form: Form) -> None:
    """Writes the bundle's files into `directory`, which must not exist. Raises TargetExists, LedgerUnavailable."""
    try:
        directory.mkdir(mode=0o700, parents=True)
        for name in _STATIC:
            text = files("gateway.audit.bundle").joinpath(name).read_text(encoding="utf-8")
            (directory / name).write_text(text, encoding="utf-8")
        (directory / "bundle.json").write_bytes(msgspec.json.format(msgspec.json.encode(_manifest(bundle))) + b"\n")
        (directory / "policy.toml").write_text(bundle.recorded.counted.opened.policy, encoding="utf-8")
        chain = takewhile(lambda entry: entry.seq <= bundle.last_seq, stream(connection, bundle.first_seq - 1))
        shown = bundle.shown
        _write_lines(directory / "chain.jsonl", (_link(entry, shown) for entry in chain))
        _write_lines(directory / "checkpoints.jsonl", map(to_data, bundle.checkpoints))
        content = session_content(bundle)
        if form == "json":
            (directory / "session.json").write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
        else:
            write_tables(directory, content, bundle.recorded.policy.zone)
    except FileExistsError:
        raise TargetExists(f"{directory} is there already") from None
    except OSError as error:
        raise LedgerUnavailable(f"{directory}: {error.strerror}") from error


def session_content(bundle: Bundle) -> dict[str, object]:
    """The content of session.json: facts in the order of recording, the log of increments, charges."""
    recorded, token = bundle.recorded, bundle.recorded.token
    own = bundle.own
    assessment = recorded.counted.outcome.assessment
    return {
        "session": token,
        "gateway": bundle.gateway,
        "epoch": bundle.epoch,
        "opened_at": rfc3339(recorded.counted.opened.at_us),
        "policy": {
            "name": recorded.policy.name,
            "revision": recorded.policy.revision,
            "effective": recorded.policy.effective.isoformat(),
            "approved_by": recorded.policy.approved_by,
        },
        "subject": recorded.counted.session.patient or None,
        "patient": None if bundle.identity is None else _identifiers(bundle.identity),
        "phase": None if recorded.published is None else recorded.published.phase,
        "flags": assessment.flags,
        "net_s": assessment.net_us / 1e6,
        "chart_minutes": assessment.chart_minutes,
        "increments_standing": [increment_key(token, each.index, each.revision) for each in recorded.increments],
        "units_charged": charged_units(recorded.charges),
        "facts": [_fact_row(entry) for entry in own if entry.kind == EntryKind.FACT],
        "increments": [_increment_row(entry) for entry in own if entry.kind == EntryKind.INCREMENT],
        "charges": [_charge_row(entry) for entry in own if entry.kind == EntryKind.CHARGE],
        "deliveries": [_delivery_row(entry) for entry in own if entry.kind == EntryKind.DELIVERY],
    }


def _own_entries(connection: sqlite3.Connection, recorded: RecordedSession) -> tuple[RawEntry, ...]:
    """The session's entries: those with its token, its facts, bindings and releases of its patient and caps, and how
    far its units were observed when something was published.
    """
    named = of_session(connection, recorded.token)
    facts = recorded.counted.session.facts
    own = frozenset(facts)
    opened_us, caps = recorded.counted.opened.at_us, recorded.counted.outcome.assessment.caps
    near = {
        seq for fact in facts for key in fact.concerns for seq in index.numbers(connection, key, *(fact.at_us,) * 2)
    }
    for cap in caps:
        near.update(index.numbers(connection, cap_key(cap), opened_us - _DAY_US, opened_us + _DAY_US))
    found = {entry.seq: entry for entry in named}
    for entry in numbered(connection, near):
        fact = policies.read_fact(connection, entry.body)
        if fact in own or _binds(fact, recorded):
            found[entry.seq] = entry
    units = {cap.device for cap in caps}
    for recorded_us in {entry.recorded_us for entry in named}:
        for entry in facts_recorded_at(connection, recorded_us):
            if any(unit.device in units for unit in observed_units(decode_fact(entry.body))):
                found[entry.seq] = entry
    return tuple(found[seq] for seq in sorted(found))


def _binds(fact: AnyFact, recorded: RecordedSession) -> bool:
    """Whether it binds the session's patient to one of its caps, or releases one."""
    return (
        isinstance(fact, PatientBound | PatientReleased)
        and fact.cap in recorded.counted.outcome.assessment.caps
        and fact.patient == recorded.counted.session.patient
    )


def _manifest(bundle: Bundle) -> dict[str, object]:
    return {
        "format": "capgate-bundle/1",
        "gateway": bundle.gateway,
        "epoch": bundle.epoch,
        "session": bundle.recorded.token,
        "first": bundle.first_seq,
        "last": bundle.last_seq,
        "last_of_session": bundle.own[-1].seq,
        "entries_shown": len(bundle.shown),
        "withheld": bundle.withheld,
        "increments": len(bundle.recorded.increments),
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
        "key": increment_key(entry.session, change.index, change.revision),
        "attained_at": rfc3339(change.attained_at_us),
        "was": rfc3339_or_none(change.was_us),
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
    with path.open("wb") as file:
        file.writelines(msgspec.json.encode(each) + b"\n" for each in objects)
