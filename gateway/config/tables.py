"""The schema of gateway.toml, as pydantic models. Reference: docs/reference/configuration.md.

A field's description is what an error names as accepted; units are in the names.
"""

import re
from datetime import date
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Literal, cast
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from drivers.dialects.base import Numbers
from drivers.habits import Connection
from gateway.config.roles import Role
from gateway.config.vocabulary import DEFAULT_VOCABULARY
from gateway.ledger.receipt_plan import MessageKind, ReceiptPlan
from gateway.messages.details import Detail
from gateway.messages.notation import Mode, Notation
from gateway.messages.outbound.site import CreditForm, FhirRelease, OutboundPlan, ServiceTime
from gateway.messages.vocabulary import DEFAULT_MRN_TYPES, DEFAULT_VISIT_FROM, MarAct, PatientField
from gateway.mqtt.types import KEEPALIVE_S, PORTS
from gateway.runtime.addresses import is_loopback
from gateway.session.wording import Language

MAX_CLIENT_ID = 23  # what every broker must take (MQTT 5, 3.1.3.1)
MAX_POLL_PERIOD_S = 30  # half of the time after which polling counts as stalled
RFC2217_OPTION = "ign_set_control"
LINE_SCHEMES = ("socket", "rfc2217")
_SEGMENT = re.compile(r"[a-z0-9-]{1,32}")
_CLIENT_ID = re.compile(r"[A-Za-z0-9-]+")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_OUTBOUND, _RECEIPTS = OutboundPlan(), ReceiptPlan()  # the defaults of [charges], [observations] and [receipts]


def _segment(text: str) -> str:
    """Validate a topic segment: no wildcards, no separators."""
    if not _SEGMENT.fullmatch(text):
        raise ValueError("not a name, accepted: 1 to 32 of a-z, 0-9 and -")
    return text


def _client_id(text: str) -> str:
    if not _CLIENT_ID.fullmatch(text) or len(text) > MAX_CLIENT_ID:
        raise ValueError(f"not a client id, accepted: 1 to {MAX_CLIENT_ID} of A-Z, a-z, 0-9 and -")
    return text


def _split(url: str, accepted: str) -> SplitResult:
    """The URL's parts. Raises ValueError, which never repeats a password, for parts that are not accepted."""
    wrong = ValueError(f"not a URL that can be used, accepted: {accepted}")
    if _UNPRINTABLE.search(url):
        raise wrong
    try:
        parts = urlsplit(url)
        has_port_error = parts.port == 0
    except ValueError:
        raise wrong from None
    if "@" in parts.netloc:
        raise ValueError(f"a user name or password stands in the URL, accepted: {accepted}")
    if has_port_error or not parts.hostname or parts.fragment:
        raise wrong
    return parts


def _mqtt_url(url: str) -> str:
    accepted = "mqtts://host or mqtts://host:port; user and password have keys of their own"
    parts = _split(url, accepted)
    if parts.scheme not in PORTS or parts.path not in ("", "/") or parts.query:
        raise ValueError(f"not a URL that can be used, accepted: {accepted}")
    return url


def _line_url(url: str) -> str:
    accepted = "/dev/serial/by-path/..., socket://host:port or rfc2217://host:port"
    if url.startswith("/") and not _UNPRINTABLE.search(url):
        return url
    parts = _split(url, accepted)
    if parts.scheme not in LINE_SCHEMES or parts.port is None or parts.path not in ("", "/"):
        raise ValueError(f"not a line, accepted: {accepted}")
    if parts.query and (parts.scheme, parts.query) != ("rfc2217", RFC2217_OPTION):
        raise ValueError(f"unknown option in the URL, accepted: none, or ?{RFC2217_OPTION} with rfc2217://")
    return url


def listen_address(text: str) -> tuple[str, int]:
    """Host and port of an address such as `127.0.0.1:9464`. Raises ValueError; names are not resolved."""
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    try:
        ip_address(host)
    except ValueError:
        port = ""
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("not an address, accepted: 127.0.0.1:port, [::1]:port or another address of this machine")
    return host, int(port)


def _listen(text: str) -> str:
    listen_address(text)
    return text


def _calibration_date(value: date) -> date:
    if value.year < 2000:
        raise ValueError("not a calibration date, accepted: a date since 2000-01-01, like 2026-03-04")
    return value


def _file_name(text: str) -> str:
    if text.startswith(("~", "$")):
        raise ValueError("~ and $ stand for nothing here, accepted: a path from / on, or relative to this file")
    return text


