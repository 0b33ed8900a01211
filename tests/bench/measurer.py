"""The other side of the benchmark: cheap Modbus TCP units and an MQTT subscriber in one process, nothing of Capgate.

Every unit answers a read of 64 registers with the frame of a one-cap reference unit, as docs/devices has it, whose
cap-front register counts its replies. The subscriber finds that number in each published reading, so that the latency
runs from writing the reply here to the message's arrival here, by one clock.
"""

import asyncio
import json
import os
import struct
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import msgspec

READ_COUNT = 64
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
FRONT_WRAP = 3000  # cap front counts 0.01 to 30.00 degC, then starts again


def unit_registers(front: int) -> list[int]:
    """A cooling one-cap unit's answer with `front` hundredths of a degree on the cap."""
    words = [0] * READ_COUNT
    words[0:10] = [0x4347, 1, 1, front & 0xFFFF, 0xFE5C, 0xFEB6, 0xFE70, 240, 3, 0]
    words[14:18] = [0x4243, 0x482D, 0x3031, 0x4142]
    words[32:41] = [2, 3, front, 310, 305, 240, 0, front, 1]
    return words


class Record:
    """What was seen since the last `clear`."""

    def __init__(self) -> None:
        self.polls: dict[int, list[float]] = defaultdict(list)  # unit number -> instants of its requests
        self.replied: dict[tuple[int, int], float] = {}  # (unit number, front) -> instant of that reply
        self.latencies_s: list[float] = []
        self.first_message_at_s: float | None = None
        self.payload_bytes = 0

    def clear(self) -> None:
        """Begin the counted window."""
        self.polls.clear()
        self.latencies_s.clear()

    def message(self, topic: str, payload: bytes) -> None:
        """Match a published reading with the reply it came from; other messages are only heard."""
        if not topic.endswith("/temperature"):
            return
        now_s = time.perf_counter()
        if self.first_message_at_s is None:
            self.first_message_at_s = now_s
        self.payload_bytes = len(payload)
        unit = int(topic.split("/unit/u")[1].split("/")[0])
        values = json.loads(payload)["data"]["values"]
        front = next(value["value"] for value in values if value["name"] == "cap_front")
        replied_s = self.replied.pop((unit, round(front * 100)), None)
        if replied_s is not None:
            self.latencies_s.append(now_s - replied_s)


class Plant(asyncio.Protocol):
    """One connection to one unit. Requests are 12 bytes; any other read closes it."""

    def __init__(self, record: Record, unit: int) -> None:
        self._record = record
        self._unit = unit
        self._front = 0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._buffer += data
        while len(self._buffer) >= 12:
            request, self._buffer = self._buffer[:12], self._buffer[12:]
            transaction, _, _, unit_id, function, _, count = struct.unpack(">HHHBBHH", request)
            if function not in (3, 4) or count != READ_COUNT:
                self._transport.close()
                return
            unit, front = self._unit, self._front % FRONT_WRAP + 1
            self._front = front
            body = struct.pack(f">{count}H", *unit_registers(front))
            now_s = time.perf_counter()
            self._record.polls[unit].append(now_s)
            self._record.replied[unit, front] = now_s
            self._transport.write(
                struct.pack(">HHHBBB", transaction, 0, 3 + 2 * count, unit_id, function, 2 * count) + body
            )


class Subscriber(asyncio.Protocol):
    """MQTT 3.1.1 in the least that receives at QoS 0: CONNECT, SUBSCRIBE, then PUBLISH frames."""

    def __init__(self, record: Record, topic_filter: str) -> None:
        self._record = record
        self._filter = topic_filter
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect and subscribe in one write."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        topic = self._filter.encode()
        connect = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack(">H", 8) + b"measurer"
        subscribe = struct.pack(">HH", 1, len(topic)) + topic + b"\x00"
        transport.write(bytes([0x10, len(connect)]) + connect + bytes([0x82, len(subscribe)]) + subscribe)

    def data_received(self, data: bytes) -> None:
        """Take every whole PUBLISH."""
        self._buffer += data
        while (frame := self._frame()) is not None:
            kind, start, end = frame
            if kind == 3:
                topic_end = start + 2 + int.from_bytes(self._buffer[start : start + 2], "big")
                topic = self._buffer[start + 2 : topic_end].decode()
                self._record.message(topic, bytes(self._buffer[topic_end:end]))
            del self._buffer[:end]

    def _frame(self) -> tuple[int, int, int] | None:
        """(packet type, start and end of its body) of the first whole packet."""
        length, shift, index = 0, 0, 1
        while index < len(self._buffer):
            byte = self._buffer[index]
            length |= (byte & 0x7F) << shift
            shift, index = shift + 7, index + 1
            if byte < 0x80:
                end = index + length
                return (self._buffer[0] >> 4, index, end) if end <= len(self._buffer) else None
        return None


class Figures(msgspec.Struct, frozen=True):
    """One subject at one size, measured over the window."""

    readings: int
    cpu_s_per_1000: float
    rss_mib: float
    p50_ms: float
    p99_ms: float
    on_time_percent: float  # polls that came within 1.1 s of the one before, of those that were due
    first_message_s: float
    payload_bytes: int


def on_time_percent(polls: dict[int, list[float]], units: int, window_s: float) -> float:
    """Share of the due polls (one a second and unit) that came no more than a tenth late."""
    good = 0
    for instants in polls.values():
        good += 1 + sum(b - a <= 1.1 for a, b in pairwise(instants))
    return min(100.0, 100.0 * good / (units * (window_s - 1)))


def cpu_s(pid: int) -> float:
    """User and system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def memory_mib(pid: int) -> tuple[float, float]:
    """Resident memory of a process: at its greatest, and now."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak, now = (int(status.split(f"{name}:")[1].split()[0]) / 1024 for name in ("VmHWM", "VmRSS"))
    return peak, now
