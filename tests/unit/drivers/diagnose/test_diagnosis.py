"""Port, wiring, line settings, address and map: each single cause is distinguished from the others, not guessed."""

import pytest

from drivers.diagnose.diagnosis import Diagnoses, LineEvidence, Verdict, diagnose
from drivers.dialects.base import RejectKind
from drivers.reading import FaultKind

OK, WRONG, NOT_KNOWN = Verdict.OK, Verdict.WRONG, Verdict.NOT_KNOWN
NONE = dict.fromkeys(RejectKind, 0)
TIMEOUT = ((FaultKind.TIMEOUT, "no answer in time"),)


def seen(
    *,
    replies: int = 0,
    refusals: tuple[int, ...] = (),
    rejects: dict[RejectKind, int] | None = None,
    idle_bytes: int = 0,
    faults: tuple[tuple[FaultKind, str], ...] = TIMEOUT,
    held_by: tuple[str, ...] = (),
    is_proven: bool = False,
    requests: int = 3,
) -> LineEvidence:
    return LineEvidence(
        is_port=True,
        has_settings=True,
        settings="9600 8N1, modbus-rtu",
        unit_id=5,
        held_by=held_by,
        requests=requests,
        replies=replies,
        refusals=refusals,
        rejects={**NONE, **(rejects or {})},
        idle_bytes=idle_bytes,
        is_complete=replies == 3,
        is_proven=is_proven,
        is_search=False,
        faults=faults,
    )


def verdicts(found: Diagnoses) -> tuple[Verdict, ...]:
    return tuple(each.verdict for each in (found.port, found.wiring, found.line_settings, found.address, found.map))


DOWN = ((FaultKind.LINE_DOWN, "/dev/ttyUSB0: No such file or directory"),)
FOREIGN = ((FaultKind.WRONG_IDENTITY, "status is 9"),)
CASES = {
    "all is well": (seen(replies=3, faults=(), is_proven=True), (OK, OK, OK, OK, OK), None),
    "proof has no value": (seen(replies=3, faults=()), (OK, OK, OK, OK, NOT_KNOWN), "display"),
    "no port": (seen(faults=DOWN), (WRONG, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN), "capgate ports"),
    "port in use": (
        seen(faults=DOWN, held_by=("minicom (pid 7)",)),
        (WRONG, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN),
        "stop that program",
    ),
    "silence": (seen(), (OK, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN), "swap TX and RX"),
    "echo alone": (
        seen(rejects={RejectKind.ECHO: 3}),
        (OK, WRONG, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN),
        "loopback",
    ),
    "garbage": (
        seen(rejects={RejectKind.NOISE: 4, RejectKind.ECHO: 1}),
        (OK, OK, WRONG, NOT_KNOWN, NOT_KNOWN),
        "baud rate or parity",
    ),
    "bytes at odd times": (seen(idle_bytes=9), (OK, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN), "late unit"),
    "another unit": (seen(rejects={RejectKind.WRONG_UNIT: 2}), (OK, OK, OK, WRONG, NOT_KNOWN), "capgate scan"),
    "late over Modbus TCP": (
        seen(rejects={RejectKind.WRONG_TRANSACTION: 1}),
        (OK, NOT_KNOWN, OK, NOT_KNOWN, NOT_KNOWN),
        "raise timeout_ms",
    ),
    "no transactions": (
        seen(rejects={RejectKind.FOREIGN_TRANSACTION: 2, RejectKind.WRONG_TRANSACTION: 1}),
        (OK, OK, WRONG, NOT_KNOWN, NOT_KNOWN),
        "--set transactions=ignored",
    ),
    "refused": (
        seen(refusals=(2, 2), faults=((FaultKind.REFUSED, "exception 02"),)),
        (OK, NOT_KNOWN, OK, OK, WRONG),
        None,
    ),
    "other length": (seen(rejects={RejectKind.WRONG_COUNT: 1}), (OK, OK, OK, OK, WRONG), "another profile"),
    "short, then point by point": (
        seen(replies=3, rejects={RejectKind.WRONG_COUNT: 1}, faults=(), is_proven=True, requests=4),
        (OK, OK, OK, OK, OK),
        None,
    ),
    "refused, then point by point": (
        seen(replies=3, refusals=(2,), faults=(), is_proven=True, requests=4),
        (OK, OK, OK, OK, OK),
        None,
    ),
    "other kind": (seen(replies=3, faults=FOREIGN), (OK, OK, OK, OK, WRONG), "another profile"),
    "server alone": (
        seen(refusals=(0x0B,), faults=((FaultKind.UNREACHABLE, "exception 0B"),)),
        (OK, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN),
        "cable between server and unit",
    ),
    "damage between answers": (
        seen(replies=2, rejects={RejectKind.BAD_CHECK: 1}),
        (OK, NOT_KNOWN, OK, OK, NOT_KNOWN),
        "interference",
    ),
    "gaps between answers": (seen(replies=2), (OK, NOT_KNOWN, OK, OK, NOT_KNOWN), "loose connection"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_single_cause_is_told_and_followed_by_what_to_try(case: str) -> None:
    evidence, expected, following = CASES[case]
    found = diagnose(evidence)
    assert verdicts(found) == expected
    if following is not None:
        assert found.next is not None
        assert following in found.next


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_always_says_what_to_try_and_what_is_ok_never(case: str) -> None:
    found = diagnose(CASES[case][0])
    for each in (found.port, found.wiring, found.line_settings, found.address, found.map):
        assert each.evidence
        if each.verdict is not NOT_KNOWN:
            assert (each.next is None) == (each.verdict is OK)


def test_who_holds_the_port_is_in_the_evidence() -> None:
    assert "minicom (pid 7)" in diagnose(seen(faults=DOWN, held_by=("minicom (pid 7)",))).port.evidence
