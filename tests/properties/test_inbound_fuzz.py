"""Whatever an engine sends, in any format: a result and never a traceback, and no answer repeats what was sent."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from gateway.messages.details import Detail, Stated
from gateway.messages.inbound.answers import Accepted, Ignored, Inbound, Receipt, Rejected, ServedCaps, no_session
from gateway.messages.inbound.dispatch import read_message
from gateway.session.facts import decode_fact, encode_fact
from tests.scorecard.repeats import repeats
from tests.unit.gateway.messages.hl7_support import EHR_SITE, SAMPLES
from tests.unit.gateway.messages.inbound.inbound_support import MESSAGES, NOW

FILES = sorted([*SAMPLES.iterdir(), *MESSAGES.glob("in_*.json")])
MUTATIONS = repeats(10_000)
LINES = [
    b"PID|||1^^^X^MR",
    b"RXA|0|1|20260310|20260310",
    b"OBX|1|||",
    b"PRT|",
    b"MSH|^~\\&|",
    b"MRG|1",
    b"ORC|RE|RX1||||||||||7^A^B^^^^^^N&1.2&ISO~^~8",
    b"DG1|1||C50.1^Cancer^I10C",
    b"ZZZ|\\X",
    b"\xff",
]
VALUES: list[Any] = [
    None,
    "",
    0,
    -1,
    2**70,
    1.5,
    True,
    [],
    {},
    [{}],
    {"value": 7},
    "x" * 300,
    "\x00",
    "2026-03-10",
    "é",
]
CANARY = "CANARYpatient"


def knows_all(subject: str, order: str) -> bool:
    return True


def hashed(visit: str) -> str:
    visit.encode()
    return "hash"


def read(payload: bytes) -> Inbound:
    """The answer, to a gateway that knows everything about every order, or nothing."""
    strange = msgspec.structs.replace(
        EHR_SITE, bound=ServedCaps(), treated=frozenset(), session_of=no_session, live=True
    )
    read_message(payload, NOW, strange)
    taken: list[Any] = []
    words = msgspec.structs.replace(EHR_SITE.words, details=frozenset(Detail))
    answer, _ = read_message(payload, NOW, msgspec.structs.replace(EHR_SITE, knows_order=knows_all, words=words), taken)
    return answer


def check(answer: Inbound) -> None:
    assert isinstance(answer, Accepted | Ignored | Rejected | Receipt)
    if isinstance(answer, Accepted):
        for fact in answer.facts:
            assert decode_fact(encode_fact(fact)) == fact
        for stated in answer.details:
            assert msgspec.json.decode(msgspec.json.encode(stated), type=Stated) == stated
    elif isinstance(answer, Ignored | Rejected):
        assert answer.code
        assert answer.text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_sample_gives_a_result(file: Path) -> None:
    answer = read(file.read_bytes())
    check(answer)
    assert not isinstance(answer, Rejected)


# --- mutations

Mutation = Callable[[random.Random, bytes], bytes]


def flipped(chance: random.Random, payload: bytes) -> bytes:
    bytes_ = bytearray(payload)
    for _ in range(chance.randint(1, 6)):
        bytes_[chance.randrange(len(bytes_))] = chance.randrange(256)
    return bytes(bytes_)


def cut(chance: random.Random, payload: bytes) -> bytes:
    start, end = sorted((chance.randrange(len(payload)), chance.randrange(len(payload))))
    return payload[:start] + payload[end:]


def doubled(chance: random.Random, payload: bytes) -> bytes:
    start, end = sorted((chance.randrange(len(payload)), chance.randrange(len(payload))))
    return payload[:end] + payload[start:end] + payload[end:]


def relined(chance: random.Random, payload: bytes) -> bytes:
    lines = payload.splitlines()
    for _ in range(chance.randint(1, 3)):
        lines.insert(chance.randint(0, len(lines)), chance.choice([*LINES, *lines]))
        if chance.random() < 0.5:
            lines.pop(chance.randrange(len(lines)))
    return b"\r".join(lines)


def refielded(chance: random.Random, payload: bytes) -> bytes:
    """Fields of HL7 moved about, emptied, or taken from elsewhere in the message."""
    lines = [line.split(b"|") for line in payload.splitlines()]
    fields = [field for line in lines for field in line]
    for _ in range(chance.randint(1, 5)):
        line = chance.choice(lines)
        line[chance.randrange(len(line))] = chance.choice([*fields, b"", b'""', b"^^^", b"~~", b"&", b"\\"])
    return b"\r".join(b"|".join(line) for line in lines)


def keys_of(holder: object) -> list[Any]:
    if isinstance(holder, dict):
        return list(cast(dict[str, object], holder))
    return list(range(len(cast(list[object], holder))))


def replace_in(chance: random.Random, decoded: object) -> None:
    """One value somewhere in `decoded`."""
    holder = cast(Any, decoded)
    while holder:
        key = chance.choice(keys_of(holder))
        inner: object = holder[key]
        if not isinstance(inner, dict | list) or chance.random() < 0.3:
            holder[key] = copy.deepcopy(chance.choice(VALUES))
            return
        holder = cast(Any, inner)


def revalued(chance: random.Random, payload: bytes) -> bytes:
    """Values of JSON replaced by others, at any depth."""
    try:
        decoded = json.loads(payload)
    except ValueError:
        return flipped(chance, payload)
    for _ in range(chance.randint(1, 4)):
        replace_in(chance, decoded)
    return json.dumps(decoded).encode()


MUTATORS: list[Mutation] = [flipped, cut, doubled, relined, refielded, revalued]


@pytest.mark.requirement("REQ-INPUT-1")
def test_mutated_messages_give_a_result() -> None:
    chance = random.Random(97009)
    payloads = [file.read_bytes() for file in FILES]
    for _ in range(MUTATIONS):
        payload = chance.choice(MUTATORS)(chance, chance.choice(payloads)) or b"MSH"
        check(read(payload))


# --- canary


def texts_of(answer: Inbound) -> str:
    """What is sent, logged or kept of an answer, but for the control id."""
    match answer:
        case Accepted():
            facts = b"".join(msgspec.json.encode(fact) for fact in answer.facts).decode()
            return answer.note + facts.replace(answer.message_id, "")
        case Ignored() | Rejected():
            return answer.code + answer.text
        case Receipt():
            return ""


def planted(payload: bytes) -> list[bytes]:
    """The message with a canary in one field after another, but for what names messages and orders."""
    if not payload.startswith(b"MSH"):
        return []
    lines = [line.split(b"|") for line in payload.splitlines()]
    found: list[bytes] = []
    for number, line in enumerate(lines):
        names = {b"MSH": {2, 9}, b"ORC": {2, 3}, b"OBR": {2}}.get(line[0], set())
        for field in range(1, len(line)):
            if field not in names and (number, field) != (0, 1):
                changed = [list(each) for each in lines]
                changed[number][field] = CANARY.encode()
                found.append(b"\r".join(b"|".join(each) for each in changed))
    return found


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.hl7")), ids=lambda file: file.stem)
def test_no_answer_and_no_fact_repeats_what_stands_in_a_field(file: Path) -> None:
    site = msgspec.structs.replace(EHR_SITE, subject_of=hashed, knows_order=knows_all)
    for payload in planted(file.read_bytes()):
        answer, _ = read_message(payload, NOW, site)
        assert CANARY not in texts_of(answer).replace(f"{CANARY}|", "")


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.json")), ids=lambda file: file.stem)
def test_no_answer_repeats_a_value_of_json(file: Path) -> None:
    site = msgspec.structs.replace(EHR_SITE, subject_of=hashed, knows_order=knows_all)
    text = file.read_text()
    for value in sorted(set(strings(json.loads(text)))):
        if value in ("MedicationAdministration", "1.0") or value.startswith(
            ("org.", "urn:demo", "A7", "ENG", "RX", "ma-")
        ):
            continue
        answer, _ = read_message(text.replace(f'"{value}"', f'"{CANARY}"').encode(), NOW, site)
        assert CANARY not in texts_of(answer)


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for each in cast(dict[str, object], value).values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in cast(list[object], value) for text in strings(each)]
    return [value] if isinstance(value, str) else []
