"""Dry run of an inbound message, without gateway and ledger: which values are read from where, and which facts result.

A running gateway knows which visits are bound to its caps; a dry run does not. A message that is ignored or rejected
for that reason is read again with the visit or chair that it names assumed to be bound, and the explanation says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import msgspec

from gateway.config.load import GatewayConfig
from gateway.config.plant import plant_of
from gateway.config.vocabulary import shipped_vocabulary
from gateway.messages.details import Detail
from gateway.messages.inbound.answers import (
    Accepted,
    FieldRead,
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
from gateway.messages.inbound.json_details import DETAIL_OF
from gateway.messages.inbound.json_models import known_names
from gateway.messages.instants import rfc3339
from gateway.messages.notation import Mode
from gateway.messages.vocabulary import EhrWords
from gateway.session.facts import AnyFact, CapRef

# Codes that depend on which visits are bound to the gateway's caps.
_UNSURE = frozenset({"not-ours", "no-visit", "nothing-given"})


class Explanation(msgspec.Struct, frozen=True):
    """How one message would be read."""

    format: InboundFormat
    result: str  # accepted, ignored, rejected, receipt
    id: str
    code: str
    text: str  # the reason, or a note for the sender
    taken: tuple[FieldRead, ...]
    unwanted: tuple[FieldRead, ...]  # details that the site does not want its charges to say: read, and not kept
    facts: tuple[dict[str, object], ...]
    touches: tuple[str, ...]  # the caps, visits and outbound messages that it concerns
    assumed: tuple[str, ...]


class Explanations(msgspec.Struct, frozen=True):
    """How each message of one payload would be read, in order."""

    messages: tuple[Explanation, ...]


class _EveryChair(Mapping[str, CapRef]):
    """Used without a configuration: maps any chair to a cap of its name."""

    def __getitem__(self, chair: str) -> CapRef:
        if not chair:
            raise KeyError(chair)
        return CapRef(chair, 1)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def explain(payload: bytes, config: GatewayConfig | None, now_us: int) -> Explanation:
    """Explain `payload` as if it arrived now; without `config` every chair and unit is taken for the gateway's own."""
    site = _site(config)
    taken: list[FieldRead] = []
    answer, message_format = read_message(payload, now_us, site, taken)
    if message_format is InboundFormat.JSON:
        taken = list(_of_json(payload))
    assumed: tuple[str, ...] = (
        () if config else ("no configuration: every chair and unit is taken for the gateway's own",)
    )
    if isinstance(answer, Ignored | Rejected) and answer.code in _UNSURE:
        served, assumption = _served(site, taken, answer.code, is_open=config is None)
        second, _ = read_message(payload, now_us, served, taken)  # adds what the first reading did not reach
        if isinstance(second, Accepted):
            answer, assumed = second, (*assumed, assumption)
    return _explained(answer, message_format, _sorted(taken, site.words.details), assumed)


class _Read(msgspec.Struct, frozen=True):
    """The fields that were read, by whether the site wants what they say."""

    taken: tuple[FieldRead, ...]
    unwanted: tuple[FieldRead, ...]


def _sorted(fields: Iterable[FieldRead], wanted: frozenset[Detail]) -> _Read:
    known = tuple(dict.fromkeys(fields))
    unwanted = tuple(each for each in known if each.detail is not None and each.detail not in wanted)
    return _Read(tuple(each for each in known if each not in unwanted), unwanted)


def _site(config: GatewayConfig | None) -> ReaderSite:
    if config is None:
        words = EhrWords(mar=shipped_vocabulary(), details=frozenset(Detail))
        return ReaderSite(_EveryChair(), frozenset(), ServedCaps(), (), no_session, _visit, words=words)
    plant, live = plant_of(config.units), config.mode is Mode.LIVE
    return ReaderSite(
        plant.chairs,
        plant.caps,
        ServedCaps(),
        (),
        no_session,
        _visit,
        config.time_zone,
        config.words,
        live=live,
    )


def _visit(visit: str) -> str:
    return f"visit {visit}"


def _knows_all(subject: str, order: str) -> bool:
    return True


