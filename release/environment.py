"""A virtual environment that works where it will lie, for every Python that it has libraries for.

Theory of operation. `bin/python3` is the machine's own; of `lib/python3.N/site-packages` it takes that of its version.
So one environment serves machines with different Pythons, and goes on when a machine gets a later one of them. A file
that several versions have alike is stored once.
"""

import filecmp
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from release.wheels import Target, install

INTERPRETER = Path("/usr/bin/python3")
_LAUNCHER = """#!{python} -I
import sys
from gateway.cli import main
sys.exit(main(prog_name="capgate"))
"""


def make(root: Path, prefix: Path, targets: Sequence[tuple[Target, Path]]) -> None:
    """Make under `root` the environment that will be `prefix`, from the wheels of each target's folder."""
    home = root / prefix.relative_to("/")
    programs = home / "bin"
    programs.mkdir(parents=True)
    (programs / "python3").symlink_to(INTERPRETER)
    (programs / "python").symlink_to("python3")
    (home / "pyvenv.cfg").write_text(f"home = {INTERPRETER.parent}\ninclude-system-site-packages = false\n")
    launcher = programs / "capgate"
    launcher.write_text(_LAUNCHER.format(python=prefix / "bin" / "python3"))
    launcher.chmod(0o755)
    first: Path | None = None
    for target, wheels in targets:
        libraries = home / "lib" / f"python{target.python}" / "site-packages"
        install(target, wheels, libraries)
        shutil.rmtree(libraries / "bin", ignore_errors=True)  # commands of libraries, made for this machine
        if first is None:
            first = libraries
        else:
            store_once(first, libraries)


def store_once(first: Path, second: Path) -> None:
    """Make files of `second` that `first` has too into links to these."""
    for path in second.rglob("*"):
        twin = first / path.relative_to(second)
        if path.is_file() and twin.is_file() and filecmp.cmp(path, twin, shallow=False):
            path.unlink()
            os.link(twin, path)
