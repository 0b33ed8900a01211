"""The pause while the ledger's disk is full, read-only or failing, or the ledger there cannot be used or opened.

Theory of operation. Nothing is taken from the engine: its messages stay at the broker, unacknowledged. Answers of the
units are kept, to be recorded later. The ledger is tried again and again; once it opens, the gateway begins as after
any restart.
"""

import asyncio

import msgspec

from drivers.reading import ReadFault, Reading
from gateway.config.load import GatewayConfig
from gateway.control.answers import RefusalAnswer
from gateway.ledger.access import Actor
from gateway.ledger.disk_trouble import DiskTrouble, trouble_of
from gateway.ledger.key_ring import read_ring
from gateway.ledger.store import LEDGER_FILE, open_ledger
from gateway.monitoring.alarms import AlarmInputs
from gateway.monitoring.health import Uncounted
from gateway.polling.kept import KeptAnswers
from gateway.runtime.clock import Clock
from gateway.runtime.disk import Disk

FIRST_TRY_S = 2.0
LONGEST_WAIT_S = 20.0  # so that it recovers within a minute of the disk


class DiskPause:
    """Nothing can be recorded: the ledger is tried after `wait_s`, and then again and again."""

    def __init__(
        self, config: GatewayConfig, clock: Clock, disk: Disk, trouble: DiskTrouble, kept: KeptAnswers, wait_s: float
    ) -> None:
        self._trouble = trouble
        self._config = config
        self._clock = clock
        self._disk = disk
        self._kept = kept
        self._wait_s = wait_s

    @property
    def reason(self) -> str:
        """Why nothing can be recorded."""
        return self._trouble.reason

    @property
    def kind(self) -> Uncounted:
        """Why, as the page says it."""
        if self._trouble.is_locked:
            return Uncounted.KEY
        return Uncounted.LEDGER if self._trouble.is_refused else Uncounted.DISK

    def inputs(self) -> AlarmInputs:
        """The alarm."""
        return AlarmInputs(ledger_blocked=self.reason)

    def keep(self, answer: Reading | ReadFault) -> None:
        """Keep it in memory."""
        self._kept.add(answer)

    async def message(self, topic: str, payload: bytes) -> None:
        """Never returns, so that the broker delivers the message again to the next connection."""
        await asyncio.get_running_loop().create_future()

    async def answer(self, line: bytes, actor: Actor) -> bytes:
        """Every request is refused."""
        return self.refusal()

    def refusal(self) -> bytes:
        """The answer to every request."""
        return msgspec.json.encode(
            RefusalAnswer(
                error=f"nothing can be recorded: {self.reason}",
                accepted=f"every request, once {self._config.state_dir} has a ledger that can be used and written",
            )
        )

    async def over(self) -> None:
        """Return once something can be written and the ledger opens."""
        wait_s = self._wait_s
        while True:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            if refusal := await asyncio.to_thread(self._disk.refusal):
                self._trouble = DiskTrouble(refusal, is_full=False)
            else:
                try:
                    ring, path = read_ring(self._config.ledger_key), self._config.state_dir / LEDGER_FILE
                    async with open_ledger(path, self._config.id, self._clock.now, ring=ring):
                        return
                except Exception as error:
                    if (trouble := trouble_of(error)) is None:
                        raise
                    self._trouble = trouble
