"""How much of a serial line's time reaches the exchanges: `python -m tests.bench.serial_line`.

A unit in a process of its own holds one end of a pseudo-terminal and keeps the time of a wire that a pseudo-terminal
has not: it hears a request when its last character would have come, waits 3.5 characters as the standard wants, then
its own delay, and lets the reply through character by character in a receiver's chunks. The other end is the
product's serial transport and line, asking without a pause. What frames, silences and the unit leave is the ideal.
Prints what was measured and asserts nothing.
"""

import multiprocessing
import os
import sys
import time
import tty
from collections.abc import Generator
from contextlib import contextmanager

import msgspec

from drivers.dialects.base import ModbusQuery, Request
from drivers.dialects.registry import DialectName, dialect
from drivers.line import Line, LineTiming
from drivers.transport.base import SerialSettings
from drivers.transport.serial import open_serial
from gateway.runtime.loop import run_loop

BITS_A_CHARACTER = 11
SILENCE_CHARACTERS = 3.5
REQUEST_BYTES = 8
REPLY_OVERHEAD_BYTES = 5
CHUNK_BYTES = 14  # where a 16-byte UART tells its driver
BAUDS = (9600, 19200)
REGISTERS = (64, 11, 1)  # the reference cap unit, an SMC HRS, the least there is
UNIT_DELAY_S = 0.005
WINDOW_S = 8.0
TIMING = LineTiming(gap_s=0.0, timeout_s=1.0, drain_s=0.2)


class Wire(msgspec.Struct, frozen=True):
    """The times of one exchange at one speed."""

    baud: int
    registers: int

    @property
    def character_s(self) -> float:
        """One character."""
        return BITS_A_CHARACTER / self.baud

    @property
    def reply_bytes(self) -> int:
        """The reply's length."""
        return REPLY_OVERHEAD_BYTES + 2 * self.registers

    @property
    def ideal_s(self) -> float:
        """Request, silence, the unit's delay, reply, silence: a line that loses nothing."""
        characters = REQUEST_BYTES + self.reply_bytes + 2 * SILENCE_CHARACTERS
        return characters * self.character_s + UNIT_DELAY_S


def unit(descriptor: int, wire: Wire) -> None:
    """Answers for ever, at the wire's pace."""
    codec = dialect(DialectName.MODBUS_RTU)
    buffer = b""
    while True:
        buffer += os.read(descriptor, REQUEST_BYTES)
        if len(buffer) < REQUEST_BYTES:
            continue
        heard_at = time.perf_counter()
        request = codec.scan_request(buffer)
        buffer = b""
        if not isinstance(request, Request):
            raise TypeError(f"not a request: {request}")
        reply = codec.encode_reply(request, (0xFFD6,) * wire.registers)
        at = heard_at + (REQUEST_BYTES + SILENCE_CHARACTERS) * wire.character_s + UNIT_DELAY_S
        for start in range(0, len(reply), CHUNK_BYTES):
            chunk = reply[start : start + CHUNK_BYTES]
            at += len(chunk) * wire.character_s
            time.sleep(max(at - time.perf_counter(), 0.0))
            os.write(descriptor, chunk)


@contextmanager
def serial_line(wire: Wire) -> Generator[str]:
    """A pseudo-terminal with the unit at its other end; gives its path."""
    near, far = os.openpty()
    tty.setraw(near)
    tty.setraw(far)
    process = multiprocessing.get_context("fork").Process(target=unit, args=(near, wire), daemon=True)
    process.start()
    try:
        yield os.ttyname(far)
    finally:
        process.kill()
        process.join()
        os.close(near)
        os.close(far)


async def exchanges(path: str, wire: Wire) -> tuple[int, float]:
    """How many exchanges in how many seconds."""
    settings = SerialSettings(wire.baud)
    line = Line(path, lambda: open_serial(path, settings), dialect(DialectName.MODBUS_RTU), TIMING, wire.baud)
    query = ModbusQuery(1, 3, 0, wire.registers)
    await line.exchange(query)
    count = 0
    began_s = ended_s = time.perf_counter()
    while ended_s - began_s < WINDOW_S:
        await line.exchange(query)
        count += 1
        ended_s = time.perf_counter()
    line.close()
    return count, ended_s - began_s


def main() -> None:
    """Print a row for each speed and size."""
    print(f"{'baud':>6} {'registers':>9} {'exchanges':>9} {'ideal ms':>9} {'measured ms':>11} {'efficiency %':>12}")  # noqa: T201
    for baud in BAUDS:
        for registers in REGISTERS:
            wire = Wire(baud, registers)
            with serial_line(wire) as path:
                count, elapsed_s = run_loop(exchanges(path, wire))
            measured_s = elapsed_s / count
            print(  # noqa: T201
                f"{baud:6d} {registers:9d} {count:9d} {wire.ideal_s * 1000:9.2f} {measured_s * 1000:11.2f} "
                f"{100 * wire.ideal_s / measured_s:12.1f}",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
