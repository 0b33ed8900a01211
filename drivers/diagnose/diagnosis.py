"""Diagnosis of a probe or scan: the state of port, wiring, line settings, address and map. Pure.

Theory of operation. The five form a chain of preconditions: a well-formed answer proves all but the map, damaged bytes
prove the wiring, silence proves only an open port. So the strongest evidence is evaluated first; what it leaves open is
`not-known`, never guessed.
"""

from enum import StrEnum

import msgspec

from drivers.dialects.base import RejectKind
from drivers.reading import FaultKind


class Verdict(StrEnum):
    """The verdict on one of the five."""

    OK = "ok"
    WRONG = "wrong"
    NOT_KNOWN = "not-known"


class Diagnosis(msgspec.Struct, frozen=True):
    """A verdict, its evidence, and what to try next if it is not ok."""

    verdict: Verdict
    evidence: str
    next: str | None = None


class Diagnoses(msgspec.Struct, frozen=True):
    """The diagnoses of all five, in the order in which to fix them."""

    port: Diagnosis
    wiring: Diagnosis
    line_settings: Diagnosis
    address: Diagnosis
    map: Diagnosis

    @property
    def next(self) -> str | None:
        """The first thing to try."""
        each = (self.port, self.wiring, self.line_settings, self.address, self.map)
        return next((diagnosis.next for diagnosis in each if diagnosis.next), None)


class LineEvidence(msgspec.Struct, frozen=True):
    """What was observed on the line, and how it was polled."""

    is_port: bool  # a serial port of this machine
    has_settings: bool  # baud and parity are set by this program
    settings: str  # "9600 8N1, modbus-rtu"
    unit_id: int | None
    held_by: tuple[str, ...]
    requests: int
    replies: int
    refusals: tuple[int, ...]  # exception codes
    rejects: dict[RejectKind, int]
    idle_bytes: int
    is_complete: bool  # every block was read
    is_proven: bool  # all identity checks of the profile have good values
    is_search: bool  # a scan with all profiles, not a probe with one
    faults: tuple[tuple[FaultKind, str], ...]
    is_networked: bool = False  # Modbus TCP, whose numbers a server may fail to return
    came: dict[RejectKind, str] = {}  # instead of an answer, in words: "transaction 0 for 1"
    closes: bool = False  # the far end closes the connection after an answer
    serves_one: bool = False  # the far end serves one client at a time


_OF_SERVER = range(0x0A, 0x11)
_FROM_THE_UNIT = (RejectKind.WRONG_COUNT, RejectKind.WRONG_FUNCTION)
_DAMAGED = (RejectKind.NOISE, RejectKind.BAD_CHECK)


def diagnose(seen: LineEvidence) -> Diagnoses:
    """Derive the five verdicts from the evidence."""
    down = next((detail for kind, detail in seen.faults if kind is FaultKind.LINE_DOWN), None)
    if down is not None and not seen.replies:
        return _closed(seen, down)
    if seen.replies or any(code not in _OF_SERVER for code in seen.refusals):
        return _answered(seen)
    if any(seen.rejects[kind] for kind in _FROM_THE_UNIT):
        return _answered_else(seen)
    if seen.refusals:
        return _server_alone(seen)
    if count := seen.rejects[RejectKind.WRONG_UNIT]:
        return _other_unit(seen, count)
    if seen.rejects[RejectKind.FOREIGN_TRANSACTION]:
        return _unnumbered(seen)
    if seen.rejects[RejectKind.WRONG_TRANSACTION]:
        return _late(seen)
    if damaged := sum(seen.rejects[kind] for kind in _DAMAGED):
        return _unreadable(seen, f"{damaged} times bytes came that are no answer")
    if count := seen.rejects[RejectKind.ECHO]:
        return _echo(seen, count)
    if seen.idle_bytes:
        return _unasked(seen)
    return _silent(seen)


def _ok(evidence: str) -> Diagnosis:
    return Diagnosis(Verdict.OK, evidence)


def _unknown(evidence: str, following: str | None = None) -> Diagnosis:
    return Diagnosis(Verdict.NOT_KNOWN, evidence, following)


def _wrong(evidence: str, following: str) -> Diagnosis:
    return Diagnosis(Verdict.WRONG, evidence, following)


