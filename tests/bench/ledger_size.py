"""What a large ledger costs: `python -m tests.bench.ledger_size [ENTRIES]`.

Says how many bytes a year a clinic writes in which each of twenty caps treats one patient a day. Then writes a ledger
of that size (a million entries take some minutes) and times what people ask of it, each command in a process of its
own. Prints what was measured and asserts nothing.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.long_ledger import DAY_US, ENTRIES, T0_US, Clinic, Size, write_ledger

CAPS = 20
DAYS = 5  # that are measured for a year
SESSION, DAY = "T00000042", "2026-03-14"


def measure(name: str, command: list[str]) -> None:
    """Runs a command, and prints its wall and processor seconds and its greatest memory."""
    started_s = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s, peak_mib = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    say(f"{name:10} {wall_s:9.2f} {cpu_s:9.2f} {peak_mib:9.1f} {process.returncode:5d}")


def bytes_a_year(directory: Path) -> int:
    """What a year of clinic days adds to a ledger, by the size of some days."""
    path = directory / "year.db"
    clinic = Clinic(path, CAPS)
    sizes: list[int] = []
    for number in range(2 * DAYS):
        clinic.day(T0_US + number * DAY_US)
        clinic.deliver()
        if (number + 1) % DAYS == 0:
            clinic.settle()
            sizes.append(path.stat().st_size)
    clinic.close()
    path.unlink()
    return (sizes[1] - sizes[0]) * 365 // DAYS


def main(entries: int) -> None:
    """Print the bytes of a year, and a row for each command."""
    with tempfile.TemporaryDirectory(prefix="capgate-bench-") as name:
        say(f"{bytes_a_year(Path(name)) / 1e6:.0f} MB a year of clinic days")
    with tempfile.TemporaryDirectory(prefix="capgate-bench-") as name:
        path = Path(name) / "ledger.db"
        write_ledger(path, Size(entries))
        say(f"{entries} entries, {path.stat().st_size / 1e6:.0f} MB")
        say(f"{'':10} {'wall s':>9} {'CPU s':>9} {'peak MiB':>9} {'exit':>5}")
        capgate = [str(Path(sys.executable).with_name("capgate")), "ledger"]
        for what, options in (
            ("show", [SESSION]),
            ("export", [SESSION, "--out", name]),
            ("reconcile", ["--day", DAY]),
            ("verify", []),
        ):
            measure(what, [*capgate, what, str(path), *options])


def say(line: str) -> None:
    """A line of the result, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES)
