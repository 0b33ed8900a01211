"""Messages of an EHR in HL7 and FHIR, changed in one place at a time: for the tests of what they become."""

import json
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.vocabulary import shipped_vocabulary
from gateway.messages.identity import Identity, Number, NumberKind
from gateway.messages.inbound.answers import (
    Accepted,
    Ignored,
    Inbound,
    InboundFormat,
    ReaderSite,
    Receipt,
    Rejected,
    ServedCaps,
    no_session,
)
from gateway.messages.inbound.dispatch import read_message
from gateway.messages.vocabulary import EhrWords
from gateway.session.facts import AgentClass, AnyFact
from tests.unit.gateway.messages.inbound.inbound_support import NOW, SITE

SAMPLES = Path(__file__).resolve().parents[3] / "data" / "inbound"
WORDS = EhrWords(
    drugs={"pacli": AgentClass.CHEMO, "saline": AgentClass.HYDRATION, "flush": AgentClass.FLUSH},
    units={"cap0007": "cap-07"},
    mar=shipped_vocabulary(),
)
EHR_SITE = msgspec.structs.replace(SITE, words=WORDS)
EMPTY = msgspec.structs.replace(EHR_SITE, bound=ServedCaps(), treated=frozenset(), session_of=no_session)
VISIT = "s(V770012)"


def knowing(site: ReaderSite, *identities: Identity) -> ReaderSite:
    """The site, where these have sessions under way."""

    def holders(kind: NumberKind, number: Number) -> list[Identity]:
        return [each for each in identities if (own := each.number(kind)) and own.is_same(number)]

    of = {each.subject: each for each in identities}
    return msgspec.structs.replace(site, identity_of=of.get, holders=holders)


def hl7(name: str, **changes: str) -> bytes:
    """The sample with fields changed: `RXA_20="PA"`; `OBX3_11="R"` is of the third OBX. Segments end in CR."""
    lines = (SAMPLES / f"{name}.hl7").read_text().splitlines()
    for place, value in changes.items():
        segment, field = place.split("_")
        name_of, nth = segment[:3], int(segment[3:] or 1)
        index = [number for number, line in enumerate(lines) if line.startswith(name_of)][nth - 1]
        fields = lines[index].split("|")
        at = int(field) - (1 if name_of == "MSH" else 0)
        fields += [""] * (at + 1 - len(fields))
        fields[at] = value
        lines[index] = "|".join(fields)
    return ("\r".join(lines) + "\r").encode()


def fhir(name: str, **changes: object) -> bytes:
    """The sample with elements replaced; None takes one away."""
    resource: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    resource |= changes
    return json.dumps({key: value for key, value in resource.items() if value is not None}).encode()


def read(payload: bytes, site: ReaderSite = EHR_SITE, known_at_us: int = NOW) -> Inbound:
    return read_message(payload, known_at_us, site)[0]


def format_of(payload: bytes) -> InboundFormat:
    return read_message(payload, NOW, EHR_SITE)[1]


def accepted(payload: bytes, site: ReaderSite = EHR_SITE) -> Accepted:
    answer = read(payload, site)
    assert isinstance(answer, Accepted), answer
    return answer


def facts_of(payload: bytes, site: ReaderSite = EHR_SITE) -> tuple[AnyFact, ...]:
    return accepted(payload, site).facts


def kinds(payload: bytes, site: ReaderSite = EHR_SITE) -> list[str]:
    return [type(fact).__name__ for fact in facts_of(payload, site)]


def refusal(payload: bytes, site: ReaderSite = EHR_SITE) -> str:
    """`rejected bad-time: why`."""
    answer = read(payload, site)
    assert isinstance(answer, Ignored | Rejected), answer
    return f"{type(answer).__name__.lower()} {answer.code}: {answer.text}"


def receipt(payload: bytes) -> Receipt:
    answer = read(payload)
    assert isinstance(answer, Receipt), answer
    return answer
