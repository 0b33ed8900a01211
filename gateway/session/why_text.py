"""Says in sentences why a session has so many units: figures in minutes and seconds, instants in local time. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo

from gateway.session.facts import EndSource
from gateway.session.flags import HeldReason
from gateway.session.held_texts import HELD_TEXTS
from gateway.session.local_time import clock_text, length_text
from gateway.session.policy import Policy
from gateway.session.spans import US_PER_S
from gateway.session.why import Cause, Ending, Obstacle, Stretch, Why
from gateway.session.wording import ENGLISH, Wording

OBSTACLE_TEXTS = {
    Obstacle.NO_COOLING: "no cooling is known",
    Obstacle.NO_INFUSION: "no infusion of an agent that counts is known",
    Obstacle.INFUSION_RUNNING: "nobody has charted the infusion's end (P19)",
    Obstacle.ORDERS_REMAIN: "the chart says that more chemotherapy is ordered (P7)",
    Obstacle.END_IN_FUTURE: "the infusion's end that is charted has not come yet (P20)",
    Obstacle.NOT_COOLING_AT_END: "cooling was off when the infusion ended; a start afterwards continues nothing (P11)",
    Obstacle.COOLED_NO_LONGER: "cooling was over, or no unit was in sight any more, when the infusion ended (P11, P15)",
}
CAUSE_TEXTS = {
    Cause.PAUSED: "circulation was paused (P9)",
    Cause.FAULT: "the unit had a fault (P14)",
    Cause.OUT_OF_SIGHT: "nothing proves that coolant circulated (P15)",
    Cause.STOPPED: "cooling was off (P12)",
    Cause.NOT_CONTINUED: "it followed a stop that closed the count (P11, P12)",
}
_PAUSES = {
    "disconnected": "the cap was disconnected (P9)",
    "unconfirmed": "the unit's own counter shows an interruption (P31)",
}
ENDING_TEXTS = {
    Ending.GOES_ON: "Cooling goes on.",
    Ending.LOST: "No unit of the session is in sight since {at} (P15).",
    Ending.MACHINE: "Cooling ended at {at}: the unit stopped (P13).",
    Ending.CAP_REMOVED: "Cooling ended at {at}: the cap was removed (P13).",
    Ending.CHARTED: "Cooling ended at {at}, as charted (P13).",
    Ending.LEFT: "Cooling ended at {at}: the patient left (P28).",
    Ending.NEXT_PATIENT: "Cooling ended at {at}: the next patient came on the cap (P24).",
}
SOURCE_TEXTS = {
    EndSource.MAR: "charted in the MAR",
    EndSource.ENGINE_FINAL: "reported as the last of the orders",
    EndSource.PERSON: "told by a person",
    EndSource.PUMP: "told by a pump",
}


def sentences(
    why: Why, held: Iterable[HeldReason], policy: Policy, zone: tzinfo, say: Wording = ENGLISH
) -> Iterator[str]:
    """The count, each unit, what the next one lacks, what did not count, what ended cooling, what holds the charge."""
    units = len(why.attained_us)
    if why.infusion_end_us is None or why.source is None:
        because = say(OBSTACLE_TEXTS[why.obstacle] if why.obstacle else "the infusion goes on")
        yield say("{units}: {because}.", units=say.units(units), because=because)
    else:
        yield say(
            "{units}: {counted} of cooling counted after the infusion's end at {end} (order {order}, {source}).",
            units=say.units(units),
            counted=length_text(why.counted_us),
            end=clock_text(why.infusion_end_us, zone),
            order=why.order,
            source=say(SOURCE_TEXTS[why.source]),
        )
        if why.obstacle is not None:
            yield say("Nothing counts: {because}.", because=say(OBSTACLE_TEXTS[why.obstacle]))
    attained = [
        say("unit {number} at {at}", number=number, at=clock_text(at_us, zone))
        for number, at_us in enumerate(why.attained_us, start=1)
    ]
    if attained:
        yield say("Attained: {units}.", units=_listed(attained, say))
    yield say(
        "Unit {number} needs {needed}, which is {missing} more;"
        " the first takes {first}, each further one {further} (P1).",
        number=units + 1,
        needed=length_text(why.needed_us),
        missing=length_text(why.needed_us - why.counted_us // US_PER_S * US_PER_S),
        first=length_text(policy.first_threshold_s * US_PER_S),
        further=length_text(policy.increment_s * US_PER_S),
    )
    for stretch in why.stretches:
        if stretch.cause is not Cause.COUNTED:
            yield _not_counted(stretch, zone, say)
    if why.obstacle is not Obstacle.NO_COOLING:
        yield say(ENDING_TEXTS[why.ending], at="" if why.ended_us is None else clock_text(why.ended_us, zone))
    for reason in held:
        yield say("Held: {why} ({code}).", why=say(HELD_TEXTS[reason]), code=reason)


def _not_counted(stretch: Stretch, zone: tzinfo, say: Wording) -> str:
    return say(
        "Not counted: {length}, {start} to {end}: {because}.",
        length=length_text(stretch.end_us - stretch.start_us),
        start=clock_text(stretch.start_us, zone),
        end=clock_text(stretch.end_us, zone),
        because=say(_PAUSES.get(stretch.reason) or CAUSE_TEXTS[stretch.cause]),
    )


def _listed(parts: Sequence[str], say: Wording) -> str:
    return parts[0] if len(parts) == 1 else say("{most} and {last}", most=", ".join(parts[:-1]), last=parts[-1])
