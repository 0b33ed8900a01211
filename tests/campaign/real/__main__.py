"""Faults made on the installed gateway: real processes, mosquitto, simulated units, and an outside judge.

    python -m tests.campaign.real [--seed S] [--seeds N] [--kinds K,…] [--at-once M] [--json]

One line a run, then the totals. Exits 1 where something was lost, doubled or invented; the folder of such a run is
kept.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from tests.campaign.real.faults import Kind
from tests.campaign.real.run import Run, run
from tests.support.suite import environment_has


def main() -> int:
    """Play the seeds that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.real", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--kinds", type=_kinds, default=tuple(Kind), help=f"some of {','.join(Kind)}")
    parser.add_argument("--at-once", type=int, default=4, help="runs at the same time")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    environment_has("mosquitto", "mosquitto_sub", "mosquitto_pub", "strace")
    seeds = range(asked.seed, asked.seed + asked.seeds)
    return asyncio.run(_play(seeds, asked.kinds, asked.at_once, as_json=asked.json))


def _kinds(text: str) -> tuple[Kind, ...]:
    try:
        return tuple(Kind(name) for name in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; accepted: {', '.join(Kind)}") from error


async def _play(seeds: Sequence[int], kinds: Sequence[Kind], at_once: int, *, as_json: bool) -> int:
    places = asyncio.Semaphore(at_once)

    async def play(seed: int) -> Run:
        async with places:
            return await run(seed, kinds)

    fired: Counter[Kind] = Counter()
    failed = 0
    for playing in asyncio.as_completed([play(seed) for seed in seeds]):
        result = await playing
        fired.update(result.faults)
        failed += bool(result.finding)
        sys.stdout.write(f"{json.dumps(asdict(result)) if as_json else _text(result)}\n")
        sys.stdout.flush()
    if not as_json:
        said = ", ".join(f"{kind} {fired[kind]}" for kind in kinds)
        sys.stdout.write(f"{len(seeds)} runs, {failed} with a finding; faults: {said}\n")
    return 1 if failed else 0


def _text(result: Run) -> str:
    came = f"{result.finding} ({result.folder})" if result.finding else "sound"
    return f"seed {result.seed}: {', '.join(result.faults)}: {came}, {result.length_s:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