def _served(site: ReaderSite, taken: list[FieldRead], code: str, *, is_open: bool) -> tuple[ReaderSite, str]:
    """`site` with the visit or chair of the message bound to a cap, and this assumption as text.

    A chair or unit of another gateway is not assumed to be this gateway's.
    """
    named = {each.what: each.value for each in taken}
    whose = _visit(named["visit"]) if "visit" in named else "the patient whom the chair's cap serves"
    chair = site.chairs.get(named.get("chair", "").lower())
    words = [named[what].lower() for what in ("unit", "device") if what in named]
    units = {site.words.units.get(word, word) for word in words}
    caps = site.caps | frozenset(CapRef(unit, 1) for unit in units if is_open)
    is_here = chair is not None or any(cap.device in units for cap in caps) or code == "nothing-given"
    served = msgspec.structs.replace(
        site,
        caps=caps,
        bound=ServedCaps({chair: whose} if chair is not None else {}),
        treated=(whose,) if is_here else (),
        knows_order=_knows_all,
    )
    return served, f"a cap of this gateway serves {whose}, and orders are known"


def _explained(answer: Inbound, message_format: InboundFormat, fields: _Read, assumed: tuple[str, ...]) -> Explanation:
    taken, unwanted = fields.taken, fields.unwanted
    match answer:
        case Receipt():
            text = f"{answer.for_id}: {answer.result} {answer.code} {answer.text}".rstrip()
            return Explanation(
                message_format, "receipt", answer.message_id, "", text, taken, unwanted, (), (answer.for_id,), assumed
            )
        case Accepted():
            facts = tuple(map(_described, answer.facts))
            touches = tuple(dict.fromkeys([*_touched(answer.facts), *(each.subject for each in answer.identities)]))
            return Explanation(
                message_format, "accepted", answer.message_id, "", answer.note, taken, unwanted, facts, touches, assumed
            )
        case Ignored() | Rejected():
            result = type(answer).__name__.lower()
            return Explanation(
                message_format, result, answer.message_id, answer.code, answer.text, taken, unwanted, (), (), assumed
            )


def _described(fact: AnyFact) -> dict[str, object]:
    """The fact's fields, with instants as RFC 3339 text."""
    fields = cast(dict[str, object], msgspec.to_builtins(fact))
    del fields["known_at_us"]
    return {
        name.removesuffix("_us"): rfc3339(value) if name.endswith("_us") and isinstance(value, int) else value
        for name, value in fields.items()
    }


def _touched(facts: tuple[AnyFact, ...]) -> Iterator[str]:
    for fact in facts:
        if fact.at_cap is not None:
            yield f"cap {fact.at_cap.name}"
        yield from (name for kind, name in fact.concerns if kind == "patient")


def _of_json(payload: bytes) -> Iterator[FieldRead]:
    """Every value in a JSON event whose field name a reader knows, with its path."""
    try:
        decoded: object = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if isinstance(decoded, dict):
        yield from _leaves(cast(Mapping[str, object], decoded), "")


def _leaves(fields: Mapping[str, object], prefix: str) -> Iterator[FieldRead]:
    for name, value in fields.items():
        where = f"{prefix}{name}"
        if isinstance(value, dict):
            inner = cast(Mapping[str, object], value)
            if isinstance(inner.get("value"), str):
                yield FieldRead(f"{where}.value", name, str(inner["value"]))
            elif where in ("data", "data.patient"):
                yield from _leaves(inner, f"{where}.")
            elif where == "data.details":
                yield from _details(inner)
        elif name in known_names() and isinstance(value, str | int | float | bool):
            yield FieldRead(where, name, str(value))


def _details(fields: Mapping[str, object]) -> Iterator[FieldRead]:
    """What a JSON event states for charges: each person by the number, each diagnosis by the code."""
    for name, detail in DETAIL_OF.items():
        value = fields.get(name)
        for each in cast(list[object], value) if isinstance(value, list) else [value]:
            match each:
                case {"number": str(text)} | {"code": str(text)} | str(text):
                    yield FieldRead(f"data.details.{name}", name, text, detail=detail)
                case _:
                    pass
