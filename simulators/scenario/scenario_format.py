"""The schema of a scenario file, as pydantic models; docs/simulators.md describes it."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt

from drivers.dialects.registry import DialectName
from simulators.faults import Fault, InjectedFault
from simulators.machine import Sensor
from simulators.maps import MapName

Id = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
Minutes = Annotated[StrictFloat, Field(ge=0, le=24 * 60)]


class Agent(StrEnum):
    """The agent class of an order; values as in the EHR's messages."""

    CHEMO = "chemo"
    BIOLOGIC = "biologic_under_chemo_admin"
    HYDRATION = "hydration"
    FLUSH = "flush"
    AMBULATORY_PUMP = "ambulatory_pump"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LineEntry(_Entry):
    """One line: a TCP listener or a pseudo-terminal, and its dialect."""

    id: Id
    dialect: DialectName
    tcp: Annotated[str, Field(pattern=r"^[^:\s]+:\d{1,5}$", description='"host:port", port 0 for any free one')] = ""
    pty: Annotated[str, Field(pattern=r"^(auto|/\S+)$", description='"auto" or a path for a symbolic link')] = ""


class UnitEntry(_Entry):
    """One unit: its make, line, address and serial number."""

    id: Id
    line: str
    map: MapName
    unit_id: Annotated[StrictInt, Field(ge=1, le=247)] | None = None
    serial_number: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,16}$")]
    caps: Annotated[StrictInt, Field(ge=1, le=2)] = 1
    set_point_c: Annotated[StrictFloat, Field(ge=-40, le=40)]
    watchdog_s: Annotated[StrictFloat, Field(ge=0, le=99)] = 0.0  # of the communication watchdog; 0: off
    supply_c: Annotated[StrictFloat, Field(ge=-60, le=80)] | None = None  # None: at its set point


class TimelineStep(_Entry):
    """A step of a patient's timeline without further fields."""

    at_min: Minutes
    do: Literal["arrive", "precool", "resume", "connect", "stop", "leave"]


class Interruption(_Entry):
    """A pause at the panel, or a disconnected cap."""

    at_min: Minutes
    do: Literal["pause", "disconnect"]
    reason: str = ""


class InfusionStart(_Entry):
    """The start of an agent's infusion."""

    at_min: Minutes
    do: Literal["infusion_start"]
    order: str
    agent: Agent


class InfusionEndEntry(_Entry):
    """The end of an agent's infusion."""

    at_min: Minutes
    do: Literal["infusion_end"]
    order: str


Step = Annotated[TimelineStep | Interruption | InfusionStart | InfusionEndEntry, Field(discriminator="do")]


class PatientEntry(_Entry):
    """One patient's visit on one cap."""

    visit: Annotated[str, Field(min_length=1, max_length=64)]
    unit: str
    cap: Annotated[StrictInt, Field(ge=1, le=2)] = 1
    step: Annotated[tuple[Step, ...], Field(min_length=1)]


class FaultEntry(_Entry):
    """A fault of one unit, from `at_min` on."""

    unit: str
    at_min: Minutes
    kind: InjectedFault
    for_s: StrictFloat | None = None
    probability: StrictFloat = 1.0
    delay_s: StrictFloat = 0.0
    bits: StrictInt = 1
    sensor: Sensor | None = None
    cap: StrictInt | None = None

    def fault(self) -> Fault:
        """The fault to activate. Raises ValueError if a field is missing that its kind needs."""
        return Fault(self.kind, self.for_s, self.probability, self.delay_s, self.bits, self.sensor, self.cap)


class Scenario(_Entry):
    """A checked scenario file."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    name: Id
    length_min: Annotated[StrictFloat, Field(gt=0, le=24 * 60)]
    seed: StrictInt = 1
    line: Annotated[tuple[LineEntry, ...], Field(min_length=1)]
    unit: Annotated[tuple[UnitEntry, ...], Field(min_length=1)]
    patient: tuple[PatientEntry, ...] = ()
    fault: tuple[FaultEntry, ...] = ()
