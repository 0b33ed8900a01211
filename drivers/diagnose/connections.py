"""What a network device does with its connections: whether it closes them, and whether it serves a second client."""

import asyncio

import msgspec

from drivers.dialects.base import Query
from drivers.errors import DriverError, UnitRefused
from drivers.line import Line

_CLOSES_WITHIN_S = 0.3  # of its answer


class ConnectionsSeen(msgspec.Struct, frozen=True):
    """What was seen of a device's connections."""

    closes: bool = False  # after an answer; the line opens again at once
    serves_one: bool = False  # a second client got no answer, or the first was disconnected for it


async def connections_seen(line: Line, another: Line, query: Query) -> ConnectionsSeen:
    """How the far end of `line`, which was just read, treats it and `another` line to the same place."""
    await asyncio.sleep(_CLOSES_WITHIN_S)
    if line.counters.closings or not line.is_open:
        return ConnectionsSeen(closes=True)
    try:
        await another.exchange(query)
    except UnitRefused:
        pass  # an answer, too
    except DriverError:
        return ConnectionsSeen(serves_one=True)
    finally:
        another.close()
    return ConnectionsSeen(serves_one=not line.is_open)
