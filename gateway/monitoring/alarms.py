"""The gateway's alarms: a closed set, each raised and cleared as a retained message on a topic of its own.

They are about the gateway and its units, for the people who operate them. None is about a patient, and none may be
relied on for a patient's safety. They are computed anew from the state each time; only changes are published.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from drivers.reading import FaultKind
from gateway.ledger.aside import Aside, why_of
from gateway.messages.cloudevents import Origin, encode_event
from gateway.messages.destination import Destination
from gateway.messages.instants import rfc3339, rfc3339_or_none
from gateway.messages.outbound.device import AlarmData, AlarmState, alarm_event
from gateway.monitoring.feed import FeedRow
from gateway.monitoring.waiting import Waiting
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import NOBODY_LISTENS, REFUSED_FROM
from gateway.runtime.crashes import Crash
from gateway.session.fact_types import SharedBy
from gateway.session.facts import UnitShared

_log = logging.getLogger("capgate.alarms")

UNREACHABLE_S = 30.0  # a unit that is down for this long raises an alarm
UNSENT_S = 300.0  # an outbox whose oldest row is this old raises an alarm
_OF_THEIR_OWN = (FaultKind.WRONG_IDENTITY, FaultKind.NEEDS_CONSENT)  # faults that raise another alarm
UNRECEIPTED_S = 3600.0
OFTEN = 4  # starts within ten minutes
STORED_S = 86_400.0  # a stored message may be processed by the engine's application in a nightly run


class AlarmCode(StrEnum):
    """The alarms; a code is also the last segment of its topic."""

    UNIT_UNREACHABLE = "unit-unreachable"
    UNIT_MISTAKEN = "unit-mistaken"
    UNIT_SHARED = "unit-shared"
    CONSENT_NEEDED = "consent-needed"
    TOPIC_REFUSED = "topic-refused"
    SUBSCRIPTION_REFUSED = "subscription-refused"
    CLIENT_ID_TAKEN = "client-id-taken"
    NOBODY_LISTENS = "nobody-listens"
    MESSAGES_WAIT = "messages-wait"
    MESSAGE_REJECTED = "message-rejected"
    FEED_REJECTED = "feed-rejected"
    STAGING_FULL = "staging-full"
    RECEIPT_OVERDUE = "receipt-overdue"
    DISK_FULL = "disk-full"
    LEDGER_BLOCKED = "ledger-blocked"
    SAFE_MODE = "safe-mode"
    CLOCK_IMPLAUSIBLE = "clock-implausible"
    CRASHED = "crashed"
    RESTARTS_OFTEN = "restarts-often"
    DESCRIPTORS_LOW = "descriptors-low"
    CERTIFICATE_EXPIRES = "certificate-expires"
    HISTORY_UNWRITTEN = "history-unwritten"
    PURGE_WAITS = "purge-waits"
    FILE_SET_ASIDE = "file-set-aside"
    LEDGER_SET_ASIDE = "ledger-set-aside"
    LEDGER_BEHIND = "ledger-behind"
    ENTRIES_LOST = "entries-lost"
    MESSAGES_MISSED = "messages-missed"
    START_DISAGREES = "start-disagrees"
    SESSION_DEFECT = "session-defect"
    CONFIGURATION_REFUSED = "configuration-refused"
    PORT_TAKEN = "port-taken"
    POLICY_UNAPPROVED = "policy-unapproved"
    SESSIONS_INCOMPLETE = "sessions-incomplete"
    SESSIONS_HELD = "sessions-held"


_SHARED = {
    SharedBy.SERIAL_NUMBER: "reads a unit of the same serial number",
    SharedBy.LINE: "reads the same line and address",
    SharedBy.CHAIR: "has a unit at the same chair",
}
_COUNTING = (
    AlarmCode.FEED_REJECTED,
    AlarmCode.CERTIFICATE_EXPIRES,
    AlarmCode.MESSAGES_MISSED,
    AlarmCode.SESSIONS_INCOMPLETE,
    AlarmCode.SESSIONS_HELD,
)


class UnitDown(msgspec.Struct, frozen=True):
    """A unit without readings: the kind of fault, and for how long."""

    kind: FaultKind
    lasted_s: float


class AlarmInputs(msgspec.Struct, frozen=True, kw_only=True):
    """The state from which the alarms are computed."""

    units_down: Mapping[str, UnitDown] = {}
    units_shared: Sequence[UnitShared] = ()
    held_topics: Mapping[str, int] = {}  # with the broker's reason code
    refused_filters: Mapping[str, int] = {}  # of subscriptions, likewise
    rival_of: str = ""  # the client id that another client seems to use as well
    oldest_unsent_s: float = 0.0
    oldest_unreceipted_s: float = 0.0
    oldest_stored_s: float = 0.0
    rejected: int = 0
    feed_rejected: Sequence[FeedRow] = ()  # rejected messages of the engine, of the last hour
    staging_full: int = 0  # messages that wait for their visit, if no more may
    disk_free_bytes: int | None = None  # if only the ledger may be written
    disk_lacks_files: bool = False  # that is so for want of inodes
    ledger_blocked: str = ""  # why nothing can be recorded
    safe_mode: str = ""  # why nothing is counted
    clock_implausible: str = ""  # why nothing is counted by the clock
    clock_wrong: str = ""  # why the wall clock of a gateway that counts is not believed
    crashes: Sequence[Crash] = ()  # of the last hour
    starts: int = 0  # within ten minutes, none of which ended by itself
    descriptors_left: int | None = None  # if they are few
    expiring: Mapping[str, str] = {}  # when, by what the certificate is for
    purge_waits: str = ""  # why nothing is purged until a person has looked
    history_trouble: str = ""  # why the history of the units is not written, if it is not for want of room
    files_set_aside: Sequence[str] = ()  # their names
    ledger_set_aside: str = ""  # the damaged file's name
    missed_us: tuple[int, int] | None = None  # between these the broker may not have kept messages for us, UTC
    lost_since_us: int | None = None  # entries of the ledger may be lost from then on, UTC; None: none are
    start_disagrees: int = 0  # sessions
    defects: int = 0  # sessions that met a defect of the gateway
    configuration_refused: str = ""  # the first error of the file
    unserved: Mapping[str, str] = {}  # pages whose address could not be bound, and why
    policy_unapproved: str = ""  # the policy's name
    incomplete: Waiting = Waiting()
    held: Waiting = Waiting()


def active(now: AlarmInputs) -> Iterator[tuple[AlarmCode, str]]:
    """Every alarm that must be raised, with a text that says what to do."""
    mistaken = _down(now, lambda down: down.kind is FaultKind.WRONG_IDENTITY)
    unconsented = _down(now, lambda down: down.kind is FaultKind.NEEDS_CONSENT)
    gone = _down(now, lambda down: down.kind not in _OF_THEIR_OWN and down.lasted_s >= UNREACHABLE_S)
    if gone:
        text = f"{', '.join(gone)}: no readings; check that it is switched on, its cable, and capgate probe"
        yield AlarmCode.UNIT_UNREACHABLE, text
    if mistaken:
        text = f"{', '.join(mistaken)}: another unit answers at its address; see capgate unit swap"
        yield AlarmCode.UNIT_MISTAKEN, text
    if now.units_shared:
        others = ", ".join(
            f"{each.device}: {each.gateway} {_SHARED[each.by]} ({each.unit})" for each in now.units_shared
        )
        text = f"{others}; no session of it is charged: take it from one of the two, see capgate session worklist"
        yield AlarmCode.UNIT_SHARED, text
    if unconsented:
        text = (
            f"{', '.join(unconsented)}: acts by itself when polling stops, so it is not polled without consent_to_reads"
        )
        yield AlarmCode.CONSENT_NEEDED, text
    yield from _of_the_broker(now)
    if now.oldest_unsent_s >= UNSENT_S:
        yield AlarmCode.MESSAGES_WAIT, f"messages wait for the broker for {now.oldest_unsent_s / 60:.0f} min"
    if now.rejected:
        yield AlarmCode.MESSAGE_REJECTED, f"the engine rejected {now.rejected} messages; see capgate outbox list"
    if now.feed_rejected:
        last = max(now.feed_rejected, key=lambda row: row.last_us)
        text = (
            f"messages of the engine are rejected, {sum(row.today for row in now.feed_rejected)} today, the last "
            f"a {last.type} with id {last.last_id or 'unknown'}: {last.code}; see capgate feed"
        )
        yield AlarmCode.FEED_REJECTED, text
    if now.staging_full:
        text = (
            f"{now.staging_full} messages of visits without a cap wait, as many as may, and the oldest are dropped: "
            f"have the interface engine send those of the suite alone, or raise unseen_most in [ehr]"
        )
        yield AlarmCode.STAGING_FULL, text
    yield from _overdue(now)
    yield from _of_the_ledger(now)
    yield from _of_work(now)
    if now.configuration_refused:
        text = (
            f"the configuration on the disk is refused, the last good one runs: {now.configuration_refused}; mend it "
            f"with capgate check, then capgate unit reload"
        )
        yield AlarmCode.CONFIGURATION_REFUSED, text
    if now.unserved:
        pages = "; ".join(f"no {page} on {why}" for page, why in now.unserved.items())
        text = f"{pages}: is a second gateway on this machine? Give it a port of its own, then capgate unit reload"
        yield AlarmCode.PORT_TAKEN, text
    if now.policy_unapproved:
        yield AlarmCode.POLICY_UNAPPROVED, f"nobody approved policy {now.policy_unapproved}: increments are held"
    yield from _of_sessions(now)


def _of_the_broker(now: AlarmInputs) -> Iterator[tuple[AlarmCode, str]]:
    """What the broker refuses, and whom else it serves in our place."""
    refused = [topic for topic, reason in now.held_topics.items() if reason >= REFUSED_FROM]
    if refused:
        yield AlarmCode.TOPIC_REFUSED, f"the broker refuses {', '.join(refused)}; see its access list"
    if now.refused_filters:
        text = f"the broker lets us not hear {', '.join(now.refused_filters)}; see its access list"
        yield AlarmCode.SUBSCRIPTION_REFUSED, text
    if now.rival_of:
        text = (
            f"the broker ends our connections for another client of the id {now.rival_of}, as it seems; each gets the "
            f"other's messages: is a second box running with this configuration?"
        )
        yield AlarmCode.CLIENT_ID_TAKEN, text
    unheard = [topic for topic, reason in now.held_topics.items() if reason == NOBODY_LISTENS]
    if unheard:
        yield AlarmCode.NOBODY_LISTENS, f"nobody is subscribed to {', '.join(unheard)}; is the engine connected?"


def _overdue(now: AlarmInputs) -> Iterator[tuple[AlarmCode, str]]:
    if now.oldest_unreceipted_s >= UNRECEIPTED_S:
        text = f"no receipt for {now.oldest_unreceipted_s / 60:.0f} min; see capgate outbox list"
        yield AlarmCode.RECEIPT_OVERDUE, text
    elif now.oldest_stored_s >= STORED_S:
        text = f"stored by the engine for {now.oldest_stored_s / 3600:.0f} h, and not answered; see capgate outbox list"
        yield AlarmCode.RECEIPT_OVERDUE, text


def _of_the_ledger(now: AlarmInputs) -> Iterator[tuple[AlarmCode, str]]:
    """Whether what must survive is kept."""
    if now.disk_free_bytes is not None:
        lacking = "no further files fit" if now.disk_lacks_files else f"{now.disk_free_bytes / 1e6:.0f} MB are free"
        text = (
            f"{lacking} where the ledger lies: make room; the history of the units "
            f"is not written, and when nothing is left nothing is counted"
        )
        yield AlarmCode.DISK_FULL, text
    if now.ledger_blocked:
        text = (
            f"nothing is recorded or counted: {now.ledger_blocked}; once the state directory can be written and has "
            f"this gateway's ledger, it goes on by itself within a minute"
        )
        yield AlarmCode.LEDGER_BLOCKED, text
    if now.safe_mode:
        text = (
            f"{now.safe_mode}: units are read and what comes is kept, nothing is counted; have the log looked at, mend "
            f"or update, then capgate unit reload"
        )
        yield AlarmCode.SAFE_MODE, text
    if now.clock_implausible:
        text = (
            f"{now.clock_implausible}: units are read and what comes is kept, nothing is counted; set the clock, and "
            f"all of it is counted; capgate unit confirm-clock, if it is right as it is"
        )
        yield AlarmCode.CLOCK_IMPLAUSIBLE, text
    elif now.clock_wrong:
        yield AlarmCode.CLOCK_IMPLAUSIBLE, now.clock_wrong
    if now.crashes:
        count = "once" if len(now.crashes) == 1 else f"{len(now.crashes)} times"
        yield AlarmCode.CRASHED, f"crashed {count} within an hour, the last by {now.crashes[-1].what}; see the log"
    yield from _of_the_process(now)
    if now.purge_waits:
        text = f"nothing is purged: {now.purge_waits}; is it right? Then capgate ledger purge --clock-checked"
        yield AlarmCode.PURGE_WAITS, text
    if now.files_set_aside:
        text = (
            f"{', '.join(now.files_set_aside)} in the state directory was damaged or in the way, and is used no more: "
            f"look at it and move it elsewhere"
        )
        yield AlarmCode.FILE_SET_ASIDE, text
    if now.ledger_set_aside:
        yield _of_set_aside(now.ledger_set_aside)


def _of_the_process(now: AlarmInputs) -> Iterator[tuple[AlarmCode, str]]:
    """What the gateway, as a program on its machine, comes to lack."""
    if now.starts >= OFTEN:
        text = (
            f"began {now.starts} times within ten minutes and was ended each time; see journalctl -u capgate, and dmesg"
        )
        yield AlarmCode.RESTARTS_OFTEN, text
    if now.descriptors_left is not None:
        text = (
            f"only {now.descriptors_left} further files and connections can be opened; see who is connected to the page"
        )
        yield AlarmCode.DESCRIPTORS_LOW, text
    if now.expiring:
        which = ", ".join(f"{name} {when}" for name, when in now.expiring.items())
        text = (
            f"{which}: renew the certificate; a file is taken up by itself, a credential of systemd with "
            f"systemctl restart capgate"
        )
        yield AlarmCode.CERTIFICATE_EXPIRES, text
    if now.history_trouble:
        yield (
            AlarmCode.HISTORY_UNWRITTEN,
            f"the history of temperatures and errors is not written: {now.history_trouble}",
        )


def _of_set_aside(name: str) -> tuple[AlarmCode, str]:
    """The alarm about the ledger file that the present one replaced."""
    began = f"{name}, and a new epoch was begun"
    match why_of(name):
        case Aside.DAMAGED:
            text = f"a damaged ledger lies in {name}, and a new one was begun; keep it and see the log"
            return AlarmCode.LEDGER_SET_ASIDE, text
        case Aside.LATER:
            return AlarmCode.LEDGER_SET_ASIDE, f"a later version's ledger lies in {began} with what this version reads"
        case Aside.BEHIND:
            text = f"the ledger had lost its last entries, or an older image took its place: it lies in {began}"
            return AlarmCode.LEDGER_BEHIND, f"{text}; see capgate session worklist"
        case Aside.RESTORED:
            text = f"the ledger was restored from a copy, which lies in {began}"
            return AlarmCode.LEDGER_BEHIND, f"{text}; see capgate session worklist"


def _of_work(now: AlarmInputs) -> Iterator[tuple[AlarmCode, str]]:
    """Alarms that are raised as long as their work item is open."""
    if now.lost_since_us is not None:
        text = (
            f"entries of the ledger were lost: have the interface engine send again what it sent since "
            f"{rfc3339(now.lost_since_us)}; see capgate session worklist"
        )
        yield AlarmCode.ENTRIES_LOST, text
    if now.missed_us is not None:
        since, until = (rfc3339(each) for each in now.missed_us)
        text = (
            f"away from the broker from {since} to {until}, which may not have kept all messages: have the interface "
            f"engine send again what it sent since {since}; see capgate session worklist"
        )
        yield AlarmCode.MESSAGES_MISSED, text
    if now.start_disagrees:
        count = "1 session" if now.start_disagrees == 1 else f"{now.start_disagrees} sessions"
        text = f"{count}: a start would have taken back what was published, and did not; see capgate session worklist"
        yield AlarmCode.START_DISAGREES, text
    if now.defects:
        count = "1 session" if now.defects == 1 else f"{now.defects} sessions"
        text = f"{count}: a defect of the gateway keeps it from being counted; see its log and capgate session worklist"
        yield AlarmCode.SESSION_DEFECT, text


def _of_sessions(now: AlarmInputs) -> Iterator[tuple[AlarmCode, str]]:
    if now.incomplete.count:
        text = f"{_waiting(now.incomplete)}: patient or infusion end unknown; see capgate session list"
        yield AlarmCode.SESSIONS_INCOMPLETE, text
    if now.held.count:
        text = f"{_waiting(now.held)}: held, or a charge in question; see capgate session list"
        yield AlarmCode.SESSIONS_HELD, text


def _waiting(sessions: Waiting) -> str:
    """Number and age of the oldest in days, so that the text changes seldom."""
    days = int(sessions.oldest_s // 86_400)
    count = "1 session" if sessions.count == 1 else f"{sessions.count} sessions"
    return f"{count}, the oldest of {'today' if days < 1 else f'{days} d ago'}"


def _down(now: AlarmInputs, which: Callable[[UnitDown], bool]) -> list[str]:
    return [unit for unit, down in now.units_down.items() if which(down)]


def _resend_us(code: AlarmCode, now: AlarmInputs) -> int | None:
    """From when on the engine must send again what it sent, where the alarm asks for that."""
    match code:
        case AlarmCode.ENTRIES_LOST:
            return now.lost_since_us
        case AlarmCode.MESSAGES_MISSED:
            return None if now.missed_us is None else now.missed_us[0]
        case _:
            return None


class Alarms:
    """Publishes alarms as they are raised and cleared. `publish` sets the retained payload of a destination.

    `known` are the alarms that can be told; of the others nothing is published.
    """

    def __init__(
        self,
        origin: Origin,
        topics: Topics,
        publish: Callable[[Destination, bytes], None],
        known: Collection[AlarmCode] = tuple(AlarmCode),
    ) -> None:
        self._known = known
        self._origin = origin
        self._topics = topics
        self._publish = publish
        self._raised: dict[AlarmCode, int] | None = None  # code -> since; None: the broker may hold older ones
        self._counted: dict[AlarmCode, str] = {}  # the texts of those whose count is published as it changes

    @property
    def raised(self) -> frozenset[AlarmCode]:
        """The alarms that are raised."""
        return frozenset(self._raised or ())

    def update(self, now: AlarmInputs, at_us: int) -> None:
        """Publish the alarms that changed since the last call; at the first call, all."""
        texts = dict(active(now))
        before, counted_before = self._raised, self._counted
        self._counted = {code: texts[code] for code in _COUNTING if code in texts}
        self._raised = {code: (before or {}).get(code, at_us) for code in texts}
        for code in self._known:
            is_raised, was_raised = code in self._raised, before is not None and code in before
            recounted = self._counted.get(code) != counted_before.get(code)
            if before is None or is_raised != was_raised or recounted:
                since_us = self._raised.get(code, at_us)
                self._publish_alarm(code, texts.get(code), since_us, at_us, _resend_us(code, now))
            if is_raised != was_raised:
                _log.warning("alarm %s", "raised" if is_raised else "cleared", extra={"code": code})

    def _publish_alarm(
        self, code: AlarmCode, text: str | None, since_us: int, at_us: int, resend_us: int | None
    ) -> None:
        state = AlarmState.CLEARED if text is None else AlarmState.RAISED
        alarm = AlarmData(
            code=code,
            state=state,
            since=rfc3339(since_us),
            text=text or "no longer so",
            resend_since=rfc3339_or_none(resend_us),
        )
        self._publish(self._topics.alarm(code), encode_event(alarm_event(self._origin, alarm, at_us)))
