"""Every topic of the gateway, built in one place. Segments never carry patient data. Pure."""

import re

from gateway.messages.notation import Mode, Notation

SEGMENT = re.compile(r"[a-z0-9-]{1,32}")


class BadSegment(ValueError):
    """A name that may not stand in a topic."""


def segment(name: str) -> str:
    """`name`, if it may be one level of a topic: 1 to 32 of a-z, 0-9 and "-". Raises BadSegment."""
    if SEGMENT.fullmatch(name) is None:
        raise BadSegment(f"{name!r} is no topic segment: 1 to 32 lower-case letters, digits and hyphens")
    return name


class Topics:
    """The topics of one gateway at one site; a test gateway's lie under a root of their own."""

    def __init__(self, site: str, gateway: str, mode: Mode) -> None:
        product = "capgate" if mode is Mode.LIVE else "capgate-test"
        self.root = f"{product}/v1/{segment(site)}"
        self._dev = f"{self.root}/dev/{segment(gateway)}"
        self._ehr = f"{self.root}/ehr/{gateway}"

    @property
    def status(self) -> str:
        """Birth, will and farewell of the gateway."""
        return f"{self._dev}/status"

    @property
    def checkpoint(self) -> str:
        """Signed heads of the ledger's chain, for whoever holds them against it."""
        return f"{self._dev}/checkpoint"

    def unit_status(self, unit: str) -> str:
        """A unit's link, alarms and the run state of its caps."""
        return f"{self._dev}/unit/{segment(unit)}/status"

    def temperature(self, unit: str, cap: int) -> str:
        """A cap's readings."""
        return f"{self._dev}/unit/{segment(unit)}/cap/{cap}/temperature"

    def cap_event(self, unit: str, cap: int) -> str:
        """Changes of a cap's run state and phase."""
        return f"{self._dev}/unit/{segment(unit)}/cap/{cap}/event"

    def alarm(self, code: str) -> str:
        """An alarm, raised or cleared."""
        return f"{self._dev}/alarm/{segment(code)}"

    def session(self, token: str) -> str:
        """The head of a session's chain; the token's letters are lower-case here."""
        return f"{self._dev}/session/{segment(token.lower())}"

    @property
    def increment(self) -> str:
        """Every 97009 increment."""
        return f"{self._ehr}/increment/json"

    @property
    def session_event(self) -> str:
        """Sessions opened, flagged, closed, finalised."""
        return f"{self._ehr}/session/json"

    def charge(self, notation: Notation) -> str:
        """Released charges and credits."""
        return f"{self._ehr}/charge/{notation}"

    def observation(self, notation: Notation) -> str:
        """Temperatures for charting."""
        return f"{self._ehr}/observation/{notation}"

    @property
    def result(self) -> str:
        """The answer to every inbound message."""
        return f"{self._ehr}/result/json"

    def inbound(self, notation: Notation) -> str:
        """What the interface engine publishes for every gateway of the site."""
        return f"{self.root}/ehr/in/{notation}"
