"""Recognises another client that connects under our client id. Pure: instants are handed in.

Theory of operation. A broker serves one connection for each client id; of two clients with one id, each ends the
other's connection by its own. A broker may say so (0x8E); mosquitto 2.0.11 does not. There a rival shows by the status
of this gateway: two boxes with one configuration have one status topic, so a status that this process did not publish
is the other's. Or it shows by connections that the broker accepts and soon ends, several in a row. That alone is no
proof, so it raises the alarm and changes nothing else.
"""

from collections import deque

from gateway.mqtt.types import TAKEN_OVER, Disconnected, MqttDown

SHORT_S = 30.0  # a connection that the broker ended sooner than this
SHORT_IN_A_ROW = 3  # so many are more than an unstable network, whose next attempts fail too
REMEMBERED_S = 1800.0  # how long the last sign of a rival counts: longer than it may wait
FIRST_WAIT_S = 30.0  # least wait before connecting again, so that two boxes do not chase each other
LONGEST_WAIT_S = 600.0
_STATUSES = 20  # of our own that may come back


class Rivals:
    """What the connections of one process showed."""

    def __init__(self) -> None:
        self._own: deque[bytes] = deque(maxlen=_STATUSES)
        self._is_first = True
        self._knows_status = False  # a status of our own came back: what comes from now on is newer
        self._short = 0  # connections in a row that the broker ended soon
        self._proven = False  # by the connection that lasts, or ended last
        self._proofs = 0  # connections that proved it, since the last quiet time
        self._last_sign_s: float | None = None

    def publishes(self, status: bytes) -> None:
        """A status that this process publishes, or that the broker has as its will."""
        self._own.append(status)

    def status_heard(self, status: bytes, now_s: float) -> None:
        """A message came on the topic of our own status; the first may be of the process before this one."""
        if status in self._own:
            self._knows_status = True
        elif status:
            self._own.append(status)
            if self._knows_status or not self._is_first:
                self._note_proof(now_s)

    def ended(self, error: MqttDown, began_s: float | None, now_s: float) -> None:
        """The connection that began at `began_s` ended; None: the attempt failed."""
        if isinstance(error, Disconnected) and error.reason == TAKEN_OVER:
            self._note_proof(now_s)
        by_broker = isinstance(error, Disconnected) and error.by_broker
        is_short = by_broker and began_s is not None and now_s - began_s < SHORT_S
        self._short = self._short + 1 if is_short else 0
        self._is_first = self._is_first and began_s is None
        if self._short >= SHORT_IN_A_ROW:
            self._last_sign_s = now_s

    def present(self, now_s: float) -> bool:
        """Whether another client seems to use our client id."""
        return self._last_sign_s is not None and now_s - self._last_sign_s < REMEMBERED_S

    def wait_s(self, chance: float) -> float:
        """Least wait before connecting again: 0 if the last connection proved no rival, else twice as long each time.

        `chance` is in [0, 1).
        """
        if not self._proven:
            return 0.0
        self._proven = False
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._proofs - 1, 60)) * (1 + chance)

    def _note_proof(self, now_s: float) -> None:
        if not self.present(now_s):
            self._proofs = 0
        self._last_sign_s = now_s
        self._proofs += not self._proven
        self._proven = True
