"""What a dialect makes of replies with one to three bits flipped: every pattern is tried, none is drawn by chance.

    python -m tests.scorecard.flips

prints the table of docs/reference/line-errors.md. A pattern is *wrong* when a temperature comes out that is not the
one that was sent: past the dialect, the profile's sentinels and its range. Where the line has a parity bit, the eighth
bit of a character stands for it, and a character that parity finds damaged arrives as NUL, as drivers.transport.serial
sets the port.
"""

import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from drivers.decode.decoder import Decoder
from drivers.dialects.base import Dialect, NeedMore, Query, Raw, Reply
from drivers.dialects.registry import dialect
from drivers.profile.dialect_shapes import ModbusProfile
from drivers.profile.load import DeviceProfile, load_profile
from drivers.transport.base import Parity
from tests.contract.profile_wire import SHIPPED, TRANSACTION, asked_by, frame_bytes, good_poll, profile_shape

ONE_REGISTER = Path(__file__).parents[1] / "data" / "profiles" / "peer-beyond.toml"
FLIPS = (1, 2, 3)
POINT = "coolant_supply"

MODBUS = {  # the same register, -4.2, in each framing
    "modbus-rtu": ("CRC-16", bytes.fromhex("01 03 02 FF D6 78 2A")),
    "modbus-ascii": ("LRC, 8 bits", b":010302FFD625\r\n"),
    "modbus-tcp": ("none of its own", bytes.fromhex("00 01 00 00 00 05 01 03 02 FF D6")),
}
CHECKS = {"nc": "sum, 8 bits"}  # of the dialects without registers; the others have none


class Sample(NamedTuple):
    """One reply that carries a temperature."""

    title: str
    check: str
    profile: DeviceProfile
    poll: dict[str, Raw]  # the answers of the whole poll
    block: str
    query: Query
    reply: bytes
    has_parity: bool  # seven data bits and a parity bit


class Counted(NamedTuple):
    """Of all patterns of so many flips: how many there are, how many gave a wrong value."""

    patterns: int
    wrong: int

    def __str__(self) -> str:
        share = f" ({100 * self.wrong / self.patterns:.2g} %)" if self.wrong else ""
        return f"{self.wrong:,} of {self.patterns:,}{share}"


def samples() -> list[Sample]:
    """One reply of each Modbus framing, and one of each profile that speaks another language."""
    found: list[Sample] = []
    for name, (check, reply) in MODBUS.items():
        profile = load_profile(ONE_REGISTER, {"dialect": name})
        has_parity = name == "modbus-ascii"  # seven bits by the standard; in RTU and TCP the table needs none
        (block,) = profile.blocks
        found.append(Sample(name, check, profile, {}, block.name, block.query(1), reply, has_parity))
    for path in SHIPPED:
        model = profile_shape(path)
        if not isinstance(model, ModbusProfile):
            found.append(_sample_of(path))
    return found


def _sample_of(path: Path) -> Sample:
    profile, golden = load_profile(path), profile_shape(path).golden[0]
    (wanted,) = {point.block for point in profile.points if point.name == POINT}
    for exchange in golden.exchanges:
        block, query = asked_by(profile, frame_bytes(profile, exchange.tx))
        if block.name == wanted:
            reply = frame_bytes(profile, exchange.rx)
            parity = profile.serial.parity is not Parity.NONE
            check = CHECKS.get(profile.dialect, "none")
            title = f"{profile.dialect} ({profile.id})"
            return Sample(title, check, profile, good_poll(path), wanted, query, reply, parity)
    raise LookupError(f"{path}: its first golden poll does not read {POINT}")


class Judge:
    """Tells what comes out of a damaged reply."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._spoken = dialect(sample.profile.dialect)
        self._decoder = Decoder(sample.profile)
        self._values: dict[Raw, object] = {}
        self.truth = self.value_of(sample.reply)
        if self.truth is None:
            raise LookupError(f"{sample.title}: the undamaged reply gives no value")

    def value_of(self, arrived: bytes) -> object:
        """The temperature that is taken from these bytes, or None."""
        raw = accepted(self._spoken, arrived, self._sample.query)
        if raw is None:
            return None
        if raw not in self._values:
            points = self._decoder.points({**self._sample.poll, self._sample.block: raw})
            (self._values[raw],) = [point.value for point in points if point.name == POINT]
        return self._values[raw]

    def is_wrong(self, arrived: bytes) -> bool:
        """Whether a value comes out that nobody sent."""
        value = self.value_of(arrived)
        return value is not None and value != self.truth


def accepted(codec: Dialect, arrived: bytes, query: Query) -> Raw | None:
    """The answer that a line would take from its buffer."""
    while not isinstance(verdict := codec.scan(arrived, query, TRANSACTION), NeedMore):
        if isinstance(verdict, Reply):
            return verdict.raw
        arrived = arrived[verdict.consumed :]
    return None


def flipped(reply: bytes, flips: int) -> Iterator[bytes]:
    """The reply with every choice of that many bits flipped."""
    whole = int.from_bytes(reply, "big")
    bits = [1 << place for place in range(8 * len(reply))]
    for chosen in combinations(bits, flips):
        yield (whole ^ sum(chosen)).to_bytes(len(reply), "big")


def through_parity(reply: bytes, arrived: bytes) -> bytes:
    """What the port hands on: characters of seven bits, a damaged one as NUL."""
    return bytes(
        came & 0x7F if (came ^ sent).bit_count() % 2 == 0 else 0 for sent, came in zip(reply, arrived, strict=True)
    )


def measured(sample: Sample) -> dict[bool, list[Counted]]:
    """For 1, 2 and 3 flips: without parity, and with it where the line has one."""
    judge = Judge(sample)
    counts: dict[bool, list[Counted]] = {}
    for is_looked_at in (False, True)[: 1 + sample.has_parity]:
        counts[is_looked_at] = [_count(judge, sample.reply, flips, is_looked_at) for flips in FLIPS]
    return counts


def _count(judge: Judge, reply: bytes, flips: int, parity_is_looked_at: bool) -> Counted:
    patterns = wrong = 0
    for arrived in flipped(reply, flips):
        patterns += 1
        wrong += judge.is_wrong(through_parity(reply, arrived) if parity_is_looked_at else arrived)
    return Counted(patterns, wrong)


def measure_all() -> list[tuple[Sample, dict[bool, list[Counted]]]]:
    """Every sample with its counts; some seconds."""
    return [(sample, measured(sample)) for sample in samples()]


def table(measurements: list[tuple[Sample, dict[bool, list[Counted]]]]) -> str:
    """The measured table in Markdown."""
    lines = ["| reply of | its check | parity looked at | 1 bit | 2 bits | 3 bits |", "|---|---|---|---|---|---|"]
    for sample, counts in measurements:
        for is_looked_at, row in counts.items():
            parity = "yes" if is_looked_at else "no"
            lines.append(f"| {sample.title} | {sample.check} | {parity} | {' | '.join(map(str, row))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(f"{table(measure_all())}\n")
