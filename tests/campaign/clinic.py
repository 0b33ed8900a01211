"""Makes up a clinic's days. A day is drawn from the seed and its number alone, so that a shorter run is a prefix."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random

from gateway.messages.notation import Notation
from tests.campaign.clinic_time import EPOCH_US
from tests.campaign.plan import DAY, HOUR, MINUTE, CapState, Manners, Meaning, Move, Place, S, Statement, Stay, Visit

UNITS = {"cap-01": 2, "cap-02": 2, "cap-03": 1}  # with the caps that are used
SPARE = Place("cap-04", 1)
CYCLE_DAYS = 21  # patients come back
NOTHING: Mapping[str, object] = {}
_OPENS, _CLOSES = 8 * HOUR, 15 * HOUR  # of arrivals
_SUNDAY, _SATURDAY = 6, 5
_EVENTS_ALONE = (Meaning.VOIDED, Meaning.ENDED_MORE)  # what the other notations have no word for


def day_of(at_us: int) -> int:
    """The number of the day, from 0."""
    return (at_us - EPOCH_US) // DAY


def is_workday(day: int) -> bool:
    """Whether the clinic works."""
    return day % 7 not in (_SATURDAY, _SUNDAY)


def visits(seed: int, day: int) -> list[Visit]:
    """The visits of a day."""
    if not is_workday(day):
        return []
    random = Random(f"visits {seed} {day}")
    spare_free = True
    found: list[Visit] = []
    for unit, caps in UNITS.items():
        for cap in range(1, caps + 1):
            at_us = EPOCH_US + day * DAY + _OPENS + random.randrange(int(1.5 * HOUR))
            while at_us < EPOCH_US + day * DAY + _CLOSES and random.random() < 0.33:
                swaps = spare_free and random.random() < 0.1
                spare_free = spare_free and not swaps
                visit = _Drawing(random, day, len(found), Place(unit, cap), at_us, swaps=swaps).visit()
                found.append(visit)
                at_us = visit.stop_us + random.randint(45, 120) * MINUTE
    return found


class _Drawing:
    """One visit in the making."""

    def __init__(self, random: Random, day: int, slot: int, place: Place, arrival_us: int, *, swaps: bool) -> None:
        self._random = random
        self._key = f"d{day}v{slot}"
        in_series = Random(f"series {day % CYCLE_DAYS} {slot}").random() < 0.3
        self._visit = f"V{day % CYCLE_DAYS:02d}{slot}" if in_series else f"V{day:04d}{slot}"
        self._place = place
        self._arrival_us = arrival_us
        self._swaps = swaps
        self._said: list[Statement] = []

    def visit(self) -> Visit:
        random = self._random
        start_us = self._arrival_us + self._minutes(5, 15)
        ends = list(self._agents(start_us + self._minutes(25, 45)))
        last_order, last_end_us = ends[-1]
        length_us = random.choice((8, 20, 45, 60, 90, 90, 120)) * MINUTE + self._minutes(0, 12)
        if random.random() < 0.25:  # the nurse waits for a unit to be full
            length_us = random.choice((16, 46, 76)) * MINUTE + self._minutes(0, 1)
        stop_us = last_end_us + length_us
        moves, stays = self._cooling(start_us, last_end_us, stop_us)
        manners = self._ending(last_order, last_end_us, stop_us, moves[0].at_us)
        manners = self._binding(manners, stop_us, stays)
        if manners.bind_h is None and any(move.state is CapState.STOPPED for move in moves[:-1]):
            bound_us = max(each.say_us for each in self._said if each.meaning is Meaning.BOUND)
            manners = replace(manners, bind_h=max(0.0, (bound_us - stop_us) / HOUR) + 2.0)  # what was cut off by it
        self._papers(start_us, stop_us)
        said = tuple(sorted(self._said, key=lambda each: each.say_us))
        feed = Notation.JSON if any(each.meaning in _EVENTS_ALONE for each in said) else random.choice(tuple(Notation))
        return Visit(self._key, self._visit, tuple(moves), tuple(stays), said, manners, tuple(ends), stop_us, feed)

    # --- the machine

    def _cooling(self, start_us: int, end_us: int, stop_us: int) -> tuple[list[Move], list[Stay]]:
        place, moves = self._place, [Move(start_us, self._place, CapState.RUNNING)]
        stays: list[Stay] = []
        at_us, from_us = start_us + 20 * MINUTE, start_us - 3 * MINUTE
        swap_us = self._random.randrange(start_us + 20 * MINUTE, stop_us) if self._swaps else stop_us
        while (at_us := at_us + self._minutes(10, 200)) < stop_us - 5 * MINUTE:
            long = self._random.random() < 0.12
            length_us = self._minutes(13, 22) if long else self._minutes(3, 8)
            back_us = at_us + length_us
            if back_us > stop_us - 4 * MINUTE or not (back_us < swap_us - 4 * MINUTE or at_us > swap_us + 24 * MINUTE):
                continue
            if place == self._place and at_us > swap_us:
                place = SPARE
            stops = not self._swaps and self._random.random() < 0.15  # at the unit, and then started again
            off = CapState.STOPPED if stops else CapState.PAUSED
            moves += [Move(at_us, place, off), Move(back_us, place, CapState.RUNNING)]
            at_us = back_us
        last_place = self._place
        if self._swaps and swap_us < stop_us - 30 * MINUTE:
            again_us = swap_us + self._minutes(2, 20)
            moves += [Move(swap_us, self._place, CapState.STOPPED), Move(again_us, SPARE, CapState.RUNNING)]
            moves = [move for move in moves if move.at_us <= swap_us or move.at_us >= again_us]
            stays.append(Stay(self._place, from_us, swap_us + 5 * MINUTE))
            self._say(
                "association.bound", Meaning.BOUND, again_us - MINUTE, again_us - MINUTE, place=SPARE, extra=_SCAN
            )
            from_us, last_place = again_us - MINUTE, SPARE
        else:
            moves = [Move(move.at_us, self._place, move.state) for move in moves]
        moves.append(Move(stop_us, last_place, CapState.STOPPED))
        stays.append(Stay(last_place, from_us, stop_us + 5 * MINUTE))
        return sorted(moves, key=lambda move: move.at_us), stays

    # --- the chart

    def _agents(self, at_us: int) -> Iterator[tuple[str, int]]:
        count = self._random.choice((1, 1, 2, 2, 3, 4))
        for number in range(1, count + 1):
            order, end_us = f"{self._key}-o{number}", at_us + self._minutes(15, 50)
            self._say("infusion.started", Meaning.STARTED, at_us, at_us + self._minutes(0, 2), order, extra=_CHEMO)
            if number < count:
                self._say(
                    "infusion.completed", Meaning.ENDED, end_us, end_us + self._minutes(0, 2), order, extra=_FINAL
                )
            yield order, end_us
            at_us = end_us + (self._minutes(16, 24) if self._random.random() < 0.06 else self._minutes(1, 11))

    def _ending(self, order: str, end_us: int, stop_us: int, first_us: int) -> Manners:
        """What is said of the last agent's end."""
        random = self._random
        manners = Manners(
            sign_h=random.choice((None, None, 0.5, 20.0, 44.0)),
            lift_h=random.choice((2.0, 30.0, 100.0, 150.0, 300.0, 400.0)),
            decide_h=random.choice((2.0, 30.0, 200.0, 400.0)),
            approve=random.random() < 0.8,
        )
        chance = random.random()
        if chance < 0.07:
            return replace(manners, end_h=random.choice((None, 20.0, 100.0, 150.0, 500.0)), sign_h=None)
        say_us = end_us + self._minutes(0, 3)
        if chance < 0.22:
            say_us = end_us + random.choice((HOUR, 5 * HOUR, 30 * HOUR, 4 * DAY, 5 * DAY + 3 * HOUR, 10 * DAY))
        if random.random() < 0.06:
            self._say("infusion.completed", Meaning.ENDED_MORE, end_us, say_us, order, extra=_FINAL_BUT_ORDERED)
        else:
            self._say("infusion.completed", Meaning.ENDED, end_us, say_us, order, extra=_FINAL)
        chance = random.random()
        if chance < 0.2:
            later_us = say_us + random.choice((HOUR, 8 * HOUR, 3 * DAY, 4 * DAY, 6 * DAY, 12 * DAY, 40 * DAY))
            new_us = min(end_us + random.choice((-10, -4, 13, 25, 31, 50)) * MINUTE, later_us - 5 * MINUTE)
            self._say(
                "infusion.completed",
                Meaning.CORRECTED,
                new_us,
                later_us,
                order,
                version=2,
                recorded_us=later_us,
                extra=_FINAL,
            )
        elif chance < 0.26:
            later_us = say_us + random.choice((HOUR, 30 * HOUR, 6 * DAY))
            self._say("infusion.voided", Meaning.VOIDED, later_us, later_us, order)
            again_us = later_us + random.choice((10 * MINUTE, 20 * HOUR))
            self._say("infusion.completed", Meaning.ENDED, end_us + 3 * MINUTE, again_us, order, extra=_FINAL)
        return manners

    def _binding(self, manners: Manners, stop_us: int, stays: list[Stay]) -> Manners:
        random, first = self._random, stays[0]
        chance = random.random()
        arrival_us = self._arrival_us
        if len(stays) > 1 or chance < 0.8:
            self._say("association.bound", Meaning.BOUND, arrival_us, arrival_us, place=first.place, extra=_SCAN)
        elif chance < 0.87:
            late_us = stop_us + random.choice((HOUR, 20 * HOUR, 4 * DAY, 5 * DAY + 2 * HOUR, 9 * DAY))
            self._say("association.bound", Meaning.BOUND, arrival_us, late_us, place=first.place, extra=_SCAN)
        elif chance < 0.95:
            return replace(manners, bind_h=random.choice((1.0, 20.0, 110.0, 130.0, 250.0)), sign_h=None)
        else:
            wrong = f"X{self._key}"
            self._say(
                "association.bound", Meaning.BOUND, arrival_us, arrival_us, place=first.place, visit=wrong, extra=_SCAN
            )
            return replace(manners, reassign_h=random.choice((1.0, 20.0, 90.0)), sign_h=None)
        return manners

    def _papers(self, start_us: int, stop_us: int) -> None:
        """Preparation and order; where they are missing, the session is held."""
        random = self._random
        bound_us = next((each.say_us for each in self._said if each.visit == self._visit and each.place), None)
        if bound_us is not None and random.random() < 0.8:  # what names a visit that no cap serves is not ours
            said_us = max(bound_us + MINUTE, random.choice((start_us + 20 * MINUTE, stop_us + 20 * MINUTE)))
            self._say("preparation.charted", Meaning.OTHER, start_us, said_us, extra={"person": "rn-1"})
            if random.random() < 0.5 and bound_us < stop_us:
                looked_us = stop_us + self._minutes(0, 2)
                self._say("tolerance.checked", Meaning.OTHER, looked_us, looked_us, extra=_TOLERATED)
        chance = random.random()
        if chance < 0.2:
            self._say("order.checked", Meaning.OTHER, start_us, start_us + 5 * MINUTE, extra={"found": chance < 0.15})

    def _minutes(self, least: int, most: int) -> int:
        return self._random.randrange(least * 60, most * 60) * S + self._random.randrange(S // 1000) * 1000

    def _say(
        self,
        thing: str,
        meaning: Meaning,
        at_us: int,
        say_us: int,
        order: str = "",
        *,
        place: Place | None = None,
        version: int | None = None,
        recorded_us: int | None = None,
        visit: str = "",
        extra: Mapping[str, object] = NOTHING,
    ) -> None:
        name = f"{self._key}-{len(self._said)}"
        pairs = tuple(extra.items())
        whom = visit or self._visit
        said = Statement(name, thing, meaning, at_us, say_us, whom, order, place, version, recorded_us, pairs)
        self._said.append(said)


_SCAN: Mapping[str, object] = {"validated": True, "asserted_by": "scan"}
_TOLERATED: Mapping[str, object] = {"person": "rn-1", "scalp": "ok"}
_CHEMO: Mapping[str, object] = {"agent_class": "chemo", "source": "mar"}
_FINAL: Mapping[str, object] = {"agent_class": "chemo", "source": "mar", "final": True}
_FINAL_BUT_ORDERED: Mapping[str, object] = {**_FINAL, "remaining_chemo_orders": 1}
