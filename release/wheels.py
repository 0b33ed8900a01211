"""The wheels that one Python needs: Capgate's own, and exactly those of the lock."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = "requirements.txt"
LEFT_OUT = "left-out.txt"
_LEFT_OUT_HEAD = "# The following packages were excluded from the output:\n"  # how the lock ends
OLDEST_GLIBC, NEWEST_GLIBC = 5, 36  # minor numbers of 2.x; Debian 12 has 2.36
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True)
class Target:
    """A CPython on a Linux machine."""

    python: str  # "3.11"
    machine: str  # as `uname -m` says: "x86_64", "aarch64"

    def __str__(self) -> str:
        return f"cp{self.python.replace('.', '')}-{self.machine}"

    def pip_options(self) -> list[str]:
        """By which pip takes wheels of this target, whatever Python it runs on itself."""
        glibc = range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)
        platforms = [*(f"manylinux_2_{minor}_{self.machine}" for minor in glibc), f"manylinux2014_{self.machine}"]
        chosen = [option for platform in platforms for option in ("--platform", platform)]
        return ["--implementation", "cp", "--python-version", self.python, *chosen, "--only-binary=:all:"]


def commit_s() -> int:
    """When the commit that is checked out was made, which stamps what is built: seconds since 1970."""
    said = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True)
    return int(said.stdout)


def own_wheel(folder: Path) -> Path:
    """Build Capgate's wheel into `folder`; the same commit makes the same bytes."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(commit_s())}
    subprocess.run([*_PIP, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True, env=environment)
    (wheel,) = folder.glob("capgate-*.whl")
    return wheel


def fetch(target: Target, own: Path, folder: Path) -> None:
    """Put into `folder` the wheels of `target`, the lock of all with Capgate's own, and what it leaves out."""
    lock = ROOT / LOCK
    download = [*_PIP, "download", "--no-deps", "--require-hashes", "--requirement", lock, "--dest", folder]
    subprocess.run([*download, *target.pip_options()], check=True)
    content = own.read_bytes()
    (folder / own.name).write_bytes(content)
    name, version = own.name.split("-")[:2]
    entry = f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
    locked = lock.read_text()
    (folder / LOCK).write_text(entry + locked)
    (folder / LEFT_OUT).write_text(locked.partition(_LEFT_OUT_HEAD)[2].replace("# ", ""))


def install(target: Target, wheels: Path, folder: Path) -> None:
    """Install the wheels that `fetch` put there into `folder`, without a network."""
    offline = ["install", "--no-index", "--find-links", wheels, "--no-deps", "--require-hashes"]
    into = ["--requirement", wheels / LOCK, "--target", folder, "--no-compile", "--no-warn-conflicts"]
    subprocess.run([*_PIP, *offline, *into, *target.pip_options()], check=True)
