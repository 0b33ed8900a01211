"""The scorecard: the fault tests with their long repeats, and whether the tests notice planted bugs.

    python -m tests.scorecard [ROW]...

Prints one line a row, what failed below it, and writes nothing. Exits 0 when every row that was asked for passed. R13,
R56 and R57 mount file systems and so need root; all of it takes about an hour. The clinic's long campaigns take hours
and run where their rows are named: R53 (400 runs of sixty days), R54 (four of three years); so does R58 (300 sessions
of real processes).
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.scorecard.rows import ON_REQUEST, ROWS, Repeat, Row

ROOT = Path(__file__).parents[2]
MUTATION = "R52"
PYTEST = ("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-o", "timeout=3600")


class Result(NamedTuple):
    """How a row ended."""

    passed: bool
    told: str  # pytest's last line
    failures: list[str]
    took_s: float


def run(row: Row) -> Result:
    """The row's tests with its repeats."""
    environment = {**os.environ, "CAPGATE_REPEATS": str(row.repeats)}
    if row.how is Repeat.NONE:
        del environment["CAPGATE_REPEATS"]
    plugin = ("-p", "tests.scorecard.again") if row.how is Repeat.WHOLE else ()
    return _result([*PYTEST, *plugin, *row.tests], environment)


def run_mutants() -> Result:
    """R52: planted bugs, each to be noticed by some test."""
    return _result(["-m", "tests.mutants"], dict(os.environ))


def _result(arguments: list[str], environment: dict[str, str]) -> Result:
    began_s = time.monotonic()
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    lines = ended.stdout.splitlines() or ended.stderr.splitlines() or ["it said nothing"]
    failures = [line for line in lines if re.match(r"FAILED|ERROR|LIVES", line)]
    return Result(ended.returncode == 0, lines[-1].strip("= "), failures, time.monotonic() - began_s)


def say(number: str, repeats: str, result: Result, shows: str) -> None:
    """One line of the table, and what failed."""
    verdict = "pass" if result.passed else "FAIL"
    sys.stdout.write(f"{number:<5}{repeats:>10}  {verdict}  {result.took_s:7.1f} s  {shows}\n")
    for line in [] if result.passed else [*result.failures[:5], result.told]:
        sys.stdout.write(f"      {line[:160]}\n")
    sys.stdout.flush()


def main(numbers: list[str]) -> int:
    """Runs the rows that are asked for, by default all but the longest."""
    unknown = set(numbers) - {row.number for row in ROWS} - {MUTATION}
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}")
    sys.stdout.write(f"{'row':<5}{'repeats':>10}  {'':4}  {'time':>9}  shows\n")
    passed = True
    for row in ROWS:
        if row.number in numbers or not (numbers or row.number in ON_REQUEST):
            result = run(row)
            say(row.number, "" if row.how is Repeat.NONE else f"{row.repeats:,}", result, row.shows)
            passed = passed and result.passed
    if not numbers or MUTATION in numbers:
        result = run_mutants()
        say(MUTATION, "", result, f"planted bugs: {result.told}")
        passed = passed and result.passed
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
