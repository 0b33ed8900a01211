"""The requests of the control socket: one JSON object a line, a closed set of types.

A field's description is what the answer to a bad request offers as accepted.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.commissioning.trial import LONGEST_WAIT_S, WAIT_S, What
from gateway.ledger.access import Looked
from gateway.session.facts import AgentClass, ToleranceFinding
from gateway.session.wording import Language
from gateway.session.worklist import REJECTED


class RequestRefused(Exception):
    """The request was refused and changes nothing; `accepted` says what would be accepted."""

    def __init__(self, error: str, accepted: str) -> None:
        super().__init__(error)
        self.error = error
        self.accepted = accepted


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("not printable")
    return text


_Text = Annotated[str, AfterValidator(_printable)]
_Name = Annotated[_Text, Field(min_length=1, max_length=64)]
_Person = Annotated[_Text, Field(min_length=1, max_length=200, description="who acts, 1 to 200 characters")]
_Reason = Annotated[_Text, Field(min_length=1, max_length=200, description="why, 1 to 200 characters")]
_SEGMENT = r"^[a-z0-9-]{1,32}$"
_TIME = "ISO 8601 with an offset, as in 2026-03-10T15:00-04:00, or HH:MM of today"
_WAIT = f"seconds to wait for a receipt, up to {LONGEST_WAIT_S}"
_SESSION = "a session's token, a visit's number, or a chair or cap that is in use"
_PLACE = "a chair, a cap as in cap-07:1, or a session's token"

SessionName = Annotated[_Name, Field(description=_SESSION)]
At = Annotated[str, Field(max_length=64, description=_TIME)]
AtOrNow = Annotated[str | None, Field(max_length=64, description=f"{_TIME}; left out: now")]
Visit = Annotated[_Name, Field(pattern=r"^\S+$", description="the visit's number, 1 to 64 characters without blanks")]
OtherId = Annotated[_Name | None, Field(description="an identifier, 1 to 64 characters")]
Found = Annotated[ToleranceFinding | None, Field(description="ok or concern")]


class ControlRequest(BaseModel):
    """Base of all requests: unknown fields are errors."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", str_strip_whitespace=True)


class Status(ControlRequest):
    """The gateway's identity, mode and counts."""

    request: Literal["status"]


class Sessions(ControlRequest):
    """The open sessions: those that go on, or wait for a person. With `all`, every one that may still change."""

    request: Literal["sessions"]
    all: bool = Field(default=False, description="true or false")
    identify: bool = Field(default=False, description="true or false")


class OneSession(ControlRequest):
    """One session, with its facts."""

    request: Literal["session"]
    token: SessionName  # or another name of the session
    identify: bool = Field(default=False, description="true or false")


class ConfirmClock(ControlRequest):
    """Somebody has looked, and the clock by which a start does not count is right."""

    request: Literal["confirm-clock"]
    person: _Person
    reason: _Reason


class Reload(ControlRequest):
    """Check gateway.toml, and restart the gateway with it."""

    request: Literal["reload"]


class Swap(ControlRequest):
    """A loaner replaces a configured unit; a field that is left out keeps that unit's value."""

    request: Literal["swap"]
    unit: Annotated[str, Field(pattern=_SEGMENT, description="a unit of the configuration")]
    loaner: Annotated[str, Field(pattern=_SEGMENT, description="a name of its own: 1 to 32 of a-z, 0-9 and -")]
    profile: Annotated[_Text | None, Field(max_length=64, description="a profile's name")] = None
    unit_id: Annotated[int | None, Field(ge=0, le=255, description="an address, 0 to 255")] = None
    url: Annotated[_Text | None, Field(max_length=256, description="a line's URL")] = None
    set: dict[str, bool | int | float | str] = Field(default={}, description="overrides, as in the configuration")
    person: _Person
    reason: _Reason


