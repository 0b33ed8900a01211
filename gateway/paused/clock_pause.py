"""The pause at the beginning of a start whose wall clock is not believed.

Nothing that is recorded could be placed in time. So the ledger is left as it is: answers of the units and messages of
the engine go to the journal, on the disk, the answers with the boot clock's stamp. The boot clock then says when each
came, once the wall clock is right: everything is recorded and counted as if it had been right from the boot on.
"""

import msgspec

from gateway.config.load import GatewayConfig
from gateway.config.tables import TimeService
from gateway.control.answers import DoneAnswer, RefusalAnswer
from gateway.control.requests import ConfirmClock, RequestRefused, read_request
from gateway.ledger.access import Actor
from gateway.ledger.read_back import ClockKnown
from gateway.messages.instants import rfc3339
from gateway.monitoring.alarms import AlarmInputs
from gateway.monitoring.health import Uncounted
from gateway.paused.journalling import Journalling
from gateway.recording.clock_trust import FOR_NO_PERSON, Wall, doubt
from gateway.recording.clock_watch import Waited
from gateway.recording.journal import Journal
from gateway.runtime.clock import Clock
from gateway.session.fact_types import ClockDoubt


class ClockDoubted(Exception):
    """Nothing can be recorded yet: the wall clock is not believed."""

    def __init__(self, why: ClockDoubt, known: ClockKnown) -> None:
        super().__init__(why)
        self.why = why
        self.known = known


class ClockPause:
    """Waits until the wall clock is right, or somebody says that it is; `waited` is then what it was."""

    def __init__(self, config: GatewayConfig, clock: Clock, journal: Journal, doubted: ClockDoubted) -> None:
        self._service = config.time_service
        self._clock = clock
        self._known = doubted.known
        self._why = doubted.why
        self._began = clock.now()
        self._journalling = Journalling(journal, doubted=True)
        self.keep = self._journalling.keep
        self.message = self._journalling.message
        self.waited: Waited | None = None

    @property
    def reason(self) -> str:
        """Why nothing is counted."""
        return f"the clock shows {rfc3339(Wall.of(self._clock).at.utc_us)}, {self._text}"

    @property
    def kind(self) -> Uncounted:
        """Why, as the page says it."""
        return Uncounted.CLOCK

    def inputs(self) -> AlarmInputs:
        """The alarm; none in the first minutes, in which a time service is waited for."""
        return AlarmInputs(clock_implausible="" if self._why is ClockDoubt.JUST_BOOTED else self.reason)

    async def over(self) -> None:
        """Write answers until the clock is believed; the stamps are then those of the wall clock."""
        await self._journalling.until(self._is_over)
        self._clock.align()

    async def answer(self, line: bytes, actor: Actor) -> bytes:
        """The answer to a request: only somebody's word that the clock is right is taken."""
        try:
            request = read_request(line)
        except RequestRefused:
            request = None
        if isinstance(request, ConfirmClock) and self._why not in FOR_NO_PERSON:
            self._end(request.person, request.reason, actor.login)
            return msgspec.json.encode(DoneAnswer(done="what was kept is recorded and counted now, by this clock"))
        return self.refusal()

    def refusal(self) -> bytes:
        """The answer to every other request."""
        accepted = "every request, once the clock is set"
        if self._why not in FOR_NO_PERSON:
            accepted += "; capgate unit confirm-clock, if it is right as it is"
        return msgspec.json.encode(RefusalAnswer(error=f"nothing is counted: {self.reason}", accepted=accepted))

    def _is_over(self) -> bool:
        if self.waited is None:
            if (why := doubt(Wall.of(self._clock), self._known, self._service)) is None:
                self._end()
            else:
                self._why = why
        return self.waited is not None

    def _end(self, person: str = "", reason: str = "", login: str = "") -> None:
        self.waited = Waited(
            doubt=self._why,
            waited_us=self._clock.now().boot_us - self._began.boot_us,
            corrected_us=self._clock.step_us(),
            person=person,
            reason=reason,
            login=login,
        )

    @property
    def _text(self) -> str:
        match self._why:
            case ClockDoubt.BEFORE_RELEASE:
                return "which is before this version was made"
            case ClockDoubt.BEFORE_LAST:
                return f"which is before the ledger's last entry, of {rfc3339(self._known.last_us)}"
            case ClockDoubt.FAR_AFTER:
                last = rfc3339(self._known.last_us)
                return f"long after the ledger's last entry, of {last}, and no time service vouches for it"
            case ClockDoubt.NOT_SYNCHRONISED:
                return f'and no time service keeps it, which time_service = "{TimeService.REQUIRED}" asks for'
            case ClockDoubt.JUST_BOOTED:
                return "and a time service is waited for, up to five minutes after the boot"
