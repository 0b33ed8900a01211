"""One run: a session of real processes with the faults of a seed, judged from outside."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.campaign.real.faults import STRIKES, Kind, revived
from tests.crash.killed_session import Scene, session_with

FURTHER_S = 3
MOST_FAULTS = 3


@dataclass(frozen=True)
class Run:
    """What came of a seed. `finding`: "" where nothing was lost, doubled or invented."""

    seed: int
    faults: tuple[Kind, ...]
    finding: str
    length_s: float
    folder: str  # kept where there is a finding


def faults_of(seed: int, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    """The faults of a seed, in their order: each kind comes first as often as any other."""
    chance = Random(f"faults {seed}")
    further = (chance.choice(kinds) for _ in range(chance.randrange(MOST_FAULTS)))
    return (kinds[seed % len(kinds)], *further)


async def run(seed: int, kinds: Sequence[Kind]) -> Run:
    """Play the seed."""
    faults, chance = faults_of(seed, kinds), Random(f"run {seed}")

    async def harm(scene: Scene) -> None:
        for kind in faults:
            await asyncio.sleep(chance.uniform(0, 3))
            await STRIKES[kind](scene, chance)
            await revived(scene)

    folder = Path(tempfile.mkdtemp(prefix=f"capgate-real-{seed}-"))
    began_s, finding = time.monotonic(), ""
    try:
        await session_with(folder, FURTHER_S, harm)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding of this seed, and the others are played
        finding = f"{type(error).__name__}: {error}"
    if not finding:
        shutil.rmtree(folder)
    return Run(seed, faults, finding, time.monotonic() - began_s, str(folder) if finding else "")
