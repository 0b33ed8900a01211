"""What a site says of a line's far end that differs from the standard, or from what most do."""

from enum import StrEnum

import msgspec

from drivers.dialects.base import Dialect, Numbers
from drivers.dialects.registry import DialectName, dialect


class Connection(StrEnum):
    """How long a connection is kept."""

    KEPT = "kept"
    EACH_POLL = "each-poll"  # opened for each poll and closed after it, so that others have their turn


class LineHabits(msgspec.Struct, frozen=True):
    """Settings of a line, by the keys of gateway.toml and of `--set`."""

    transactions: Numbers = Numbers.ECHOED
    unit_ids: Numbers = Numbers.ECHOED
    connection: Connection = Connection.KEPT

    def dialect(self, name: DialectName) -> Dialect:
        """The dialect as this far end speaks it."""
        return dialect(name, self.transactions, self.unit_ids)
