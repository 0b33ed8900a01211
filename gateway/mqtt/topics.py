"""Every topic of the gateway: one row each in CHANNELS, and Topics, which fills in the names. Pure.

Topics never contain patient data. Publishers take QoS, retain, expiry and content type from these rows, and the
AsyncAPI description is made from them; a test compares them with the table of topics in docs/reference/messages.md.
"""

import re
from collections.abc import Collection, Iterable, Mapping

import msgspec

from gateway.ledger.checkpoint import CHECKPOINT as SIGNED_HEAD
from gateway.messages.cloudevents import CONTENT_TYPE, EventType
from gateway.messages.destination import Destination
from gateway.messages.notation import FHIR_TYPE, HL7_TYPE, Mode, Notation
from gateway.messages.outbound import device, ehr

SEGMENT = re.compile(r"[a-z0-9-]{1,32}")
LATEST_VALUE_TYPE = "application/cloudevents+json"  # for the most frequent messages; JSON is UTF-8 in any case
_OBSERVATION_EXPIRY_S = 3600


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One topic and its messages."""

    name: str  # in the AsyncAPI description
    address: str  # below `{product}/v1/{site}/`, with the names that vary in braces
    summary: str
    kinds: tuple[EventType, ...] = ()  # JSON events of the gateway
    bare: Mapping[str, str] = {}  # message name -> description, of messages that are no JSON events
    content_type: str = CONTENT_TYPE
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None  # None: the broker keeps it without limit
    receives: bool = False  # the gateway subscribes; otherwise it publishes
    overheard: bool = False  # it also subscribes to what other gateways of the site publish, at QoS 0
    reply: str = ""  # name of the channel of the receipts


STATUS = Channel(
    name="gatewayStatus",
    address="dev/{gateway}/status",
    summary="Birth, will and farewell",
    kinds=(device.GATEWAY_STATUS,),
    retain=True,
)
CHECKPOINT = Channel(
    name="checkpoint",
    address="dev/{gateway}/checkpoint",
    summary="Signed heads of the ledger's chain",
    kinds=(SIGNED_HEAD,),
    retain=True,
)
UNIT_STATUS = Channel(
    name="unitStatus",
    address="dev/{gateway}/unit/{unit}/status",
    summary="Link, alarms, and the run state of every cap",
    kinds=(device.UNIT_STATUS,),
    content_type=LATEST_VALUE_TYPE,
    retain=True,
    overheard=True,
)
TEMPERATURE = Channel(
    name="temperature",
    address="dev/{gateway}/unit/{unit}/cap/{cap}/temperature",
    summary="One reading of a cap",
    kinds=(device.TEMPERATURE,),
    content_type=LATEST_VALUE_TYPE,
    qos=0,
    expiry_s=120,
)
CAP_EVENT = Channel(
    name="capEvent",
    address="dev/{gateway}/unit/{unit}/cap/{cap}/event",
    summary="Changes of run state and phase",
    kinds=(device.RUN_STATE_CHANGED, device.PHASE_CHANGED),
)
SESSION_HEAD = Channel(
    name="sessionHead",
    address="dev/{gateway}/session/{token}",
    summary="What a session has sent so far, without a patient",
    kinds=(device.SESSION_HEAD,),
    retain=True,
)
INCREMENT = Channel(
    name="increment",
    address="ehr/{gateway}/increment/json",
    summary="97009 increments: emit, amend, retract",
    kinds=(ehr.INCREMENT,),
)
SESSION = Channel(
    name="session",
    address="ehr/{gateway}/session/json",
    summary="Sessions opened, flagged, closed, finalised",
    kinds=tuple(ehr.SESSION_KINDS.values()),
)
CHARGE = {
    Notation.JSON: Channel(
        name="chargeJson",
        address="ehr/{gateway}/charge/json",
        summary="Released charges and credits",
        kinds=(ehr.CHARGE,),
        reply="inJson",
    ),
    Notation.HL7: Channel(
        name="chargeHl7",
        address="ehr/{gateway}/charge/hl7",
        summary="The same as DFT^P03",
        bare={"dftP03": "DFT^P03, ER7, CR between segments, no MLLP framing"},
        content_type=HL7_TYPE,
        reply="inHl7",
    ),
    Notation.FHIR: Channel(
        name="chargeFhir",
        address="ehr/{gateway}/charge/fhir",
        summary="The same as a FHIR transaction Bundle",
        bare={"chargeBundle": "Bundle"},
        content_type=FHIR_TYPE,
        reply="inJson",
    ),
}

OBSERVATION = {  # charted as HL7 or FHIR alone
    Notation.HL7: Channel(
        name="observationHl7",
        address="ehr/{gateway}/observation/hl7",
        summary="Temperatures for charting",
        bare={"oruR01": "ORU^R01 (IHE PCD-01), ER7"},
        content_type=HL7_TYPE,
        qos=0,
        expiry_s=_OBSERVATION_EXPIRY_S,
    ),
    Notation.FHIR: Channel(
        name="observationFhir",
        address="ehr/{gateway}/observation/fhir",
        summary="Temperatures for charting",
        bare={"observationBundle": "Bundle of Observations"},
        content_type=FHIR_TYPE,
        qos=0,
        expiry_s=_OBSERVATION_EXPIRY_S,
    ),
}
RESULT = Channel(
    name="result",
    address="ehr/{gateway}/result/json",
    summary="What became of each inbound message",
    kinds=(ehr.INBOUND_RESULT,),
)
INBOUND = {
    Notation.JSON: Channel(name="inJson", address="ehr/in/json", summary="What an engine says as JSON", receives=True),
    Notation.HL7: Channel(
        name="inHl7",
        address="ehr/in/hl7",
        summary="What an engine says as HL7 v2",
        bare={"er7": "RAS^O17, ORU^R42, ORU^R01, ADT, ACK"},
        content_type=HL7_TYPE,
        receives=True,
    ),
    Notation.FHIR: Channel(
        name="inFhir",
        address="ehr/in/fhir",
        summary="What an engine says as FHIR",
        bare={"medicationAdministration": "MedicationAdministration, R4 or R5"},
        content_type=FHIR_TYPE,
        receives=True,
    ),
}
ALARM = Channel(
    name="alarm",
    address="dev/{gateway}/alarm/{code}",
    summary="Alarms raised and cleared",
    kinds=(device.ALARM,),
    content_type=LATEST_VALUE_TYPE,
    retain=True,
)

CHANNELS = (
    STATUS,
    CHECKPOINT,
    UNIT_STATUS,
    TEMPERATURE,
    CAP_EVENT,
    SESSION_HEAD,
    INCREMENT,
    SESSION,
    *CHARGE.values(),
    *OBSERVATION.values(),
    RESULT,
    *INBOUND.values(),
    ALARM,
)


class BadSegment(ValueError):
    """A name that is not allowed in a topic."""


def segment(name: str) -> str:
    """`name`, if it may be one level of a topic: 1 to 32 of a-z, 0-9 and "-". Raises BadSegment."""
    if SEGMENT.fullmatch(name) is None:
        raise BadSegment(f"{name!r} is no topic segment: 1 to 32 lower-case letters, digits and hyphens")
    return name


def filter_of(channel: Channel, root: str) -> str:
    """The topic filter of the channel below `root`, with + for each name."""
    return f"{root}/{re.sub(r'{[^}]*}', '+', channel.address)}"


def published(root: str, topic: str) -> tuple[Channel | None, str]:
    """The channel and gateway of a topic; the channel is None unless its address has only the gateway as a name."""
    area, gateway, rest = (*topic.removeprefix(f"{root}/").split("/", 2), "", "")[:3]
    address = f"{area}/{{gateway}}/{rest}"
    return next((channel for channel in CHANNELS if channel.address == address), None), gateway


def site_root(site: str, mode: Mode) -> str:
    """Where all topics of a site lie; those of test gateways lie under a root of their own. Raises BadSegment."""
    return f"{'capgate' if mode is Mode.LIVE else 'capgate-test'}/v1/{segment(site)}"


def left_over(site: str, channels: Iterable[Channel], filters: Collection[str]) -> tuple[str, ...]:
    """Filters of the channels in either mode, but for `filters`: what another configuration may have subscribed to."""
    found = (filter_of(channel, site_root(site, mode)) for mode in Mode for channel in channels)
    return tuple(each for each in found if each not in filters)


class Topics:
    """The destinations of one gateway at one site."""

    def __init__(self, site: str, gateway: str, mode: Mode) -> None:
        self.root = site_root(site, mode)
        self._gateway = segment(gateway)

    def _to(self, channel: Channel, **names: str | int) -> Destination:
        levels = {name: segment(str(value)) for name, value in names.items()}
        topic = f"{self.root}/{channel.address.format(gateway=self._gateway, **levels)}"
        return Destination(topic, channel.qos, channel.retain, channel.expiry_s, channel.content_type)

    @property
    def status(self) -> Destination:
        """Birth, will and farewell of the gateway."""
        return self._to(STATUS)

    @property
    def checkpoint(self) -> Destination:
        """Signed heads of the ledger's hash chain."""
        return self._to(CHECKPOINT)

    def unit_status(self, unit: str) -> Destination:
        """A unit's link, alarms and the run state of its caps."""
        return self._to(UNIT_STATUS, unit=unit)

    def temperature(self, unit: str, cap: int) -> Destination:
        """A cap's readings."""
        return self._to(TEMPERATURE, unit=unit, cap=cap)

    def cap_event(self, unit: str, cap: int) -> Destination:
        """Changes of a cap's run state and phase."""
        return self._to(CAP_EVENT, unit=unit, cap=cap)

    def alarm(self, code: str) -> Destination:
        """An alarm, raised or cleared."""
        return self._to(ALARM, code=code)

    def session(self, token: str) -> Destination:
        """The head of a session's chain; the token's letters are lower-case here."""
        return self._to(SESSION_HEAD, token=token.lower())

    @property
    def increment(self) -> Destination:
        """Every 97009 increment."""
        return self._to(INCREMENT)

    @property
    def session_event(self) -> Destination:
        """Sessions opened, flagged, closed, finalised."""
        return self._to(SESSION)

    def charge(self, notation: Notation) -> Destination:
        """Released charges and credits."""
        return self._to(CHARGE[notation])

    def observation(self, notation: Notation) -> Destination:
        """Temperatures for charting, as HL7 or FHIR."""
        return self._to(OBSERVATION[notation])

    @property
    def result(self) -> Destination:
        """The answer to every inbound message."""
        return self._to(RESULT)

    def inbound(self, notation: Notation) -> Destination:
        """Messages of the interface engine, for every gateway of the site."""
        return self._to(INBOUND[notation])
