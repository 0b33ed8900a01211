"""The direction of bytes on a line."""

from enum import StrEnum


class Direction(StrEnum):
    """As the master sees it: TX is sent to the unit, RX received from it."""

    TX = "tx"
    RX = "rx"