_OPEN = _ok("it opened")
_LATER = _unknown("nothing to tell by yet")


def _closed(seen: LineEvidence, detail: str) -> Diagnoses:
    if seen.held_by:
        port = _wrong(f"{detail}; held by {', '.join(seen.held_by)}", "stop that program, then probe again")
    elif "does not take" in detail:
        port = _wrong(detail, "choose settings that the port has: --set baud=..., bits=, parity=, stop=")
    elif seen.is_port:
        port = _wrong(
            detail,
            "capgate ports lists what is plugged in; your user must be in the group dialout, and no other program "
            "may hold the port (as root, capgate ports names it)",
        )
    elif "closed by the far end" in detail:
        port = _wrong(
            f"{detail} without an answer",
            "a device that serves one client does so while another is connected: stop that one, or let it close "
            'after each poll (in a gateway: connection = "each-poll" in the [[line]])',
        )
    else:
        port = _wrong(detail, "check host and port, that the device server is on, and that no other client holds it")
    return Diagnoses(port, _LATER, _LATER, _LATER, _LATER)


def _answered(seen: LineEvidence) -> Diagnoses:
    short = seen.rejects[RejectKind.WRONG_COUNT]
    answers = seen.replies + len(seen.refusals) + short
    damaged = sum(seen.rejects[kind] for kind in _DAMAGED)
    wiring = _ok(f"{answers} of {seen.requests} requests were answered")
    if damaged:
        wiring = _unknown(
            f"{answers} of {seen.requests} requests were answered, {damaged} times bytes came damaged",
            "look for interference: termination, shield, a loose screw, two masters on one line",
        )
    elif answers < seen.requests:
        wiring = _unknown(wiring.evidence, "raise timeout_ms (--timeout), then look for a loose connection")
    return Diagnoses(_opened(seen), wiring, _ok(f"answers are whole ({seen.settings})"), _address_ok(seen), _map(seen))


def _opened(seen: LineEvidence) -> Diagnosis:
    if seen.closes:
        return _ok("it opened; the far end closes it after an answer, and it is opened again each time: no fault")
    if seen.serves_one:
        return _ok(
            "it opened; one client at a time is served: "
            'connection = "each-poll" in its [[line]] lets others have their turn between polls'
        )
    return _OPEN


def _address_ok(seen: LineEvidence) -> Diagnosis:
    if seen.unit_id is None:
        return _ok("it was asked without an address, and answered")
    return _ok(f"unit id {seen.unit_id} answers")


def _map(seen: LineEvidence) -> Diagnosis:
    foreign = next((detail for kind, detail in seen.faults if kind is FaultKind.WRONG_IDENTITY), None)
    if foreign is not None and seen.is_search:
        return _wrong(foreign, "name its kind with --profile; a kind without a profile is one TOML file to write")
    if foreign is not None:
        return _wrong(
            f"the answers are another kind's: {foreign}", "try another profile: capgate probe without --profile"
        )
    refused = [code for code in seen.refusals if code <= 3]
    if refused and not seen.is_complete:
        codes = ", ".join(f"{code:02X}" for code in sorted(set(refused)))
        return _wrong(
            f"the unit refuses what is asked (exception {codes})", "try another profile or the model's variant"
        )
    garbled = next((detail for kind, detail in seen.faults if kind is FaultKind.GARBLED), None)
    if garbled is not None and seen.is_complete:
        return _wrong(garbled, "try another profile: capgate probe without --profile")
    if not seen.is_complete:
        return _unknown("not everything was read", "probe again; see the faults")
    if seen.is_proven and (refused or seen.rejects[RejectKind.WRONG_COUNT]):
        return _ok("everything was read, block by block or point by point, and as such a unit says it")
    if not seen.is_proven:
        return _unknown(
            "everything was read, but what would prove the kind has no value", "compare with the unit's display"
        )
    return _ok("everything was read, and as such a unit says it")


def _answered_else(seen: LineEvidence) -> Diagnoses:
    return Diagnoses(
        _OPEN,
        _ok("whole answers come"),
        _ok(f"answers are whole ({seen.settings})"),
        _address_ok(seen),
        _wrong("answers have another function or length than was asked for", "try another profile"),
    )


