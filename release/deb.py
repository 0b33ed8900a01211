"""The Debian package: `python -m release.deb [--machine aarch64] [--out dist]`. Needs dpkg-deb, not root.

It installs without a network on Debian 12 and 13, whose Pythons differ: its environment has the libraries of both.
"""

import argparse
import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

from release import environment, manual, sbom
from release.components import stated_licence
from release.wheels import ROOT, Target, commit_s, fetch, own_wheel

PYTHONS = ("3.11", "3.13")  # of Debian 12 and 13; release/debian/control names them too
PREFIX = Path("/opt/capgate")
CONFFILES = ("/etc/capgate/gateway.toml.example",)
_DEBIAN = Path(__file__).with_name("debian")
_DEPLOY = ROOT / "config" / "deploy"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def make(machine: str, out: Path, compression: str = "xz") -> Path:
    """The package for that machine, made in `out`."""
    architecture = _ARCHITECTURES[machine]
    with tempfile.TemporaryDirectory() as work:
        own = own_wheel(Path(work))
        version = own.name.split("-")[1]
        targets = [(Target(python, machine), Path(work) / python) for python in PYTHONS]
        for target, wheels in targets:
            wheels.mkdir()
            fetch(target, own, wheels)
        root = Path(work) / "root"
        environment.make(root, PREFIX, targets)
        add_files(root, version)
        describe(root, version, architecture)
        out.mkdir(parents=True, exist_ok=True)
        package = out / f"capgate_{version}_{architecture}.deb"
        build(root, package, compression)
    return package


def add_files(root: Path, version: str) -> None:
    """Everything beside the environment."""
    manual.write(root, version, commit_s())
    for page in (root / "usr/share/man/man1").iterdir():
        _compress(page)
    for unit in _DEPLOY.glob("*.service"):
        _put(unit, root / "usr/lib/systemd/system" / unit.name)
    _put(_DEPLOY / "capgate.sysusers", root / "usr/lib/sysusers.d/capgate.conf")
    _put(ROOT / "config/gateway.toml", root / "etc/capgate/gateway.toml.example")
    (root / "etc/capgate/secrets").mkdir(mode=0o700)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/capgate").symlink_to(PREFIX / "bin/capgate")
    doc = root / "usr/share/doc/capgate"
    shutil.copytree(ROOT / "docs", doc / "docs")
    for page in ("README.md", "SECURITY.md"):
        _put(ROOT / page, doc / page)
    _put(ROOT / "CHANGELOG.md", doc / "changelog")
    _compress(doc / "changelog")
    (doc / "copyright").write_text(_copyright(root))
    sbom.write(doc, version)


def _copyright(root: Path) -> str:
    """Capgate's licence, and those that the libraries state of themselves."""
    stated = {(name, version): licence for name, version, licence in sorted(_distributions(root))}
    lines = [f"  {name} {version}: {licence}" for (name, version), licence in stated.items()]
    texts = f"The texts lie in the dist-info folders under {PREFIX}/lib. Libraries in the package:"
    return "\n\n".join([(ROOT / "LICENSE").read_text(), texts, "\n".join(lines)]) + "\n"


def _distributions(root: Path) -> Iterator[tuple[str, str, str]]:
    """Name, version and licence of every distribution in the environment."""
    for file in root.rglob("*.dist-info/METADATA"):
        metadata = HeaderParser().parsestr(file.read_text())
        yield metadata["Name"], metadata["Version"], stated_licence(metadata)


def describe(root: Path, version: str, architecture: str) -> None:
    """The package's description of itself, and the scripts that run on the box."""
    folder = root / "DEBIAN"
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    folder.mkdir()
    once = {path.stat().st_ino: path.stat().st_size for path in files}
    described = (_DEBIAN / "control").read_text()
    size_kib = sum(once.values()) // 1024
    (folder / "control").write_text(
        described.format(version=version, architecture=architecture, installed_kib=size_kib)
    )
    (folder / "conffiles").write_text("".join(f"{name}\n" for name in CONFFILES))
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files]
    (folder / "md5sums").write_text("".join(sums))
    _put(_DEBIAN / "triggers", folder / "triggers")
    for script in ("preinst", "postinst", "prerm", "postrm"):
        _put(_DEBIAN / script, folder / script, mode=0o755)


def build(root: Path, package: Path, compression: str) -> None:
    """Pack it; the same files make the same bytes. Compressions are dpkg-deb's."""
    command = ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", root, package]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(commit_s())}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def _put(source: Path, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _compress(file: Path) -> None:
    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
    file.unlink()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m release.deb")
    parser.add_argument("--machine", default=platform.machine(), choices=_ARCHITECTURES, help="as uname -m says")
    parser.add_argument("--out", default=Path("dist"), type=Path)
    options = parser.parse_args()
    os.umask(0o022)
    made = make(options.machine, options.out)
    sys.stdout.write(f"{made}  {made.stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