class SwapBack(ControlRequest):
    """The configured unit replaces its loaner again."""

    request: Literal["swap-back"]
    unit: Annotated[str, Field(pattern=_SEGMENT, description="a unit of the configuration")]
    person: _Person
    reason: _Reason


class CaptureRequest(ControlRequest):
    """Record a minute of a line's raw traffic, beside the polling."""

    request: Literal["capture"]
    line: Annotated[str, Field(pattern=_SEGMENT, description="a line of the configuration")]
    person: _Person


class Worklist(ControlRequest):
    """The open items of the work list, which messages of the EHR raised for a person to settle."""

    request: Literal["worklist"]


class Board(ControlRequest):
    """Every chair: its session, and what its unit last said."""

    request: Literal["board"]
    trends: bool = Field(default=False, description="true or false")


class Todo(ControlRequest):
    """What would be lost if the suite closed now."""

    request: Literal["todo"]


class Visits(ControlRequest):
    """The visits that were heard of today, with their identifiers, to bind a cap from."""

    request: Literal["visits"]


class Delivery(ControlRequest):
    """The messages that the interface engine does not have."""

    request: Literal["delivery"]


class EquipmentRequest(ControlRequest):
    """Every unit and line: how it answers, beside its own month."""

    request: Literal["equipment"]


class Diagnose(ControlRequest):
    """What the running gateway knows of itself, for the archive of `capgate diagnose`."""

    request: Literal["diagnose"]


class ArchiveRequest(ControlRequest):
    """The diagnose archive, made by the gateway."""

    request: Literal["archive"]
    person: _Person


class Screen(ControlRequest):
    """One session as its screen shows it: with its line of time, its temperatures, and why it has so many units."""

    request: Literal["screen"]
    token: SessionName
    identify: bool = Field(default=False, description="true or false")


class WhyRequest(ControlRequest):
    """Why a session has so many units; of a visit, for each of its sessions. Without a language in the page's."""

    request: Literal["why"]
    session: SessionName
    language: Annotated[Language | None, Field(strict=False, description=", ".join(Language))] = None


class FeedRequest(ControlRequest):
    """What became of the interface engine's messages."""

    request: Literal["feed"]


class LookedRequest(ControlRequest):
    """Somebody is about to read identifiers of these sessions' patients, as in their records."""

    request: Literal["looked"]
    looked: Annotated[Looked, Field(strict=False, description=", ".join(Looked))]
    sessions: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9A-Z]{9}$")], ...],
        Field(strict=False, min_length=1, max_length=1000, description="tokens of sessions"),
    ]


class TookRequest(ControlRequest):
    """Somebody is about to take the diagnose archive, signed in at the page, or tried to."""

    request: Literal["took"]
    what: Annotated[
        Literal["diagnose", "sign-in", "sign-in-refused"], Field(description="diagnose, sign-in, sign-in-refused")
    ]
    person: _Person
    address: Annotated[
        str, Field(pattern=r"^[0-9A-Za-z:.%-]{0,64}$", description="an IP address, of at most 64 characters")
    ] = ""


class ResendRequest(ControlRequest):
    """Send one message again, by its key, or every message that the engine rejected."""

    request: Literal["resend"]
    key: Annotated[
        str | None, Field(pattern=r"^[0-9A-Za-z.-]{1,32}$", description="a message's key, as in 9RX2M7KQ400A")
    ] = None
    all_rejected: bool = Field(default=False, description="true or false")
    code: Annotated[_Name | None, Field(description="the code of their rejection, 1 to 64 characters")] = None
    person: _Person
    reason: _Reason


class PurgeRequest(ControlRequest):
    """Purge what is settled and older than the configuration's days. With `dry_run` say what that would be."""

    request: Literal["purge"]
    dry_run: bool = Field(default=False, description="true or false")
    person: _Person | None = None
    reason: _Reason | None = None
    clock_checked: bool = Field(default=False, description="true or false")


