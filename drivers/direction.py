"""Which way bytes went on a line."""

from enum import StrEnum


class Direction(StrEnum):
    """As we see it."""

    TX = "tx"
    RX = "rx"
