"""Boxes: a clean Debian of a release, booted with its own systemd and without a network.

Made once a release by mmdebstrap, which needs root and the distribution's archive, and kept beside other temporary
files as a tar; each box is a fresh copy of it.
"""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.support.tools import tool

ROOT = Path(__file__).parents[2]
PEOPLE = "admin"  # who may use sudo, as the pages ask of their reader
PACKAGES = "systemd,systemd-sysv,dbus,sudo,python3,python3-venv,openssl,mosquitto,mosquitto-clients"
HOSTS = "127.0.0.1 localhost gw-01 broker.north.example\n"
_BOOTED = {"running\n", "degraded\n"}
_STORE = Path(tempfile.gettempdir()) / "capgate-boxes"
_JOURNAL = ("journalctl", "--no-pager", "-o", "cat", "-n", "30")
Run = subprocess.CompletedProcess[str]


class Box:
    """A booted Debian; its files are those of `root`."""

    def __init__(self, release: str, root: Path, pid: int) -> None:
        self.release = release
        self.root = root
        self.home = root / "home" / PEOPLE
        self._enter = ["nsenter", f"--target={pid}", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]

    def run(self, script: str, *, user: str = PEOPLE, check: bool = True) -> Run:
        """Perform a script as that user, who says yes to every question; its first failing command ends it.

        What it printed is in `stdout`.
        """
        file = self.root / "var/tmp/script"
        file.write_text(script)
        as_user = ["runuser", "--login", user, "--command", "bash -euo pipefail /var/tmp/script"]
        done = subprocess.run(
            [*self._enter, *as_user], input="y\n" * 50, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, timeout=600,
        )  # fmt: skip
        if check and done.returncode:
            log = subprocess.run([*self._enter, *_JOURNAL], stdout=subprocess.PIPE, text=True, check=False).stdout
            raise AssertionError(f"{script}\n--- exit {done.returncode}\n{done.stdout[-3000:]}\n--- journal\n{log}")
        return done


@contextmanager
def booted(release: str, folder: Path) -> Generator[Box]:
    """A fresh box of that Debian release, unpacked in `folder`."""
    assert os.geteuid() == 0, "a box is booted by root alone"
    root = folder / release
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", archive(release)], check=True)
    (root / "etc/hosts").write_text(HOSTS)
    (root / "etc/hostname").write_text("gw-01\n")
    (root / "etc/sudoers.d" / PEOPLE).write_text(f"{PEOPLE} ALL=(ALL) NOPASSWD: ALL\n")
    with (folder / "boot.log").open("wb") as log:
        boot = subprocess.Popen(
            [ROOT / "tests/scorecard/boot.sh", root], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            box = Box(release, root, _systemd_of(boot))
            box.run(f"useradd --create-home --shell /bin/bash {PEOPLE}", user="root")
            yield box
        finally:
            boot.send_signal(signal.SIGKILL)
            boot.wait()


def archive(release: str, variant: str = "apt", packages: str = PACKAGES) -> Path:
    """A tar of that Debian release, as mmdebstrap makes it."""
    tar = _STORE / f"{release}-{variant}.tar"
    if not tar.exists():
        _STORE.mkdir(exist_ok=True)
        new = tar.with_name(f"{os.getpid()}.tar")
        make = [tool("mmdebstrap"), "--quiet", f"--variant={variant}", f"--include={packages}", release, new]
        subprocess.run(make, check=True)
        new.replace(tar)
    return tar


def commands(page: Path, heading: str = "") -> list[str]:
    """The blocks of shell on a page of the docs, in order; only those under a heading, if one is given."""
    text = page.read_text()
    if heading:
        (text,) = re.findall(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]


def _systemd_of(boot: subprocess.Popen[bytes]) -> int:
    """Its process id, once it has booted."""
    children = Path(f"/proc/{boot.pid}/task/{boot.pid}/children")
    while boot.poll() is None:
        for pid in map(int, children.read_text().split()):
            enter = ["nsenter", f"--target={pid}", "--mount", "--pid", "--cgroup"]
            asked = subprocess.run(
                [*enter, "systemctl", "is-system-running", "--wait"], capture_output=True, text=True, check=False
            )
            if asked.stdout in _BOOTED:
                return pid
    raise AssertionError("the box ended while it booted")
