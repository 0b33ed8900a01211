"""The latest state of units, sessions and increments, from a gateway's MQTT messages; for `watch` and `demo`."""

from collections import Counter

import msgspec


class _Value(msgspec.Struct):
    name: str
    value: float | None
    quality: str
    reason: str | None = None


class CapRow(msgspec.Struct):
    """The latest state of a cap."""

    cap: int
    run_state: str
    connected: bool | None = None
    chair: str | None = None


class _Data(msgspec.Struct):
    """The union of the data fields that the board reads; each message type sets its own."""

    unit: str = ""
    cap: int = 0
    link: str = ""
    fault: str | None = None
    profile: str = ""
    serial_number: str | None = None
    caps: list[CapRow] = []
    alarms: list[str] = []
    values: list[_Value] = []
    observed_at: str | None = None
    state: str = ""
    reason: str | None = None
    mode: str = ""
    session: str = ""
    phase: str = ""
    flags: list[str] = []
    increment: str = ""
    index: int = 0
    revision: str = ""
    op: str = ""
    attained_at: str | None = None
    net_s: float | None = None
    started_at: str | None = None
    cooling_stopped_at: str | None = None
    attained: int = 0
    next_at: str | None = None


class _Message(msgspec.Struct):
    type: str
    time: str
    data: _Data


class UnitRow(msgspec.Struct):
    """The latest state of a unit."""

    unit: str
    profile: str = ""
    link: str = "unknown"
    fault: str | None = None
    serial_number: str | None = None
    alarms: list[str] = []
    readings: int = 0
    caps: dict[int, CapRow] = {}
    temperatures: dict[int, dict[str, float | None]] = {}


class IncrementRow(msgspec.Struct):
    """The latest revision of an increment."""

    increment: str
    revision: str
    index: int
    op: str
    attained_at: str | None
    net_s: float | None


class SessionRow(msgspec.Struct):
    """The latest state of a session, with its increments."""

    session: str
    unit: str = ""
    cap: int = 0
    phase: str = ""
    started_at: str | None = None
    cooling_stopped_at: str | None = None
    flags: list[str] = []
    attained: int = 0  # increments that stand; more than those below where some were attained before
    next_at: str | None = None  # when the next one is, if cooling goes on
    increments: dict[str, IncrementRow] = {}

    def valid_increments(self) -> list[IncrementRow]:
        """The increments that are not retracted, in order."""
        return sorted((row for row in self.increments.values() if row.op != "retract"), key=lambda row: row.index)


class Board:
    """The state collected from the messages so far."""

    def __init__(self) -> None:
        self.units: dict[str, UnitRow] = {}
        self.sessions: dict[str, SessionRow] = {}
        self.topics: Counter[str] = Counter()
        self.gateway = "not heard of yet"
        self.time = ""
        self.observed: dict[str, str] = {}  # unit -> RFC 3339 time of its last reading
        self._decoder = msgspec.json.Decoder(_Message)

    def take(self, topic: str, payload: bytes) -> None:
        """Apply one message; other messages than events of a gateway are only counted by topic."""
        self.topics[topic] += 1
        try:
            message = self._decoder.decode(payload)
        except msgspec.DecodeError:
            return
        data = message.data
        match message.type:
            case "org.capgate.unit.status.v1":
                self._unit_status(data)
            case "org.capgate.cap.temperature.v1":
                self.time = self.observed[data.unit] = message.time
                row = self._unit(data.unit)
                row.readings += 1
                row.temperatures[data.cap] = {value.name: value.value for value in data.values}
            case "org.capgate.gateway.status.v1":
                self.gateway = f"{data.state}" + (f" ({data.reason})" if data.reason else "") + f", {data.mode}"
            case "org.capgate.increment.v1":
                self._increment(data)
            case "org.capgate.session.head.v1":
                self._session_head(data)
            case changed if changed.startswith("org.capgate.session."):
                self._session_change(data)
            case _:
                pass

    def as_json(self) -> dict[str, object]:
        """`units`, `sessions` (each with its increments) and `topics` (messages by topic), as JSON values."""
        sessions: list[object] = []
        for row in self.sessions.values():
            session = msgspec.to_builtins(row)
            session["increments"] = [msgspec.to_builtins(increment) for increment in row.valid_increments()]
            sessions.append(session)
        return {
            "units": [msgspec.to_builtins(row, str_keys=True) for row in self.units.values()],
            "sessions": sessions,
            "topics": dict(sorted(self.topics.items())),
        }

    def _unit(self, unit: str) -> UnitRow:
        return self.units.setdefault(unit, UnitRow(unit))

    def _session(self, session: str) -> SessionRow:
        return self.sessions.setdefault(session, SessionRow(session))

    def _unit_status(self, data: _Data) -> None:
        row = self._unit(data.unit)
        row.profile, row.link, row.fault = data.profile, data.link, data.fault
        if data.observed_at is not None:
            self.observed[data.unit] = max(data.observed_at, self.observed.get(data.unit, ""))
        row.serial_number, row.alarms = data.serial_number or row.serial_number, data.alarms
        row.caps = {cap.cap: cap for cap in data.caps}

    def _session_change(self, data: _Data) -> None:
        row = self._session(data.session)
        row.unit, row.cap, row.phase, row.flags = data.unit, data.cap, data.phase, data.flags
        row.started_at, row.cooling_stopped_at = data.started_at, data.cooling_stopped_at

    def _session_head(self, data: _Data) -> None:
        """What is retained of a session, also of one that began before. An earlier version tells no phase."""
        row = self._session(data.session)
        row.unit, row.cap = data.unit, data.cap
        row.attained, row.next_at = data.attained, data.next_at
        row.phase, row.started_at = data.phase or row.phase, data.started_at or row.started_at

    def _increment(self, data: _Data) -> None:
        row = self._session(data.session)
        row.flags = data.flags
        row.increments[data.increment] = IncrementRow(
            data.increment, data.revision, data.index, data.op, data.attained_at, data.net_s
        )
