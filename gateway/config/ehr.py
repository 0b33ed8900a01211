"""Resolves the tables on the site's EHR.

[ehr] and [drugs] become EhrWords (how inbound messages are read), [charges] and [observations] an OutboundPlan (what is
sent, and how), [receipts] a ReceiptPlan (which messages the engine must acknowledge).
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from drivers.toml.document import Document, TomlProblems, load_toml_lines
from drivers.toml.lines import Path as KeyPath
from drivers.toml.nearest import did_you_mean
from gateway.config.lines import UnitSpec
from gateway.config.problems import Problems
from gateway.config.tables import (
    ChargesTable,
    DrugCodes,
    DrugsTable,
    EhrTable,
    GatewayTable,
    ObservationsTable,
    ReceiptForm,
    ReceiptsTable,
)
from gateway.config.vocabulary import load_vocabulary, shipped_vocabularies
from gateway.ledger.deliveries import ResendRules
from gateway.ledger.receipt_plan import MessageKind, ReceiptPlan
from gateway.messages.notation import Notation
from gateway.messages.outbound.site import ChargeSite, OutboundPlan
from gateway.messages.vocabulary import EhrWords, Vocabulary
from gateway.session.facts import AgentClass, CapRef


class _Code(NamedTuple):
    """A drug's code, and where it stands."""

    agent: AgentClass
    code: str
    document: Document
    path: KeyPath


def resolve_words(
    problems: Problems, ehr: EhrTable, drugs: DrugsTable, charges: ChargesTable, units: Collection[str] | None
) -> EhrWords:
    """The mapping of the EHR's words, codes and identifiers. Contradictions and unknown units are errors.

    `units` None: an error leaves open which there are.
    """
    for name, unit in ehr.units.items():
        if units is not None and unit not in units:
            accepted = f"{', '.join(sorted(units)) or 'none'}{did_you_mean(unit, units)}"
            problems.error(("ehr", "units", name), f"no such unit, accepted: {accepted}")
    table: dict[str, AgentClass] = {}
    for agent, code, document, path in (
        *_codes(drugs, problems.document, ("drugs",)),
        *_of_file(problems, drugs.file),
    ):
        if table.setdefault(code.lower(), agent) is not agent:
            message = f"{code} stands in {table[code.lower()]} as well, accepted: one class for each code"
            problems.add(document.problem(path, message))
    return EhrWords(
        drugs=table,
        units={name.lower(): unit for name, unit in ehr.units.items()},
        visit_from=ehr.visit_from,
        mrn_types=ehr.mrn_types,
        kept=frozenset(charges.patient),
        details=frozenset(charges.details),
        location=charges.location.lower(),
        mar=_vocabulary(problems, ehr.vocabulary).with_words(ehr.mar_words),
    )


def _vocabulary(problems: Problems, name: str) -> Vocabulary:
    """The vocabulary `name`: a shipped one, or a .toml file relative to gateway.toml."""
    where, shipped = ("ehr", "vocabulary"), shipped_vocabularies()
    path = shipped.get(name)
    if path is None and not name.endswith(".toml"):
        meant = did_you_mean(name, shipped)
        problems.error(where, f"no such vocabulary, accepted: {', '.join(shipped)}, the path of a .toml file{meant}")
        return Vocabulary()
    path = path or problems.file(where, name)
    if path is None:
        return Vocabulary()
    try:
        return load_vocabulary(path)
    except TomlProblems as invalid:
        for problem in invalid.problems:
            problems.add(problem)
        return Vocabulary()


def _codes(drugs: DrugCodes, document: Document, table: KeyPath) -> Iterator[_Code]:
    """The codes of `drugs`, which stands at `table` of the document."""
    for agent in AgentClass:
        codes: tuple[str, ...] = getattr(drugs, agent.value)
        for index, code in enumerate(codes):
            yield _Code(agent, code.strip(), document, (*table, agent.value, index))


def _of_file(problems: Problems, name: str | None) -> Iterator[_Code]:
    path = problems.file(("drugs", "file"), name) if name is not None else None
    if path is None:
        return
    try:
        loaded = load_toml_lines(path, DrugCodes)
        yield from _codes(loaded.model, loaded.document, ())
    except TomlProblems as invalid:
        for problem in invalid.problems:
            problems.add(problem)


def resolve_outbound(
    problems: Problems,
    charges: ChargesTable,
    observations: ObservationsTable,
    gateway: GatewayTable,
    units: Iterable[UnitSpec],
    time_zone: ZoneInfo | None,
) -> OutboundPlan:
    """The plan of outbound messages. Contradictions are errors."""
    if not charges.offset and gateway.time_zone is None:
        message = "times without an offset need a zone, accepted: true, or false together with gateway.time_zone"
        problems.error(("charges", "offset"), message)
    site = msgspec.structs.replace(
        msgspec.convert(charges, ChargeSite, from_attributes=True),  # copies the fields of the same name
        formats=tuple(dict.fromkeys(charges.formats)),
        zone=time_zone or UTC,
        kept=frozenset(charges.patient),
        chairs={CapRef(unit.id, cap): chair for unit in units for cap, chair in unit.chairs.items()},
        mode=gateway.mode,
    )
    return OutboundPlan(site, tuple(dict.fromkeys(observations.formats)), observations.period_s)


def resolve_receipts(problems: Problems, table: ReceiptsTable, sent: Sequence[Notation]) -> ReceiptPlan:
    """The plan of expected receipts, where charges are sent in the notations `sent`. Contradictions are errors."""
    if table.longest_resend_s < table.first_resend_s:
        problems.error(("receipts", "longest_resend_s"), "shorter than first_resend_s, accepted: at least as long")
    if MessageKind.INCREMENT in table.of and table.expected is ReceiptForm.HL7:
        problems.error(("receipts", "of"), 'increments are sent as JSON alone, accepted with expected = "hl7": charge')
    expected = None if table.expected is ReceiptForm.NONE else Notation(table.expected)
    form = _acknowledged(expected, sent)
    if form is None:
        wanted = "hl7" if expected is Notation.HL7 else "json or fhir"
        problems.error(("receipts", "expected"), f"charges.formats has no {wanted}, accepted: a form that is sent")
    rules = ResendRules(table.first_resend_s, table.longest_resend_s)
    return ReceiptPlan(expected, frozenset(table.of), form or Notation.JSON, rules)


def _acknowledged(expected: Notation | None, sent: Sequence[Notation]) -> Notation | None:
    """The notation of a charge that receipts refer to: an HL7 ACK to HL7, a JSON receipt to JSON or FHIR."""
    match expected:
        case Notation.HL7:
            accepted = [Notation.HL7]
        case Notation.JSON:
            accepted = [Notation.JSON, Notation.FHIR]
        case _:
            accepted = [Notation.JSON, Notation.HL7, Notation.FHIR]
    return next((form for form in accepted if form in sent), None)
