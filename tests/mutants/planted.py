"""Planted bugs: what a hurried hand might write in tracker, ledger and relay, as textual changes of one place each."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` stands exactly once in `file`; `tests` are those that should notice that `new` stands there instead."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_SESSION = (
    "tests/unit/gateway/session/test_increments.py",
    "tests/unit/gateway/session/test_cooling.py",
    "tests/unit/gateway/session/test_infusion.py",
    "tests/unit/gateway/replay/test_cases.py",
)
_STATE = ("tests/unit/gateway/session/test_state.py",)
_LEDGER = (
    "tests/unit/gateway/ledger/test_entry.py",
    "tests/unit/gateway/ledger/test_store.py",
    "tests/unit/gateway/ledger/test_opening.py",
    "tests/unit/gateway/ledger/test_outbox.py",
)
_AUDIT = ("tests/unit/gateway/audit/test_attacks.py", "tests/unit/gateway/audit/test_verify.py")

MUTANTS = (
    Mutant(
        "a threshold must be passed, not reached",
        "gateway/session/increments.py",
        "within = bisect_left(reached_us, needed_us)",
        "within = bisect_left(reached_us, needed_us + 1)",
        _SESSION,
    ),
    Mutant(
        "an increment is announced a threshold early",
        "gateway/session/increments.py",
        "(index - 1) * policy.increment_s) * US_PER_S",
        "(index - 1) * policy.increment_s - 1) * US_PER_S",
        _SESSION,
    ),
    Mutant(
        "a timer attains increments that no reading proves",
        "gateway/session/increments.py",
        "if at_us > until_us:",
        "if at_us > until_us + 60 * US_PER_S:",
        (*_SESSION, *_STATE),
    ),
    Mutant(
        "an amendment keeps its revision",
        "gateway/session/increments.py",
        "            revision = next_revision(before.revision)\n            amendments",
        "            revision = before.revision\n            amendments",
        _SESSION,
    ),
    Mutant(
        "what comes back comes back under its old key",
        "gateway/session/increments.py",
        "Change(Op.EMIT, index, next_revision(before.revision), at_us, known_at_us)",
        "Change(Op.EMIT, index, before.revision, at_us, known_at_us)",
        _SESSION,
    ),
    Mutant(
        "cooling before the infusion's end counts",
        "gateway/session/counting.py",
        "_by_cap(clip(net, *window), cooling)",
        "_by_cap(clip(net, 0, window[1]), cooling)",
        _SESSION,
    ),
    Mutant(
        "offline time fills a gap",
        "gateway/session/counting.py",
        "if counts and not overlapping(unknown, stop_us, start_us):",
        "if counts:",
        _SESSION,
    ),
    Mutant(
        "pauses count",
        "gateway/session/cooling.py",
        "net_spans=subtract(running, [*(_span(pause) for pause in by_choice), *faults, *unknown]),",
        "net_spans=subtract(running, [*faults, *unknown]),",
        _SESSION,
    ),
    Mutant(
        "the last receipt of a fact counts, not the first",
        "gateway/session/facts.py",
        "if before is None or fact.known_at_us < before.known_at_us:",
        "if before is None or fact.known_at_us > before.known_at_us:",
        (*_SESSION, "tests/unit/gateway/session/test_review.py"),
    ),
    Mutant(
        "durations come from the wall clock",
        "gateway/session/observe.py",
        "at.boot_us - state.last_good.boot_us > rules.max_gap_us:",
        "at.utc_us - state.last_good.utc_us > rules.max_gap_us:",
        ("tests/unit/gateway/session/test_observe.py",),
    ),
    Mutant(
        "a session that is assessed again gets another token",
        "gateway/session/state.py",
        "for session in found if session.cooled and not session.tokens]",
        "for session in found if session.cooled]",
        _STATE,
    ),
    Mutant(
        "a restart forgets what was announced",
        "gateway/session/state.py",
        "emitted=fold((), changes)",
        "emitted=()",
        _STATE,
    ),
    Mutant(
        "a hash leaves out its predecessor",
        "gateway/ledger/entry.py",
        "str(recorded_us), body_digest, head.hash)",
        "str(recorded_us), body_digest)",
        _LEDGER,
    ),
    Mutant(
        "a commit does not look whether it continues the chain",
        "gateway/ledger/writes.py",
        "if follow(reads.head(connection, origin), batch.entries) != batch.head:",
        "if not batch:",
        _LEDGER,
    ),
    Mutant(
        "the ledger moves on before the commit",
        "gateway/ledger/store.py",
        "        head = writes.append_batch(connection, self._origin, batch)\n        self._moved(batch, head)\n",
        "        self._moved(batch, batch.head)\n        writes.append_batch(connection, self._origin, batch)\n",
        _LEDGER,
    ),
    Mutant(
        "commits are not synced",
        "gateway/ledger/opening.py",
        '("synchronous", 2),',
        '("synchronous", 1),',
        _LEDGER,
    ),
    Mutant(
        "rows may be deleted",
        "gateway/ledger/schema.py",
        '        _refuse(db, table, "UPDATE")\n        _refuse(db, table, "DELETE")\n    _refuse(db, "identity"',
        '        _refuse(db, table, "UPDATE")\n    _refuse(db, "identity"',
        _LEDGER,
    ),
    Mutant(
        "a refused message is marked as delivered",
        "gateway/ledger/writes.py",
        "attempt.reason, int(attempt.delivered))",
        "attempt.reason, 1)",
        _LEDGER,
    ),
    Mutant(
        "the broker's reason code is ignored",
        "gateway/mqtt/retry.py",
        "if reason >= REFUSED_FROM:",
        "if reason >= 256:",
        ("tests/unit/gateway/mqtt/test_retry.py",),
    ),
    Mutant(
        "a verifier does not miss what was cut off",
        "gateway/audit/attest.py",
        "if head.seq > last_seq:",
        "if head.seq > last_seq + 1000000:",
        _AUDIT,
    ),
    Mutant(
        "a miss is not followed by silence",
        "drivers/line.py",
        "max(self._pending_drain_s, self._gap_s(timing), timing.drain_s)",
        "self._gap_s(timing)",
        ("tests/unit/drivers/test_line.py",),
    ),
    Mutant(
        "a unit is told something before it is asked",
        "drivers/line.py",
        "            link.write(request)\n",
        '            link.write(b"OUT_MODE_05 1\\r")\n            link.write(request)\n',
        ("tests/unit/drivers/test_line.py",),
    ),
    Mutant(
        "another unit's values are taken at once",
        "drivers/unit/identity.py",
        "if self._announced > ANNOUNCED_POLLS:",
        "if self._announced > 0:",
        ("tests/unit/drivers/unit/test_identity.py",),
    ),
    Mutant(
        "a leap is believed",
        "drivers/unit/plausibility.py",
        "if self._strays < BELIEVED_AFTER:",
        "if self._strays < 1:",
        ("tests/unit/drivers/unit/test_plausibility.py",),
    ),
    Mutant(
        "a dead unit is asked at every turn",
        "gateway/polling/schedule.py",
        "wait_s = min(turn.period_s * 2 ** (turn.misses - 1), longest_s) - turn.period_s",
        "wait_s = 0.0",
        ("tests/unit/gateway/polling/test_schedule.py",),
    ),
    Mutant(
        "parity is not looked at",
        "drivers/transport/serial.py",
        " | termios.INPCK",
        "",
        ("tests/unit/drivers/transport/test_serial_parity.py",),
    ),
)