class SendTest(ControlRequest):
    """Send a message that is marked as a test; the answer says how far it came."""

    request: Literal["send-test"]
    what: Annotated[What, Field(strict=False, description=", ".join(What))]
    wait_s: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S, description=_WAIT)] = WAIT_S


class Act(ControlRequest):
    """An act of a person. Who and why are recorded for good, so they must name no patient."""

    request: Literal["tell"]
    person: _Person
    reason: _Reason
    key: Annotated[
        str | None,
        Field(pattern=r"^[0-9A-Za-z-]{8,64}$", description="drawn for this act alone, 8 to 64 of 0-9, A-Z, a-z and -"),
    ] = None  # by which an act that is sent again is known for the same


class SessionAct(Act):
    """An act on one session."""

    token: SessionName  # or another name of the session


class Finalise(SessionAct):
    """Sign the session (P21)."""

    act: Literal["finalise"]


class LiftHold(SessionAct):
    """Release increments in spite of the given holds."""

    act: Literal["lift-hold"]
    holds: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=32, description="the codes that hold it")]


class Explain(SessionAct):
    """Close the session without a charge; the act's reason says why."""

    act: Literal["explain"]


class DecideCorrection(SessionAct):
    """Approve or refuse to correct a charge that no longer agrees with the count (P22)."""

    act: Literal["decide-correction"]
    charge: Annotated[str, Field(pattern=r"^[0-9A-Z]{12}$", description="the charge's key, 12 characters")]
    approve: bool = Field(description="true or false")


class Prepared(SessionAct):
    """Hair preparation, cap placement and pre-cooling are charted (97008)."""

    act: Literal["prepared"]
    at: AtOrNow = None


class ToleranceAct(SessionAct):
    """A check of how the patient tolerates the cooling."""

    act: Literal["tolerance"]
    at: AtOrNow = None
    vital_signs: Found = None
    comfort: Found = None
    scalp: Found = None


class CapId(SessionAct):
    """Which cap the patient wears."""

    act: Literal["cap-id"]
    at: AtOrNow = None
    cap_id: Annotated[_Name, Field(description="as printed on the cap, 1 to 64 characters")]
    lot: OtherId = None


class Note(SessionAct):
    """A remark for whoever reviews the session."""

    act: Literal["note"]
    at: AtOrNow = None
    text: Annotated[_Text, Field(min_length=1, max_length=500, description="a remark, 1 to 500 characters")]


class OrderCheckAct(SessionAct):
    """Whether there is an order for scalp cooling (P30), and for how long (P29)."""

    act: Literal["order-checked"]
    at: AtOrNow = None
    found: bool = Field(description="true or false")
    ordered_post_minutes: Annotated[
        float | None, Field(gt=0, le=1440, allow_inf_nan=False, description="minutes, above 0, up to 1440")
    ] = None


class InfusionEndAct(SessionAct):
    """A person states when an agent's infusion ended. `correct`: it replaces the end recorded before."""

    act: Literal["infusion-ended"]
    at: At
    order: Annotated[_Name, Field(description="the order's name, 1 to 64 characters")]
    agent: Annotated[AgentClass | None, Field(description=", ".join(AgentClass))] = None
    correct: bool = Field(default=False, description="true or false")


class StopCharted(SessionAct):
    """A person states that cooling ended, whatever the unit reports (P13)."""

    act: Literal["stop-charted"]
    at: AtOrNow = None


class CapRemoval(SessionAct):
    """The cap was taken off the patient."""

    act: Literal["cap-removed"]
    at: AtOrNow = None
    cap: Annotated[_Name | None, Field(description="a cap of the session, as in cap-07:1")] = None


class Bind(Act):
    """Bind a cap to a patient."""

    act: Literal["bind"]
    at: AtOrNow = None
    place: Annotated[_Name, Field(description=_PLACE)]
    visit: Visit
    mrn: OtherId = None
    account: OtherId = None


class ReleaseAct(Act):
    """End the binding of a cap to its patient."""

    act: Literal["release"]
    at: AtOrNow = None
    place: Annotated[_Name, Field(description=_PLACE)]


