"""The project as a whole: its import names are its own, and it names no machine and no registry."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("drivers", "gateway", "simulators")
FOREIGN = re.compile(
    r"(?<![\w.-])/(?:home/\w+|root/|work/)|pypi\.org/simple|files\.pythonhosted|registry\.npmjs", re.IGNORECASE
)
LOCKED = re.compile(r"^[A-Za-z0-9_.-]+(\[[^]]+\])?==\S+")


def tracked(pattern: str) -> list[Path]:
    names = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in names.split()]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_owns_our_import_names(package: str) -> None:
    """The names are generic: in a shared environment another package could hide ours."""
    assert set(packages_distributions().get(package, [])) <= {"capgate"}
    module = __import__(package)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)


def test_no_file_names_a_machine_or_a_registry() -> None:
    here = Path(__file__).resolve()
    texts = [path for path in tracked(".") if path.suffix not in {".png", ".svg"} and path.resolve() != here]
    found = {
        str(path.relative_to(ROOT)): match[0]
        for path in texts
        if (match := FOREIGN.search(path.read_text(errors="ignore")))
    }
    assert found == {}


@pytest.mark.requirement("REQ-SUPPLY-1")
@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-peers.txt"])
def test_every_dependency_is_pinned_with_hashes(name: str) -> None:
    entries = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    packages = [entry for entry in entries if LOCKED.match(entry)]
    assert packages
    assert [entry.split()[0] for entry in packages if "--hash=sha256:" not in entry] == []


def test_a_library_whose_private_names_are_used_is_pinned_to_its_version() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    exact = {each.partition("==")[0] for each in declared if "==" in each}
    assert {"aiomqtt", "paho-mqtt", "pymodbus"} <= exact


def test_what_the_lock_leaves_out_nothing_imports() -> None:
    """sqlite-utils declares what only its own command needs: an installer and a printer of tables."""
    locked = {entry.partition("==")[0] for entry in (ROOT / "requirements.txt").read_text().splitlines()}
    left_out = ("pip", "click-default-group", "tabulate")
    assert not locked & set(left_out)
    without = f"""
import sys
sys.modules.update(dict.fromkeys({[name.replace("-", "_") for name in left_out]}))
import gateway.app
from gateway.ledger.schema import current_objects
assert current_objects()
"""
    subprocess.run([sys.executable, "-c", without], cwd=ROOT, check=True)