def _server_alone(seen: LineEvidence) -> Diagnoses:
    codes = ", ".join(f"{code:02X}" for code in sorted(set(seen.refusals)))
    return Diagnoses(
        _ok("the device server answers"),
        _unknown(
            f"the server says that the unit does not answer it (exception {codes})",
            "check the cable between server and unit (TX/RX, A/B) and that the unit is on",
        ),
        _unknown("they are set in the server", "compare the server's baud and parity with the unit's menu"),
        _unknown(f"unit id {seen.unit_id} does not answer the server", "capgate scan tries other addresses"),
        _LATER,
    )


def _other_unit(seen: LineEvidence, count: int) -> Diagnoses:
    came = seen.came.get(RejectKind.WRONG_UNIT)
    following = "read the address at the unit's menu, or let capgate scan find it"
    if seen.is_networked:
        following += f"; a server that returns no unit ids is read with {_setting('unit_ids')}"
    return Diagnoses(
        _OPEN,
        _ok("whole answers come"),
        _ok(f"answers are whole ({seen.settings})"),
        _wrong(
            f"{count} answers came in another unit's name, none from {seen.unit_id}{(came and f': {came}') or ''}",
            following,
        ),
        _LATER,
    )


def _unnumbered(seen: LineEvidence) -> Diagnoses:
    came = seen.came.get(RejectKind.FOREIGN_TRANSACTION, "another transaction")
    return Diagnoses(
        _OPEN,
        _ok("whole answers come"),
        _wrong(
            f"answers come with a number that nobody asked for: {came} ({seen.settings})",
            f"the server returns no transactions: {_setting('transactions')}",
        ),
        _LATER,
        _LATER,
    )


def _setting(key: str) -> str:
    """How a number that a server does not return is excused, first here and then in the configuration."""
    return f'--set {key}=ignored, then {key} = "ignored" in its [[line]], which must have this one unit'


def _late(seen: LineEvidence) -> Diagnoses:
    return Diagnoses(
        _OPEN,
        _unknown("answers come after their time", "raise timeout_ms (--timeout) and drain_ms beyond the longest"),
        _ok(f"answers are whole ({seen.settings})"),
        _LATER,
        _LATER,
    )


def _unreadable(seen: LineEvidence, evidence: str) -> Diagnoses:
    following = (
        "another baud rate or parity: capgate scan tries them" if seen.has_settings else "the server's baud and parity"
    )
    return Diagnoses(
        _OPEN,
        _ok("bytes come: something is wired to the receiving side"),
        _wrong(f"{evidence} ({seen.settings})", f"{following}; then another dialect, then interference"),
        _LATER,
        _LATER,
    )


def _unasked(seen: LineEvidence) -> Diagnoses:
    return Diagnoses(
        _OPEN,
        _unknown(
            f"{seen.idle_bytes} bytes came, none of them in time for an answer",
            "a late unit (raise timeout_ms and drain_ms), another master on the line, or the adapter's own noise",
        ),
        _unknown("whole or not, nobody can say", "listen first: capgate capture --listen shows what comes"),
        _LATER,
        _LATER,
    )


def _echo(seen: LineEvidence, count: int) -> Diagnoses:
    return Diagnoses(
        _OPEN,
        _wrong(
            f"only our own request came back, {count} times",
            "half-duplex echo or a loopback: take out a loopback plug, switch the adapter's echo off; if it must "
            "echo, nobody else is on the line: swap A and B, check the unit's end",
        ),
        _LATER,
        _LATER,
        _LATER,
    )


def _silent(seen: LineEvidence) -> Diagnoses:
    settings = f"compare {seen.settings} with the unit's menu, or let capgate scan try others"
    return Diagnoses(
        _OPEN,
        _unknown(
            "not one byte came",
            "is the unit on, and its serial port chosen at its panel? Then swap TX and RX (null modem) or A and B",
        ),
        _unknown("silence tells nothing of them", settings),
        _unknown(
            "silence tells nothing of it",
            None if seen.unit_id is None else f"is its unit id {seen.unit_id}? capgate scan tries others",
        ),
        _LATER,
    )
