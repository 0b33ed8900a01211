"""A tar of wheels and their lock, to install Capgate where there is no internet.

    python -m release.wheelhouse [--python 3.13] [--machine aarch64] [--out dist]

Without options for the Python and the machine that run it. The how-to for installing says what to do with it.
"""

import argparse
import platform
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from release import sbom
from release.wheels import Target, commit_s, fetch, own_wheel


def make(target: Target, out: Path) -> Path:
    """The tar, made in `out`. It has one folder of its own name."""
    with tempfile.TemporaryDirectory() as work:
        own = own_wheel(Path(work))
        version = own.name.split("-")[1]
        folder = Path(work) / f"capgate-{version}-{target}"
        folder.mkdir()
        fetch(target, own, folder)
        sbom.write(folder, version)
        out.mkdir(parents=True, exist_ok=True)
        made = out / f"{folder.name}.tar"
        shutil.move(_tar(folder), made)
    return made


def _tar(folder: Path) -> Path:
    file = folder.with_name(f"{folder.name}.tar")
    with tarfile.open(file, "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, f"{folder.name}/{path.name}", filter=_as_anybody)
    return file


def _as_anybody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = commit_s()
    member.mode = 0o644
    return member


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m release.wheelhouse")
    parser.add_argument("--python", default=f"{sys.version_info.major}.{sys.version_info.minor}", help="as 3.13")
    parser.add_argument("--machine", default=platform.machine(), help="as uname -m says: x86_64, aarch64")
    parser.add_argument("--out", default=Path("dist"), type=Path)
    options = parser.parse_args()
    made = make(Target(options.python, options.machine), options.out)
    sys.stdout.write(f"{made}  {made.stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
