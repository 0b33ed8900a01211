"""Runs one seed on a loop of its own, and finds the shortest prefix of a run that fails."""

import asyncio
import logging
import random
import shutil
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from gateway.ledger import schema
from gateway.messages.notation import Notation
from gateway.session import rules
from tests.campaign.clinic_time import CampaignLoop
from tests.campaign.faults import Kind
from tests.campaign.life import Life
from tests.campaign.plan import Rule, Violation
from tests.campaign.receipts import Verdict
from tests.campaign.world import World

_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    seed: int
    days: int
    trace: str
    violations: tuple[Violation, ...]
    known: dict[str, int]  # violations of rules that were spared
    fired: dict[str, int]
    counts: dict[str, int]
    accepted: dict[str, int]  # statements of the EHR, by notation
    receipts: dict[str, int]  # of the engine that the gateway took, and orders to send a charge again
    visits: int
    open_visits: int
    lives: int
    memory: int
    took_s: float

    @property
    def sound(self) -> bool:
        """Whether nothing was violated."""
        return not self.violations

    @property
    def day(self) -> int:
        """The day of the first violation."""
        return self.violations[0].day if self.violations else self.days


def run(
    seed: int, days: int, kinds: frozenset[Kind], spared: frozenset[Rule] = frozenset(), live: type[Life] = Life
) -> Result:
    """Play one run in a directory of memory; `live` is how a process of the gateway is played."""
    began_s = time.process_time()
    folder = Path(tempfile.mkdtemp(prefix="campaign-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        with _seeded(seed), asyncio.Runner(loop_factory=CampaignLoop) as runner:
            world = runner.run(_play(seed, days, kinds, spared, folder, live))
    finally:
        shutil.rmtree(folder)
    return Result(
        seed=seed,
        days=days,
        trace=world.bus.trace,
        violations=tuple(world.violations),
        known={rule.value: count for rule, count in sorted(world.known.items())},
        fired={kind.value: count for kind, count in sorted(world.fired.items())},
        counts=dict(sorted(world.bus.counts.items())),
        accepted={notation.value: count for notation, count in sorted(world.engine.accepted.items())},
        receipts=dict(sorted(world.receipts.counts.items())),
        visits=len(world.judge.cases),
        open_visits=world.judge.open,
        lives=world.lives,
        memory=world.largest_memory,
        took_s=time.process_time() - began_s,
    )


def missing(results: Sequence[Result], kinds: Iterable[Kind]) -> Iterator[str]:
    """What runs that came to something have, and these have not."""
    for what, count in (("unit counted", "emit"), ("charge at the broker", "charge")):
        if not any(result.counts.get(count) for result in results):
            yield f"no {what} in {len(results)} runs"
    for notation in Notation:
        if not any(result.accepted.get(notation) for result in results):
            yield f"nothing said in {notation} was accepted in {len(results)} runs"
    for what in (*Verdict, "said twice", "ordered again"):
        if not any(result.receipts.get(what) for result in results):
            yield f"no charge was {what} in {len(results)} runs"
    for kind in sorted(kinds):
        if not any(result.fired.get(kind) for result in results):
            yield f"fault {kind} never struck in {len(results)} runs"


def shrink(
    result: Result, kinds: frozenset[Kind], spared: frozenset[Rule], live: type[Life]
) -> tuple[Result, frozenset[Kind]]:
    """The shortest prefix with the fewest kinds of faults that still breaks a rule."""
    result = _shortest(result, kinds, spared, live)
    for kind in sorted(kinds):
        fewer = run(result.seed, result.days, kinds - {kind}, spared, live)
        if not fewer.sound:
            result, kinds = fewer, kinds - {kind}
    return _shortest(result, kinds, spared, live), kinds


def _shortest(result: Result, kinds: frozenset[Kind], spared: frozenset[Rule], live: type[Life]) -> Result:
    """The fewest days that fail: those up to the violation, halved where the end of the run alone shows it."""
    failing, sound = result, 0
    while failing.days - sound > 1:
        days = failing.day + 1 if failing.day + 1 < failing.days else (sound + failing.days) // 2
        shorter = run(failing.seed, days, kinds, spared, live)
        if shorter.sound:
            sound = days
        else:
            failing = shorter
    return failing


async def _play(
    seed: int, days: int, kinds: frozenset[Kind], spared: frozenset[Rule], folder: Path, live: type[Life]
) -> World:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CampaignLoop)
    world = World(seed, folder, loop, kinds, spared, live)
    try:
        await world.run(days)
    except Exception as error:  # noqa: BLE001 - whatever the run meets, the next seed is played
        world.complain(Rule.ALIVE, f"{type(error).__name__}: {error}")
    return world


@contextmanager
def _seeded(seed: int) -> Generator[None]:
    """All chance comes from the seed, and the log is silent."""
    schema.current_objects()  # made once a process, not once a run, and not without chance
    source = random.Random(f"secrets {seed}")
    random.seed(f"chance {seed}")
    logging.disable(logging.CRITICAL)
    try:
        with (
            mock.patch.object(rules, "REVISION", rules.REVISION),  # an upgrade in a run is none in the next
            mock.patch("secrets.choice", source.choice),
            mock.patch("secrets.token_hex", lambda count=32: source.randbytes(count).hex()),
            mock.patch("secrets.token_bytes", lambda count=32: source.randbytes(count)),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)
