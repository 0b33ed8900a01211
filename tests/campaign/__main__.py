"""The clinic on a virtual clock: plays weeks to years of a clinic against the gateway and judges what comes of it.

    python -m tests.campaign --seed S --runs N --days D [--faults K,...] [--spare RULE,...] [--whole] [--json]

With --whole each process is the whole gateway, polling by itself; without, it is all from the recording on, which costs
a fifth. Prints one line a run and the totals. A failing seed is shown with the shortest prefix of days and the fewest
kinds of faults that still fail. Exits 1 on a violation, 3 if the runs came to nothing: nothing counted, nothing
charged, or a kind of fault that never struck.
"""

import argparse
import gc
import json
import sys
from collections import Counter
from collections.abc import Sequence

from tests.campaign.faults import Kind
from tests.campaign.life import Life
from tests.campaign.plan import Rule
from tests.campaign.run import Result, missing, run, shrink
from tests.campaign.whole import WholeLife


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--faults", default="all", help=f"all, none, or some of {','.join(Kind)}")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--whole", action="store_true", help="play the whole gateway, from the bytes of the units on")
    parser.add_argument("--no-shrink", action="store_true", help="show a failing run as it is")
    parser.add_argument("--spare", default="", help=f"play on where these rules are broken: {','.join(Rule)}")
    asked = parser.parse_args()
    spared = frozenset(Rule(name) for name in asked.spare.split(",") if name)
    kinds = _kinds(asked.faults)
    live = WholeLife if asked.whole else Life
    results: list[Result] = []
    gc.set_threshold(50_000)  # few circles are made, and looking for them costs a tenth
    for seed in range(asked.seed, asked.seed + asked.runs):
        result = run(seed, asked.days, kinds, spared, live)
        results.append(result)
        _show(result, as_json=asked.json)
        if not result.sound and not asked.no_shrink:
            shorter, fewer = shrink(result, kinds, spared, live)
            if not asked.json:
                how = " --whole" if asked.whole else ""
                _say(f"  --seed {seed} --days {shorter.days} --faults {','.join(sorted(fewer)) or 'none'}{how}")
                for each in shorter.violations[:3]:
                    _say(f"    {each.rule}: {each.text}")
    failed = sum(not result.sound for result in results)
    lacking = tuple(missing(results, kinds))
    _sum_up(results, failed, lacking, as_json=asked.json)
    return 1 if failed else 3 if lacking else 0


def _sum_up(results: Sequence[Result], failed: int, lacking: Sequence[str], *, as_json: bool) -> None:
    totals = Counter[str]()
    for result in results:
        totals.update(result.fired)
    speed = sum(result.days for result in results) * 24 / sum(result.took_s for result in results) * 60
    runs = len(results)
    if as_json:
        summary = {"runs": runs, "failed": failed, "missing": lacking, "faults": totals, "hours_per_cpu_minute": speed}
        _say(json.dumps(summary))
        return
    fired = ", ".join(f"{kind} {totals[kind]}" for kind in Kind if totals[kind]) or "none"
    _say(f"{runs} runs, {failed} failed; faults: {fired}; {speed:.0f} clinic hours a CPU minute")
    for text in lacking:
        _say(f"came to nothing: {text}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _kinds(text: str) -> frozenset[Kind]:
    if text in ("all", "none"):
        return frozenset(Kind) if text == "all" else frozenset()
    return frozenset(Kind(name) for name in text.split(","))


def _show(result: Result, *, as_json: bool) -> None:
    if as_json:
        _say(json.dumps({**result.__dict__, "sound": result.sound}))
        return
    counts = " ".join(f"{what} {count}" for what, count in (*result.counts.items(), *result.receipts.items()))
    known = "".join(f"{rule} broken {count} times, " for rule, count in result.known.items())
    state = "sound" if result.sound else f"FAILS on day {result.day}"
    _say(
        f"seed {result.seed}: {state}, {result.visits} visits, {result.lives} lives, {counts or 'nothing counted'}, "
        f"{result.open_visits} open, {known}memory {result.memory}, {result.took_s:.1f} s, trace {result.trace}",
    )
    for each in result.violations[:1]:
        _say(f"  {each.rule}: {each.text}")


if __name__ == "__main__":
    sys.exit(main())
