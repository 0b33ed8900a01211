"""Re-derives all increments and charges from the recorded facts, and compares them with the recorded ones.

The announcements of a rerun of the recorded transactions (rerun.py) must equal the recorded ones, entry for entry. The
code is the one that counted: this proves that the record follows from the facts under the pinned policy, not that the
rules are right. Entries other than facts, increments and charges are skipped. Entries of a version with other
rules are not re-derived; for these only a retraction or amendment without any fact is a problem.
"""

import sqlite3
from collections.abc import Iterator, Sequence

from gateway.audit.report import Area, AuditProblem
from gateway.audit.rerun import Announcement, RecordedTransaction, Rerun, read
from gateway.audit.stream import RawEntry
from gateway.ledger import reads
from gateway.session.facts import SessionOpened
from gateway.session.increments import Change, Op
from gateway.session.keys import increment_key
from gateway.session.state import Step


class Rederiver:
    """Takes transactions in order and yields their problems."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.increments = 0  # entries compared
        self.charges = 0
        self._connection = connection
        self._rerun = Rerun(connection)
        self._lost = False
        self._carried = reads.carried_over(connection)
        self._gaps_before = self._carried.carried if self._carried is not None and self._carried.missing else 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the re-derivation does not cover."""
        since_seq, carried = self._rerun.since_seq, self._carried
        if not since_seq:
            return ()
        if carried is None or since_seq > carried.carried + 1:
            whence = f"entries up to {since_seq} were counted by the rules of another version"
        elif not carried.carried:
            return (f"nothing could be carried over from the damaged ledger {carried.set_aside}",)
        else:
            whole = f"{carried.missing} of them are lost" if carried.missing else "none of them is lost"
            before = f"the damaged ledger {carried.set_aside}, epoch {carried.epoch}"
            whence = f"entries up to {carried.carried} were carried over from {before}; {whole}"
        return (f"{whence}: their counts are not derived again",)

    def take(self, transaction: Sequence[RawEntry]) -> Iterator[AuditProblem]:
        """Increments and charges that the transaction records and the facts so far do not give, and the reverse."""
        if self._lost:
            return
        if transaction[-1].seq <= self._rerun.since_seq:
            if transaction[-1].seq > self._gaps_before:  # otherwise the fact may be among the lost ones
                yield from _revised_without_fact(read(self._connection, transaction))
            return
        first, now_us = transaction[0].seq, transaction[0].recorded_us
        content = read(self._connection, transaction)
        for seq, text in content.unreadable:
            yield AuditProblem(Area.INCREMENT, seq, text)
        self.increments += sum(isinstance(what, Change) for _, (_, what) in content.announced)
        self.charges += sum(not isinstance(what, Change) for _, (_, what) in content.announced)
        try:
            step = self._rerun.take(content, first - 1, now_us)
        except Exception as error:  # noqa: BLE001 - forged facts may break any rule
            self._lost = True
            text = f"the facts cannot be followed from here on: {type(error).__name__}: {error}"
            yield AuditProblem(Area.INCREMENT, first, text)
            return
        for each in step.defects:
            text = f"session {each.token or 'unknown'} cannot be followed: {type(each.error).__name__}: {each.error}"
            yield AuditProblem(Area.INCREMENT, first, text)
        opened = [fact for fact in step.facts if isinstance(fact, SessionOpened)]
        for fact in opened:
            if fact not in content.opened:
                where = f"{fact.cap.device} cap {fact.cap.channel}"
                yield AuditProblem(Area.INCREMENT, first, f"the facts open a session on {where}, not recorded so")
        for fact in content.opened:
            if fact not in opened:
                yield AuditProblem(Area.INCREMENT, first, f"session {fact.token} was opened, and no fact opens it so")
        yield from _compare(content.announced, _announcements(step), transaction[-1].seq)


def _revised_without_fact(recorded: RecordedTransaction) -> Iterator[AuditProblem]:
    """Retractions and amendments of an earlier version without any fact: it had lost the facts that it needed."""
    if recorded.facts:
        return
    for seq, (token, what) in recorded.announced:
        if isinstance(what, Change) and what.op is not Op.EMIT:
            key = increment_key(token, what.index)
            text = f"{what.op} {key} follows from no fact: an earlier version lost facts in a restart"
            yield AuditProblem(Area.INCREMENT, seq, text)


def _announcements(step: Step) -> list[Announcement]:
    announced: list[Announcement] = []
    for outcome in step.outcomes:
        token = outcome.record.token
        announced += [(token, change) for change in outcome.changes]
        announced += [(token, charge) for charge in outcome.release.charges]
    return announced


def _compare(
    recorded: list[tuple[int, Announcement]], derived: list[Announcement], last_seq: int
) -> Iterator[AuditProblem]:
    missing = list(derived)
    unexplained: list[tuple[int, Announcement]] = []
    for seq, each in recorded:
        if each in missing:
            missing.remove(each)
        else:
            unexplained.append((seq, each))
    for seq, each in unexplained:
        like = next((other for other in missing if _key(other) == _key(each)), None)
        if like is None:
            yield AuditProblem(_area(each), seq, f"{_text(each)} does not follow from the facts")
        else:
            missing.remove(like)
            yield AuditProblem(_area(each), seq, f"{_text(each)} is recorded where the facts give {_text(like)}")
    for each in missing:
        yield AuditProblem(_area(each), last_seq, f"the facts give {_text(each)}, which is not recorded")


def _key(announced: Announcement) -> str:
    token, what = announced
    return increment_key(token, what.index) if isinstance(what, Change) else what.key


def _area(announced: Announcement) -> Area:
    return Area.INCREMENT if isinstance(announced[1], Change) else Area.CHARGE


def _text(announced: Announcement) -> str:
    token, what = announced
    if isinstance(what, Change):
        return f"{what.op} {increment_key(token, what.index, what.revision)}, attained {what.attained_at_us} us,"
    return f"{'credit' if what.reverses else 'charge'} {what.key} of {what.quantity}"