class Reassign(SessionAct):
    """Attribute the session to another patient, from its start."""

    act: Literal["reassign"]
    visit: Visit
    mrn: OtherId = None
    account: OtherId = None


class WorkDoneAct(Act):
    """Close an item of the work list."""

    act: Literal["work-done"]
    item: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$", description="an item of the work list, 12 hex digits")]


class AssignAct(Act):
    """Who sees to what waits; it changes no count."""

    act: Literal["assign"]
    what: Annotated[
        str,
        Field(
            pattern=rf"^([0-9A-Z]{{9}}|[0-9a-f]{{12}}|{REJECTED})$",
            description="a session's token, an item of the work list, 12 hex digits, or `rejected`: the messages that "
            "the engine rejected",
        ),
    ]
    to: Annotated[_Name | None, Field(description="a person or a role, 1 to 64 characters; left out: nobody")] = None


AnySessionAct = (
    Finalise
    | LiftHold
    | Explain
    | DecideCorrection
    | Prepared
    | ToleranceAct
    | CapId
    | Note
    | OrderCheckAct
    | InfusionEndAct
    | StopCharted
    | CapRemoval
    | Reassign
)
AnyAct = AnySessionAct | Bind | ReleaseAct | WorkDoneAct | AssignAct
AnyUnitRequest = ConfirmClock | Reload | Swap | SwapBack
AnyMachineRequest = CaptureRequest | EquipmentRequest | Diagnose | ArchiveRequest
AnyOutboxRequest = ResendRequest | SendTest
AnyScreen = Board | Todo | Delivery | Screen | Visits
AnyQuery = (
    Status
    | Sessions
    | OneSession
    | Worklist
    | WhyRequest
    | FeedRequest
    | AnyUnitRequest
    | AnyMachineRequest
    | AnyOutboxRequest
    | LookedRequest
    | TookRequest
    | PurgeRequest
    | AnyScreen
)
AnyRequest = AnyQuery | AnyAct

_MODELS: dict[str, type[ControlRequest]] = {
    get_args(model.model_fields[tag].annotation)[0]: model
    for tag, models in (("request", get_args(AnyQuery)), ("act", get_args(AnyAct)))
    for model in models
}
ACTS = tuple(name for name, model in _MODELS.items() if issubclass(model, Act))
_REQUESTS = (*(name for name in _MODELS if name not in ACTS), "tell")
_AnyAct = Annotated[AnyAct, Field(discriminator="act")]
_request = TypeAdapter[AnyRequest](Annotated[AnyQuery | _AnyAct, Field(discriminator="request")])


def read_request(line: bytes) -> AnyRequest:
    """The request in a line. Raises RequestRefused, which quotes no value of the request."""
    try:
        return _request.validate_json(line)
    except ValidationError as error:
        problems = dict(_problems(error))
    raise RequestRefused("; ".join(problems), "; ".join(dict.fromkeys(problems.values())))


def _problems(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Each problem, and what is accepted instead."""
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        kind, tags = item["type"], item["loc"][: 2 if item["loc"][:1] == ("tell",) else 1]
        if kind == "json_invalid":
            yield "not JSON", "one JSON object a line"
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            named, accepted = ("act", ACTS) if tags else ("request", _REQUESTS)
            yield f"{named}: missing or unknown", ", ".join(accepted)
        elif len(item["loc"]) <= len(tags):
            yield "no JSON object", "one JSON object a line"
        else:
            field = str(item["loc"][len(tags)])
            fields = _MODELS[str(tags[-1])].model_fields
            if kind == "extra_forbidden":
                others = [name for name in fields if name not in ("request", "act")]
                yield "a field that is not known", ", ".join(others) or "no further field"
            else:
                verdict = "missing" if kind == "missing" else "not accepted"
                yield f"{field}: {verdict}", f"{field}: {fields[field].description}"