Segment = Annotated[StrictStr, AfterValidator(_segment)]
FileName = Annotated[
    StrictStr,
    Field(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(_file_name),
]
EhrName = Annotated[StrictStr, Field(min_length=1, max_length=64)]
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Hl7Name = Annotated[StrictStr, Field(max_length=20, pattern=_PRINTABLE)]  # what HL7 2.5.1 has room for
Hl7Number = Annotated[StrictStr, Field(max_length=15, pattern=_PRINTABLE)]  # of a person
Modifier = Annotated[StrictStr, Field(pattern=r"^[A-Z0-9]{2}$")]
SystemUri = Annotated[StrictStr, Field(max_length=200, pattern=r"^((urn:|https?://)[A-Za-z0-9._~:/-]+)?$")]
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Overrides = dict[str, Scalar]


def _visit_field(text: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9]{2}-[1-9][0-9]?", text):
        raise ValueError("not a field of HL7 v2, accepted: as in PV1-19, PV1-50 or PID-18")
    return text


VisitField = Annotated[StrictStr, AfterValidator(_visit_field)]


class Table(BaseModel):
    """Base of the file's tables: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GatewayTable(Table):
    """[gateway]: the gateway's identity, mode, directories and time zone."""

    site: Segment
    id: Segment
    mode: Mode
    state_dir: FileName
    profiles: tuple[FileName, ...] = ()
    time_zone: Annotated[StrictStr, Field(min_length=1, max_length=64)] | None = None


class MqttTable(Table):
    """[mqtt]: the connection to the site's broker."""

    url: Annotated[StrictStr, AfterValidator(_mqtt_url)]
    insecure: StrictBool = False
    client_id: Annotated[StrictStr, AfterValidator(_client_id)] | None = None
    username: Annotated[StrictStr, Field(min_length=1, max_length=255)] | None = None
    password_file: FileName | None = None
    ca_file: FileName | None = None
    cert_file: FileName | None = None
    key_file: FileName | None = None
    keepalive_s: Annotated[StrictInt, Field(ge=5, le=300)] = KEEPALIVE_S


_POLICIES = "a policy's name, a .toml file, or a list of them"


def _listed(value: object) -> object:
    match value:
        case str():
            return [value]
        case list():
            return cast("list[object]", value)
        case _:
            raise ValueError(f"wrong type, accepted: {_POLICIES}")


class TrackingTable(Table):
    """[tracking]: policies and debounce."""

    policy: Annotated[
        tuple[FileName, ...],
        Field(min_length=1, description=_POLICIES),
        BeforeValidator(_listed),
    ] = ("default",)
    confirm_polls: Annotated[StrictInt, Field(ge=2, le=10)] = 2


class TimeService(StrEnum):
    """Whether the kernel must say that a time service keeps the clock."""

    REQUIRED = "required"  # nothing is counted after a boot before it has said so
    EXPECTED = "expected"  # it is waited for, but not for ever
    INVISIBLE = "invisible"  # it cannot: its word is not asked for


class HealthTable(Table):
    """[health]: the address of /healthz and /metrics."""

    listen: Annotated[StrictStr, AfterValidator(_listen)] = "127.0.0.1:9464"


def _listen_or_none(text: str) -> str:
    return text and _listen(text)


def _host_name(text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise ValueError("not a host's name, accepted: as in gw-01.north.example")
    return text.lower()


_PRICE = r"[0-9]{1,7}(\.[0-9]{1,3})? [A-Z]{3}"


def _price(text: str) -> str:
    if not re.fullmatch(_PRICE, text, re.ASCII):
        raise ValueError('not a price, accepted: an amount and a currency of ISO 4217, as in "155.00 USD"')
    return text


def _issuer(text: str) -> str:
    accepted = "https://host/path as the provider names itself, or http:// on this machine"
    parts = _split(text, accepted)
    if parts.query or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
        raise ValueError(f"not an issuer, accepted: {accepted}")
    return text


Claim = Annotated[StrictStr, Field(pattern=r"^[\x21-\x7e]{1,200}$")]


class RolesTable(Table):
    """What [web.oidc] and [web.proxy] have in common: which groups or roles are which of the page's."""

    roles: dict[Annotated[StrictStr, Field(min_length=1, max_length=256)], Role] = {}
    otherwise: Literal["viewer"] | None = None


class OidcTable(RolesTable):
    """[web.oidc]: signing in at the hospital's OpenID provider."""

    issuer: Annotated[StrictStr, AfterValidator(_issuer)]
    client_id: Claim
    client_secret_file: FileName
    scopes: tuple[Claim, ...] = ("openid", "profile")
    login_claim: Claim = "preferred_username"
    name_claim: Claim = "name"
    roles_claim: Claim = "groups"
    max_age_s: Annotated[StrictInt, Field(ge=0, le=86_400)] | None = None
    lasts_s: Annotated[StrictInt, Field(ge=300, le=43_200)] = 3600
    leeway_s: Annotated[StrictInt, Field(ge=0, le=300)] = 60


def _origin(text: str) -> str:
    accepted = "https://host or https://host:port as browsers ask for the page, or http:// on this machine"
    parts = _split(text, accepted)
    in_clear = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if parts.path or parts.query or not (parts.scheme == "https" or in_clear):
        raise ValueError(f"not an origin, accepted: {accepted}")
    return text.lower()


def _header(text: str) -> str:
    if text.lower() in _HEADERS_OF_HTTP or not re.fullmatch(r"[A-Za-z0-9-]{1,64}", text):
        raise ValueError("not a header for this, accepted: one of the proxy's own, 1 to 64 of A-Z, a-z, 0-9 and -")
    return text


_HEADERS_OF_HTTP = ("accept-language", "authorization", "connection", "content-length", "cookie", "host", "origin")
Header = Annotated[StrictStr, AfterValidator(_header)]


class ProxyTable(RolesTable):
    """[web.proxy]: a reverse proxy that says who is signed in."""

    addresses: Annotated[tuple[StrictStr, ...], Field(min_length=1)]
    origin: Annotated[StrictStr, AfterValidator(_origin)]
    login_header: Header
    name_header: Header | Literal[""] = ""
    groups_header: Header | Literal[""] = ""
    separator: Annotated[StrictStr, Field(pattern=r"^[,;|]$")] = ","
    sign_out: Annotated[StrictStr, Field(pattern=r"^(https://|/)[\x21-\x7e]{0,500}$")]


class WebTable(Table):
    """[web]: the suite's page."""

    listen: Annotated[StrictStr, AfterValidator(_listen_or_none)] = "127.0.0.1:9480"
    names: tuple[Annotated[StrictStr, AfterValidator(_host_name)], ...] = ()
    cert_file: FileName | None = None
    key_file: FileName | None = None
    screens: tuple[StrictStr, ...] = ("127.0.0.1", "::1")
    language: Language = Language.ENGLISH
    unit_price: Annotated[StrictStr, AfterValidator(_price)] | None = None
    oidc: OidcTable | None = None
    proxy: ProxyTable | None = None


class ClockTable(Table):
    """[clock]: what must vouch for the machine's wall clock."""

    time_service: TimeService = TimeService.EXPECTED


class HistoryTable(Table):
    """[history]: the local log of temperatures."""

    period_s: Annotated[StrictInt, Field(ge=5, le=3600)] = 60
    keep_days: Annotated[StrictInt, Field(ge=0, le=3650)] = 30


Days = Annotated[StrictInt, Field(ge=1, le=36_500)]


class RetentionTable(Table):
    """[retention]: after how many days what is settled is purged."""

    identifiers_days: Days | None = None
    messages_days: Days | None = None
    copies_days: Days | None = None


class LedgerTable(Table):
    """[ledger]: the key that encrypts what the ledger has of patients."""

    key_file: FileName | None = None


class ReceiptForm(StrEnum):
    """The notation of the charges that the engine acknowledges with receipts."""

    NONE = "none"  # it sends no receipts: delivery stays unproven
    JSON = "json"
    HL7 = "hl7"


class ReceiptsTable(Table):
    """[receipts]: which messages the interface engine acknowledges, and when they are sent again."""

    expected: ReceiptForm = ReceiptForm.NONE
    of: tuple[MessageKind, ...] = tuple(_RECEIPTS.of)
    first_resend_s: Annotated[StrictFloat, Field(ge=1, le=3600)] = _RECEIPTS.resends.first_s
    longest_resend_s: Annotated[StrictFloat, Field(ge=1, le=86_400)] = _RECEIPTS.resends.longest_s


class ChargesTable(Table):
    """[charges]: notations and fixed contents of charges."""

    patient: tuple[PatientField, ...] = tuple(field for field in PatientField if field in _OUTBOUND.site.kept)
    formats: Annotated[tuple[Notation, ...], Field(min_length=1)] = _OUTBOUND.site.formats
    sending_application: Annotated[Hl7Name, Field(min_length=1)] = _OUTBOUND.site.sending_application
    sending_facility: Hl7Name = _OUTBOUND.site.sending_facility
    receiving_application: Hl7Name = _OUTBOUND.site.receiving_application
    receiving_facility: Hl7Name = _OUTBOUND.site.receiving_facility
    assigning_authority: Hl7Name = _OUTBOUND.site.assigning_authority
    department: Hl7Name = _OUTBOUND.site.department
    location: Hl7Name = _OUTBOUND.site.location
    performer: Hl7Number = _OUTBOUND.site.performer
    orderer: Hl7Number = _OUTBOUND.site.orderer
    details: tuple[Detail, ...] = ()
    modifiers: Annotated[tuple[Modifier, ...], Field(max_length=4)] = _OUTBOUND.site.modifiers
    filler_order_number: StrictBool = _OUTBOUND.site.filler_order_number
    charge_code: Hl7Name = _OUTBOUND.site.charge_code
    description: Annotated[StrictStr, Field(max_length=120, pattern=_PRINTABLE)] = _OUTBOUND.site.description
    credit_as: CreditForm = _OUTBOUND.site.credit_as
    ft1_4: ServiceTime = _OUTBOUND.site.ft1_4
    offset: StrictBool = _OUTBOUND.site.offset
    fhir_release: FhirRelease = _OUTBOUND.site.fhir_release
    mrn_system: SystemUri = _OUTBOUND.site.mrn_system
    visit_system: SystemUri = _OUTBOUND.site.visit_system
    account_system: SystemUri = _OUTBOUND.site.account_system
    cost_center: Hl7Name = _OUTBOUND.site.cost_center
    performing_organization: Hl7Name = _OUTBOUND.site.performing_organization
    organization_system: SystemUri = _OUTBOUND.site.organization_system
    staff_system: SystemUri = _OUTBOUND.site.staff_system


class ObservationsTable(Table):
    """[observations]: temperatures for the patient's chart."""

    formats: tuple[Literal[Notation.HL7, Notation.FHIR], ...] = ()
    period_s: Annotated[StrictInt, Field(ge=10, le=3600)] = _OUTBOUND.period_s


class EhrTable(Table):
    """[ehr]: how the EHR's names, identifiers and status words are read."""

    units: dict[EhrName, Segment] = {}
    vocabulary: FileName = DEFAULT_VOCABULARY
    visit_from: Annotated[tuple[VisitField, ...], Field(min_length=1)] = DEFAULT_VISIT_FROM
    mrn_types: tuple[EhrName, ...] = DEFAULT_MRN_TYPES
    mar_words: dict[EhrName, MarAct] = {}
    unseen_days: Annotated[StrictInt, Field(ge=1, le=400)] = 35
    unseen_most: Annotated[StrictInt, Field(ge=1000, le=2_000_000)] = 200_000


class DrugCodes(Table):
    """The site's drug codes by agent class; also the schema of the file that [drugs] may name."""

    chemo: tuple[EhrName, ...] = ()
    biologic_under_chemo_admin: tuple[EhrName, ...] = ()
    hydration: tuple[EhrName, ...] = ()
    flush: tuple[EhrName, ...] = ()
    ambulatory_pump: tuple[EhrName, ...] = ()


class DrugsTable(DrugCodes):
    """[drugs]: drug codes by agent class, here or in `file`."""

    file: FileName | None = None


class OffsetTable(Table):
    """[[line.unit.offset]]: the calibration of one sensor."""

    point: StrictStr
    offset_c: Annotated[StrictFloat, Field(ge=-5, le=5)]
    calibrated_on: Annotated[date, Strict(), AfterValidator(_calibration_date)]


class CapTable(Table):
    """[[line.unit.cap]]: the chair of a cap."""

    cap: Annotated[StrictInt, Field(ge=1, le=8)]
    chair: Segment


class UnitTable(Table):
    """[[line.unit]]: a unit on a line."""

    id: Segment
    profile: StrictStr
    unit_id: Annotated[StrictInt, Field(ge=0, le=255)] | None = None
    poll_period_s: Annotated[StrictFloat, Field(ge=0.1, le=MAX_POLL_PERIOD_S)] = 5.0
    simulated: StrictBool = False
    consent_to_reads: StrictBool = False
    set: Overrides = {}
    offset: tuple[OffsetTable, ...] = ()
    cap: tuple[CapTable, ...] = ()


class LineTable(Table):
    """[[line]]: a serial port or a connection, and the units on it."""

    id: Segment
    url: Annotated[StrictStr, AfterValidator(_line_url)]
    transactions: Numbers = Numbers.ECHOED
    unit_ids: Numbers = Numbers.ECHOED
    connection: Connection = Connection.KEPT
    set: Overrides = {}
    unit: tuple[UnitTable, ...]


class ConfigFile(Table):
    """All tables of gateway.toml."""

    gateway: GatewayTable
    mqtt: MqttTable
    tracking: TrackingTable = TrackingTable()
    health: HealthTable = HealthTable()
    web: WebTable = WebTable()
    clock: ClockTable = ClockTable()
    history: HistoryTable = HistoryTable()
    ledger: LedgerTable = LedgerTable()
    retention: RetentionTable = RetentionTable()
    receipts: ReceiptsTable = ReceiptsTable()
    charges: ChargesTable = ChargesTable()
    observations: ObservationsTable = ObservationsTable()
    ehr: EhrTable = EhrTable()
    drugs: DrugsTable = DrugsTable()
    line: tuple[LineTable, ...]
