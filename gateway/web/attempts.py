"""How often somebody may try to sign in: after some failures each further try waits longer. Pure.

Failures are counted by name and by address, so that neither one account nor one tablet can be tried without end, and
nobody is shut out for good. What is remembered is bounded; the oldest is forgotten first.
"""

from collections import OrderedDict

import msgspec

FREE_TRIES = 5
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
FORGOTTEN_S = 3600.0
MAX_REMEMBERED = 1000


class _Failures(msgspec.Struct, frozen=True):
    count: int
    last_s: float


class Attempts:
    """The failures of the last hour. Times are seconds of a steady clock."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, now_s: float, *who: str) -> float:
        """How long whoever tries as one of `who` has to wait; 0: not at all."""
        return max(self._wait_s(now_s, each) for each in who)

    def failed(self, now_s: float, *who: str) -> None:
        """Count a failure against each of `who`."""
        for each in who:
            before = self._failures.pop(each, None)
            count = 1 if before is None or now_s - before.last_s > FORGOTTEN_S else before.count + 1
            self._failures[each] = _Failures(count, now_s)
            if len(self._failures) > MAX_REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, *who: str) -> None:
        """Forget the failures of each of `who`."""
        for each in who:
            self._failures.pop(each, None)

    def _wait_s(self, now_s: float, who: str) -> float:
        known = self._failures.get(who)
        if known is None or known.count < FREE_TRIES or now_s - known.last_s > FORGOTTEN_S:
            return 0.0
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(known.count - FREE_TRIES, 16), LONGEST_WAIT_S)
        return max(0.0, known.last_s + wait_s - now_s)
