"""Messages of the feeds, damaged: none starts or ends an infusion that its original did not, and none raises."""

import random
import re
from collections.abc import Callable

from gateway.messages.inbound.dispatch import read_message
from gateway.messages.vocabulary import normal
from gateway.session.facts import AnyFact, encode_fact
from tests.scorecard.repeats import repeats
from tests.unit.gateway.messages.inbound.feed_messages import KNOWN, MESSAGES
from tests.unit.gateway.messages.inbound.inbound_support import NOW

MUTANTS = repeats(2_000)
LETTERS = "aeinorstxAEINORSTX ~-_.()/0127"
_STARTS = re.compile(rb'"fact":"(infusion_started|infusion_restarted|flush_started)"')
_ENDS = re.compile(rb'"fact":"(infusion_ended|infusion_end_corrected|flush_ended)"')
_WORD_FIELDS = {b"RXA": (9, 20), b"ORC": (1, 5)}
_TIME_FIELDS = {b"RXA": (3, 4, 22), b"OBX": (14,), b"OBR": (7,)}
_JSON_WORD = re.compile(rb'("(?:status|type|resourceType|source)": ")([^"]*)(")')
_JSON_TIME = re.compile(rb'("(?:start|end|time|recordedtime|lastUpdated|effectiveDateTime)": ")([^"]*)(")')
# Not asked of the product: every word of which the vocabularies are made.
_MEANT = frozenset(
    [
        "start",
        "started",
        "begin",
        "begun",
        "new",
        "newbag",
        "bag",
        "syringe",
        "restart",
        "restarted",
        "resume",
        "resumed",
        "rate",
        "change",
        "ratechange",
        "verify",
        "rateverify",
        "infusing",
        "pause",
        "paused",
        "hold",
        "held",
        "on",
        "stop",
        "stopped",
        "end",
        "ended",
        "complete",
        "completed",
        "given",
        "by",
        "other",
        "ivp",
        "iv",
        "push",
        "pushed",
        "not",
        "missed",
        "refused",
        "administered",
        "canceled",
        "cancelled",
        "entry",
        "automatically",
        "partially",
        "partial",
        "cp",
        "pa",
        "re",
        "na",
        "a",
        "cm",
        "dc",
        "nw",
        "ok",
        "sc",
        "sn",
        "xo",
        "xx",
    ]
)


def effects(payload: bytes) -> tuple[bool, bool]:
    """Whether it starts something, and whether it ends something."""
    answer, _ = read_message(payload, NOW, KNOWN)
    facts: tuple[AnyFact, ...] = getattr(answer, "facts", ())
    encoded = b"\n".join(map(encode_fact, facts))
    return bool(_STARTS.search(encoded)), bool(_ENDS.search(encoded))


def damaged_word(text: bytes, chance: random.Random) -> bytes:
    """The text with letters put in, taken out or changed; as it was where that makes a word that means something."""
    letters = list(text.decode("latin-1"))
    for _ in range(chance.randint(1, 3)):
        within = [at for at, letter in enumerate(letters) if letter not in "^~"]
        at = chance.choice(within) if within else 0
        match chance.randrange(3):
            case 0:
                letters.insert(chance.randrange(len(letters) + 1), chance.choice(LETTERS))
            case 1 if within:
                del letters[at]
            case _ if within:
                letters[at] = chance.choice(LETTERS)
            case _:
                pass
    mutant = "".join(letters)
    before, after = (set(map(normal, re.split(r"[\^~]", each))) - {""} for each in (text.decode("latin-1"), mutant))
    means_something = any(set(part.split()) <= _MEANT for part in after - before)
    return text if not after or means_something else mutant.encode("latin-1")


def of_hl7(payload: bytes, chance: random.Random) -> bytes:
    """A field of words or of a time damaged, or bytes of another segment."""
    lines = payload.split(b"\r")
    places = [
        (number, field, damage)
        for number, line in enumerate(lines)
        for fields, damage in ((_WORD_FIELDS, damaged_word), (_TIME_FIELDS, damaged_time))
        for field in fields.get(line[:3], ())
        if len(line.split(b"|")) > field and line.split(b"|")[field]
    ]
    if not places or chance.random() < 0.2:
        return of_bytes(payload, chance)
    number, field, damage = chance.choice(places)
    parts = lines[number].split(b"|")
    parts[field] = damage(parts[field], chance)
    lines[number] = b"|".join(parts)
    return b"\r".join(lines)


def damaged_time(text: bytes, chance: random.Random) -> bytes:
    """No time any more."""
    at = chance.randrange(len(text))
    return text[:at] + chance.choice((b"x", b"?", b"--", b"T", b"\xff")) + text[at:]


def of_json(payload: bytes, chance: random.Random) -> bytes:
    """A word or a time damaged."""
    pattern, damage = chance.choice(((_JSON_WORD, damaged_word), (_JSON_TIME, damaged_time)))
    found = list(pattern.finditer(payload))
    if not found:
        return of_bytes(payload, chance)
    at = chance.choice(found)
    return payload[: at.start(2)] + damage(at[2], chance) + payload[at.end(2) :]


def of_bytes(payload: bytes, chance: random.Random) -> bytes:
    """The message cut short before what it charts, or bytes put in front of it."""
    first = re.search(rb"RXA|OBX|\"status\"|\"data\"", payload)
    end = len(payload) if first is None else first.start()
    if chance.random() < 0.5:
        return payload[: chance.randrange(end)]
    return bytes(chance.choices(range(256), k=chance.randint(1, 9))) + payload


def mutants(chance: random.Random) -> Callable[[bytes], bytes]:
    """One damage, by what the message is."""

    def damage(payload: bytes) -> bytes:
        return of_hl7(payload, chance) if payload.startswith(b"MSH") else of_json(payload, chance)

    return damage


def test_no_damaged_message_starts_or_ends_what_its_original_did_not() -> None:
    chance = random.Random(97009)
    damage = mutants(chance)
    originals = [message.path.read_bytes() for message in MESSAGES.values()]
    known = [effects(payload) for payload in originals]
    changed = 0
    for number in range(MUTANTS):
        index = number % len(originals)
        mutant = damage(originals[index])
        starts, ends = effects(mutant)
        changed += mutant != originals[index]
        assert starts <= known[index][0], mutant
        assert ends <= known[index][1], mutant
    assert changed > MUTANTS * 0.8


def test_case_and_blanks_change_nothing() -> None:
    chance = random.Random(97010)
    for message in MESSAGES.values():
        payload = message.path.read_bytes()
        if payload.startswith(b"MSH"):
            lines = payload.split(b"\r")
            for number, line in enumerate(lines):
                parts = line.split(b"|")
                for field in _WORD_FIELDS.get(line[:3], ()):
                    if len(parts) > field:
                        text = chance.choice((bytes.upper, bytes.lower))(parts[field])
                        parts[field] = text.replace(b" ", b"  ")
                lines[number] = b"|".join(parts)
            assert effects(b"\r".join(lines)) == effects(payload), message.path.name
