"""Holds what the gateway published and lists against what the oracle counts, visit by visit.

A visit is in order when the units that stand are those that the oracle counts and they are charged; if they are not,
the gateway's list must show the session with what it waits for. What changes although nothing was said or seen of the
visit is a violation by itself.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.campaign import people
from tests.campaign.bus import Bus, Change, Json, SeenSession
from tests.campaign.clinic import day_of
from tests.campaign.engine import Engine
from tests.campaign.oracle import Cooling, Rules, Units, cooling, units
from tests.campaign.plan import HOUR, MINUTE, CapState, Meaning, Place, Rule, S, Stay, Visit
from tests.campaign.units import Sighting

NEAR_US = 20 * MINUTE  # how far before a visit's cooling its session may start: with its binding, if nothing was seen
GRACE_US = 2 * HOUR  # after which a due charge must be there
KEPT_US = 30 * MINUTE  # the longest time that a policy lets a patient keep a cap that stands still
WORTH_US = 16 * MINUTE  # cooling shorter than this matters to nobody
CLOCK_US = 3 * MINUTE  # how far from the true time an instant may be stamped
FOREVER_US = 1 << 62

Complain = Callable[[Rule, str], None]
Seen = Callable[[Place], list[Sighting]]


@dataclass
class Case:
    """A visit, and all that is known of it outside the gateway."""

    visit: Visit
    progress: people.Progress = field(default_factory=people.Progress)
    tokens: list[str] = field(default_factory=list[str])
    slack_us: int = 0  # what faults of the gateway may have taken
    unsure: bool = False  # a clock was wrong: nothing exact can be said
    touched: bool = True  # something was said or seen since the last look
    acted: bool = False  # a person did something about it
    settled: bool = False
    _cooling: Cooling | None = None

    def cooling(self, seen: Seen, now_us: int) -> Cooling:
        """What the polls showed of it."""
        if self._cooling is not None:
            return self._cooling
        found = cooling([(stay, _within(seen(stay.place), stay)) for stay in self.visit.stays])
        if now_us > self.visit.stop_us + HOUR:
            self._cooling = found
        return found

    def shaken(self, at_us: int, slack_us: int) -> None:
        """A fault of the gateway at an instant of its cooling."""
        if self.visit.start_us - MINUTE <= at_us <= self.visit.stop_us + 3 * MINUTE:
            self.slack_us += slack_us
            self._cooling = None


def _within(sightings: list[Sighting], stay: Stay) -> list[Sighting]:
    return [each for each in sightings if stay.from_us <= each.at_us <= stay.to_us]


class Judge:
    """Looks at all visits; `rules` are those of each policy by its name and revision."""

    def __init__(self, bus: Bus, engine: Engine, rules: Mapping[str, Rules], complain: Complain) -> None:
        self.cases: dict[str, Case] = {}
        self._open: dict[str, Case] = {}
        self._bus = bus
        self._engine = engine
        self._rules = rules
        self._complain = complain
        self._of_token: dict[str, Case] = {}
        self._looked_us = 0

    def add(self, visit: Visit) -> Case:
        """A visit that is to come."""
        case = self.cases[visit.key] = self._open[visit.key] = Case(visit)
        return case

    @property
    def open(self) -> int:
        """How many visits are not settled."""
        return len(self._open)

    def case_of(self, token: str, seen: Seen) -> Case | None:
        """The visit that a session is about, found by its cap and its start: of several the last one."""
        if token in self._of_token:
            return self._of_token[token]
        session = self._bus.sessions.get(token)
        if session is None:
            return None
        about = (case for case in self.cases.values() if _is_about(session, case.visit, seen))
        case = max(about, key=lambda case: case.visit.start_us, default=None)
        if case is None:
            self._complain(
                Rule.COUNT, f"session {token} on {session.unit} cap {session.cap}: nobody was cooled there then"
            )
            return None
        self._of_token[token] = case
        case.tokens.append(token)
        return case

    def is_parted(self, case: Case) -> bool:
        """Whether a part of the cooling is nobody's or another's: the cap stood still for longer than its policy lets
        a patient keep it.

        What is nobody's and may count alone is listed until people bind it, and then all of it counts; else it is done.
        """
        sessions = [self._bus.sessions[token] for token in case.tokens]
        parts = len(sessions) > 1 and self._bound_to(case) != case.visit.visit
        return parts or any(session.unbound for session in sessions)

    def counts_nothing(self, case: Case, seen: Seen, now_us: int) -> bool:
        """Whether no unit must stand once every hold is lifted."""
        rules = self._rules[self._bus.sessions[case.tokens[0]].policy]
        end_us = self._end_us(case, lifted=True)
        return case.unsure or units(case.cooling(seen, now_us), end_us, rules, case.slack_us).least == 0

    def touch(self, case: Case, *, acted: bool = False) -> None:
        """Something was said or seen of the visit, or a person did something about it."""
        case.touched, case.settled = True, False
        case.acted = case.acted or acted
        self._open[case.visit.key] = case

    def look(self, views: Mapping[str, Json], seen: Seen, now_us: int) -> None:
        """Judge everything, with what the gateway lists now."""
        changes, self._bus.changes = self._bus.changes, []
        for token in list(self._bus.sessions):
            self.case_of(token, seen)
        by_case: dict[str, list[Change]] = {}
        for change in changes:
            case = self._of_token.get(change.token)
            if case is not None:
                by_case.setdefault(case.visit.key, []).append(change)
        for key, made in by_case.items():
            self._unasked(self.cases[key], made, seen)
            self._open[key] = self.cases[key]
        for case in list(self._open.values()):
            if now_us > case.visit.start_us:
                self._judge(case, views, seen, now_us)
        self._looked_us = now_us

    def _unasked(self, case: Case, made: list[Change], seen: Seen) -> None:
        """Units come when something was said or seen; only a message or a person takes them back or moves them.

        So does a unit that was silent all through a stay and tells now what became of it.
        """
        moved = [
            each
            for each in made
            if (each.what == "emit" and not case.touched) or (each.what in ("amend", "retract") and not each.cause)
        ]
        if moved and not case.acted and not case.unsure and not self._has_come_back(case, seen):
            said = ", ".join(f"{each.what} {each.token}{each.number:02d}{each.revision}" for each in moved[:4])
            self._complain(Rule.UNASKED, f"{case.visit.key}: {said}, and nobody said anything of it")

    def _has_come_back(self, case: Case, seen: Seen) -> bool:
        """Whether a unit was first seen since the last look, of all the time since a stay of the patient began."""
        first_us = [
            next((each.at_us for each in seen(stay.place) if each.at_us >= stay.from_us), 0)
            for stay in case.visit.stays
        ]
        return max(first_us) > self._looked_us

    def _judge(self, case: Case, views: Mapping[str, Json], seen: Seen, now_us: int) -> None:
        cool = case.cooling(seen, now_us)
        waits = self._engine.in_flight(case.visit)
        over = now_us > case.visit.stop_us + 10 * MINUTE
        case.acted = False
        if waits or not over:
            return
        case.touched = False
        sessions = [self._bus.sessions[token] for token in case.tokens]
        listed = [views[token] for token in case.tokens if token in views]
        if not sessions:
            if cool.total_us > WORTH_US + case.slack_us and not case.unsure and not _began_unseen(case.visit, seen):
                self._complain(
                    Rule.COUNT, f"{case.visit.key}: {cool.total_us // MINUTE} min of cooling, and no session"
                )
            case.settled = now_us > case.visit.stop_us + HOUR
        else:
            self._counts(case, cool, sessions, listed, now_us)
        last_said_us = max((each.say_us for each in case.visit.statements), default=0)
        if case.settled and now_us > last_said_us + HOUR:
            del self._open[case.visit.key]

    def _counts(self, case: Case, cool: Cooling, sessions: list[SeenSession], listed: list[Json], now_us: int) -> None:
        rules = self._rules[sessions[0].policy]
        end_us = self._end_us(case)
        expected = units(cool, end_us, rules, case.slack_us)
        if case.unsure or self.is_parted(case):
            expected = Units(0, 99, (), ())
        stands = sum(len(session.standing) for session in sessions)
        charged = sum(session.charged for session in sessions)
        name = f"{case.visit.key} ({', '.join(case.tokens)})"
        right = expected.least <= stands <= expected.most
        if not right:
            wanted = _range(expected.least, expected.most)
            self._complain(
                Rule.COUNT, f"{name}: {stands} units stand where {wanted} do; charged {charged}, {listed_as(listed)}"
            )
        elif not case.unsure:
            self._instants(name, sessions, expected)
        case.settled = right and charged == stands and stands > 0
        if case.settled:
            return
        known = end_us is not None and self._bound_to(case) == case.visit.visit
        matters = stands > 0 or charged != stands or (not known and cool.total_us - case.slack_us > WORTH_US)
        if not matters:
            case.settled = known
            return
        if case.progress.decided_as(stands, charged):
            case.settled = right
            return
        if not any(says_why(view) for view in listed):
            self._complain(
                Rule.SHOWN,
                f"{name}: {stands} units stand, {charged} are charged, patient and end "
                f"{'known' if known else 'not known'}, and nothing says what it waits for: {listed_as(listed)}",
            )
            return
        due_us = case.visit.stop_us + rules.finalise_h * HOUR + GRACE_US
        last_said_us = max(self._engine.taken.get(each.id, 0) for each in case.visit.statements)
        past = now_us > max(due_us, last_said_us + GRACE_US)
        if past and not any(_waits(view) for view in listed):
            self._complain(
                Rule.CHARGED if known else Rule.SHOWN,
                f"{name}: {stands} units stand past its window, {charged} are charged, patient and end "
                f"{'known' if known else 'not known'}: {listed_as(listed)}",
            )

    def _instants(self, name: str, sessions: list[SeenSession], expected: Units) -> None:
        attained = sorted(each.attained_us for session in sessions for each in session.standing.values())
        for number, at_us in enumerate(attained, start=1):
            earliest_us = expected.earliest_us[number - 1] if number <= len(expected.earliest_us) else at_us
            latest_us = expected.latest_us[number - 1] if number <= expected.least else FOREVER_US
            if not earliest_us - S <= at_us <= latest_us + S:
                off_s = (earliest_us - at_us if at_us < earliest_us else at_us - latest_us) / S
                self._complain(
                    Rule.INSTANT, f"{name}: unit {number} stands at {off_s:.0f} s from where it was attained"
                )

    def _bound_to(self, case: Case) -> str:
        """The visit that the cap is bound to by the latest word; "" while nobody said."""
        if case.progress.bound_to:
            return case.progress.bound_to
        taken = [each for each in case.visit.statements if each.id in self._engine.taken]
        return next((each.visit for each in reversed(taken) if each.meaning is Meaning.BOUND), "")

    def _end_us(self, case: Case, *, lifted: bool = False) -> int | None:
        """The end of the last agent by what the gateway was told; None while one runs or nobody is bound.

        Nor does it have one while more is ordered, unless a person lifted that hold; `lifted` takes it for lifted.
        """
        if self._bound_to(case) != case.visit.visit:
            return None
        ends: dict[str, int | None] = {}
        more: set[str] = set()  # orders whose end says that more is ordered; an end that is voided says nothing
        for each in case.visit.statements:
            if each.id not in self._engine.taken:
                continue
            match each.meaning:
                case Meaning.STARTED:
                    ends.setdefault(each.order, None)
                case Meaning.ENDED | Meaning.ENDED_MORE | Meaning.CORRECTED:
                    ends[each.order] = each.at_us
                    more.update([each.order] if each.meaning is Meaning.ENDED_MORE else [])
                case Meaning.VOIDED:
                    ends[each.order] = None
                    more.discard(each.order)
                case _:
                    pass
        if case.progress.told_end:
            order, end_us = case.visit.ends[-1]
            ends[order] = ends.get(order) or end_us
        known = [end_us for end_us in ends.values() if end_us is not None]
        waits = bool(more) and "chemo_orders_remain" not in case.progress.lifted
        return max(known) if known and len(known) == len(ends) and not (waits and not lifted) else None


def _began_unseen(visit: Visit, seen: Seen) -> bool:
    """Whether nobody saw the cap stand for long before: until somebody is bound, it goes on for the one before."""
    stay = visit.stays[0]
    before = next((each for each in reversed(seen(stay.place)) if each.at_us < stay.from_us), None)
    return before is not None and before.state is not CapState.STOPPED and visit.start_us - before.at_us <= KEPT_US


def _is_about(session: SeenSession, visit: Visit, seen: Seen) -> bool:
    place = Place(session.unit, session.cap)
    return any(
        stay.place == place and stay.from_us - NEAR_US <= session.started_us <= _seen_after_us(stay, seen)
        for stay in visit.stays
    )


def _seen_after_us(stay: Stay, seen: Seen) -> int:
    """The first look at the cap after a stay, with which its session starts if nobody saw the cap before."""
    sightings = seen(stay.place)
    after = bisect_left(sightings, stay.to_us, key=lambda each: each.at_us)
    return sightings[after].at_us + CLOCK_US if after < len(sightings) else FOREVER_US


def says_why(view: Json) -> bool:
    """Whether the list names a reason why something is not charged."""
    return view["state"] in ("open", "held", "incomplete") or _in_question(view)


def _waits(view: Json) -> bool:
    """Whether it waits for somebody, its window being past."""
    return view["state"] in ("held", "incomplete") or _in_question(view)


def _in_question(view: Json) -> bool:
    return any(not item["refused"] for item in view["corrections"])


def listed_as(views: list[Json]) -> str:
    if not views:
        return "not listed"
    said = [
        f"{view['token']} {view['phase']} {view['state']}{' finalised' if view['finalised'] else ''}"
        f"{' held: ' + ' '.join(view['held']) if view['held'] else ''}"
        f"{' in question' if _in_question(view) else ''}"
        for view in views
    ]
    return "listed as " + "; ".join(said)


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def day_name(at_us: int) -> str:
    """`day 12 09:30`, as reports name an instant."""
    left_s = at_us // S % 86_400
    return f"day {day_of(at_us)} {left_s // 3600:02d}:{left_s // 60 % 60:02d}"
