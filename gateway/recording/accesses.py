"""Which readings of patients' identifiers are recorded: each person's first of a session, or of today's visits, in a
quarter of an hour.

A screen that stays open reads the same session again every few seconds. What is remembered of the present quarter is
lost by a restart, and then recorded once more.
"""

import msgspec

from gateway.ledger.access import Access, Looked
from gateway.session.spans import US_PER_MINUTE

QUARTER_US = 15 * US_PER_MINUTE
MOST_REMEMBERED = 20_000

_Key = tuple[int, str, Looked, str]


class Accesses:
    """What was recorded lately."""

    def __init__(self) -> None:
        self._known: set[_Key] = set()

    def new(self, access: Access) -> Access | None:
        """What of the reading is to be recorded; None: nothing."""
        quarter = access.at_us // QUARTER_US
        named = ("",) if access.looked is Looked.VISITS else access.sessions
        keys = {token: (quarter, access.login, access.looked, token) for token in named}
        new = tuple(token for token, key in keys.items() if key not in self._known)
        if not new:
            return None
        if len(self._known) + len(new) > MOST_REMEMBERED or all(key[0] < quarter for key in self._known):
            self._known.clear()
        self._known.update(keys[token] for token in new)
        return msgspec.structs.replace(access, sessions=tuple(filter(None, new)))
