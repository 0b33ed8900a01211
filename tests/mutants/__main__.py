"""Do the tests notice? Each planted bug is put into a copy of the tree and its tests are run there.

    python -m tests.mutants [NUMBER]...

Exits 0 if at most one is not caught, and if all its tests pass in a copy without any bug.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.planted import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("gateway", "drivers", "simulators", "config", "tests", "docs", "pyproject.toml")
MAY_LIVE = 1
AT_ONCE = 2


def run_tests(tree: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Pytest in a copy of the tree, whose packages hide the installed ones."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def copy_tree(target: Path) -> Path:
    """A copy of all that the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(source, target / name)
    return target


def plant(tree: Path, mutant: Mutant) -> None:
    """Writes the bug into the copy. Fails if its place is not there exactly once."""
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        sys.exit(f"{mutant.name}: its place stands {text.count(mutant.old)} times in {mutant.file}")
    path.write_text(text.replace(mutant.old, mutant.new))


def caught_by(mutant: Mutant) -> str:
    """The first test that notices the bug; "" if none does."""
    with tempfile.TemporaryDirectory() as directory:
        tree = copy_tree(Path(directory))
        plant(tree, mutant)
        run = run_tests(tree, mutant.tests)
    if run.returncode == 0:
        return ""
    failed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not failed:
        sys.exit(f"{mutant.name}: the tests did not run:\n{run.stdout}{run.stderr}")
    return failed[0].split(" - ")[0]


def main(numbers: list[str]) -> int:
    """Says of each bug who caught it."""
    chosen = [MUTANTS[int(number) - 1] for number in numbers] or list(MUTANTS)
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        control = run_tests(copy_tree(Path(directory)), tuple(sorted({test for each in chosen for test in each.tests})))
    if control.returncode != 0:
        sys.exit(f"the tests fail without any bug:\n{control.stdout}")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(caught_by, chosen))
    for mutant, test in zip(chosen, found, strict=True):
        sys.stdout.write(f"{'caught' if test else 'LIVES '}  {mutant.name}  {test}\n")
    alive = found.count("")
    sys.stdout.write(f"{len(chosen) - alive} of {len(chosen)} caught in {time.monotonic() - started_s:.0f} s\n")
    return 0 if alive <= MAY_LIVE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
