"""One simulated unit on a line: its machine, its answers, its faults and its script. No I/O.

Time advances in whole ticks, so that the machine's state depends on the instant alone, not on when it is polled.
"""

import copy
from enum import StrEnum

import msgspec

from drivers.dialects.base import Dialect, ModbusQuery, Raw, Refusal, Request
from simulators.faults import Fault, Faults, InjectedFault
from simulators.machine import Machine, NotPossible
from simulators.maps import Answer

TICK_S = 0.5
BUSY = 6  # Modbus exception: server device busy


class Verb(StrEnum):
    """An operation on one cap at the panel."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    CONNECT = "connect"
    DISCONNECT = "disconnect"


class Action(msgspec.Struct, frozen=True):
    """One entry of a unit's script, at `at_s`: an operation, a fault, or an event beside the unit (an infusion)."""

    at_s: float
    what: str
    cap: int | None = None
    verb: Verb | None = None
    fault: Fault | None = None


class Moment(msgspec.Struct, frozen=True):
    """A scripted event that is due; `problem` says why it was not possible."""

    at_s: float
    unit: str
    cap: int | None
    what: str
    problem: str | None = None


class Response(msgspec.Struct, frozen=True):
    """The bytes of an answer, and their delay in real seconds."""

    data: bytes
    delay_s: float


def perform(machine: Machine, verb: Verb, cap: int) -> None:
    """Carry out an operation. Raises NotPossible."""
    match verb:
        case Verb.START:
            machine.start(cap)
        case Verb.PAUSE:
            machine.pause(cap)
        case Verb.RESUME:
            machine.resume(cap)
        case Verb.STOP:
            machine.stop(cap)
        case Verb.CONNECT:
            machine.connect(cap)
        case Verb.DISCONNECT:
            machine.disconnect(cap)


class SimulatedUnit:
    """A machine that follows its script and answers queries, subject to its active faults."""

    def __init__(
        self, name: str, unit_id: int | None, machine: Machine, answer: Answer, script: tuple[Action, ...], seed: int
    ) -> None:
        self.name = name
        self.unit_id = unit_id
        self.machine = machine
        self._answer = answer
        self._script = script  # in the order of `at_s`
        self._script_done = 0
        self._ticks = 0
        self._faults = Faults(name, seed)
        self._before_hang: Machine | None = None

    @property
    def now_s(self) -> float:
        """The instant to which the unit was advanced, in simulated seconds."""
        return self._ticks * TICK_S

    @property
    def fault_kinds(self) -> tuple[InjectedFault, ...]:
        """The kinds of the active faults."""
        return self._faults.kinds

    def advance(self, to_s: float) -> list[Moment]:
        """Advance to `to_s`, following the script; returns what happened. An earlier `to_s` is ignored."""
        moments = self._catch_up()
        while self.now_s + TICK_S <= to_s:
            self.machine.step(TICK_S)
            self._ticks += 1
            moments += self._catch_up()
        return moments

    def begin_fault(self, fault: Fault) -> None:
        """Activate a fault. Raises NotPossible for a sensor that the unit does not have."""
        match fault.kind:
            case InjectedFault.STUCK_SENSOR if fault.sensor is not None:
                self.machine.stick(fault.sensor, fault.cap)
            case InjectedFault.HANG:
                self._before_hang = self._before_hang or copy.deepcopy(self.machine)
            case InjectedFault.POWER_CUT:
                self.machine.power_off()
            case _:
                pass
        self._faults.begin(fault, self.now_s)

    def clear_faults(self) -> None:
        """End every fault."""
        for fault in self._faults.end_all():
            self._after(fault)

    def respond(self, request: Request, dialect: Dialect) -> Response | None:
        """The answer to a request to this unit, faults applied; None: no answer."""
        if not self.machine.powered or self._faults.strike(InjectedFault.LOST):
            return None
        answer = self._answer_or_busy(request)
        if answer is None:
            return None
        data = dialect.encode_reply(self._mistaken(request), answer)
        if corrupt := self._faults.strike(InjectedFault.CORRUPT):
            data = self._faults.flip_bits(data, corrupt.bits)
        late = self._faults.strike(InjectedFault.LATE)
        return Response(data, late.delay_s if late else 0.0)

    def _answer_or_busy(self, request: Request) -> Raw | Refusal | None:
        if self._faults.strike(InjectedFault.BUSY):
            return Refusal(BUSY) if isinstance(request.query, ModbusQuery) else None
        return self._answer(self._before_hang or self.machine, request.query)

    def _mistaken(self, request: Request) -> Request:
        """The request, changed so that its answer has the wrong unit id or function."""
        query = request.query
        if query.unit_id is not None and self._faults.strike(InjectedFault.WRONG_UNIT):
            query = msgspec.structs.replace(query, unit_id=query.unit_id % 247 + 1)
        if isinstance(query, ModbusQuery) and self._faults.strike(InjectedFault.WRONG_FUNCTION):
            query = msgspec.structs.replace(query, function={3: 4, 4: 3, 1: 2, 2: 1}.get(query.function, 3))
        return msgspec.structs.replace(request, query=query)

    def _catch_up(self) -> list[Moment]:
        """End the faults and carry out the script's entries that are due at this tick."""
        for fault in self._faults.end_due(self.now_s):
            self._after(fault)
        moments: list[Moment] = []
        while self._script_done < len(self._script) and self._script[self._script_done].at_s <= self.now_s:
            moments.append(self._do(self._script[self._script_done]))
            self._script_done += 1
        return moments

    def _do(self, action: Action) -> Moment:
        problem = None
        try:
            if action.verb is not None and action.cap is not None:
                perform(self.machine, action.verb, action.cap)
            if action.fault is not None:
                self.begin_fault(action.fault)
        except NotPossible as error:
            problem = str(error)
        return Moment(action.at_s, self.name, action.cap, action.what, problem)

    def _after(self, fault: Fault) -> None:
        """Undo the effect of an ended fault, unless an equal one is active."""
        if self._faults.goes_on(fault):
            return
        match fault.kind:
            case InjectedFault.STUCK_SENSOR if fault.sensor is not None:
                self.machine.unstick(fault.sensor, fault.cap)
            case InjectedFault.HANG:
                self._before_hang = None
            case InjectedFault.POWER_CUT:
                self.machine.power_on()
            case _:
                pass
