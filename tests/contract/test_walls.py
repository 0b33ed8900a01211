"""The walls that import-linter holds: what they stop, and that the pure modules are those that say so."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "drivers", "simulators")
PURE = "pure modules touch no clock, chance, disk, log, thread or network"
FORBIDDEN_IMPORTS = (
    ("gateway/session/state.py", "sqlite3"),
    ("gateway/session/policy.py", "time"),
    ("gateway/session/observe.py", "logging"),
    ("gateway/messages/hl7v2.py", "asyncio"),
    ("gateway/messages/outbound/ehr.py", "random"),
    ("gateway/messages/inbound/fhir.py", "os"),
    ("gateway/mqtt/retry.py", "random"),
    ("gateway/mqtt/topics.py", "time"),
    ("gateway/mqtt/relay.py", "paho.mqtt.client"),
    ("gateway/telemetry/unit_status.py", "aiomqtt"),
    ("gateway/bridge/bridge.py", "paho.mqtt.client"),
    ("gateway/cli/watch.py", "aiomqtt"),
    ("gateway/recording/pipeline.py", "sqlite3"),
    ("gateway/control/service.py", "sqlite3"),
    ("gateway/config/load.py", "sqlite_utils"),
    ("gateway/monitoring/metrics.py", "time"),
    ("gateway/polling/poller.py", "time"),
    ("drivers/line.py", "random"),
    ("drivers/unit/driver.py", "serial"),
    ("simulators/machine.py", "time"),
    ("gateway/ledger/store.py", "gateway.config.load"),
    ("drivers/line.py", "gateway.runtime.clock"),
)


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the product by its dotted name."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def says_pure(file: Path) -> bool:
    """Whether the module's docstring says that it is pure."""
    return re.search(r"\b[Pp]ure\b", ast.get_docstring(ast.parse(file.read_text())) or "") is not None


def is_within(name: str, packages: set[str]) -> bool:
    """Whether the module is one of `packages`, or stands in one."""
    return any(name == each or name.startswith(f"{each}.") for each in packages)


def test_the_modules_that_say_pure_are_those_that_the_pure_contract_holds() -> None:
    found = dict(modules())
    saying = {name for name, file in found.items() if says_pure(file)}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (held,) = (set(each["source_modules"]) for each in contracts if each["name"] == PURE)
    assert {name for name in found if is_within(name, saying)} == {name for name in found if is_within(name, held)}


@pytest.mark.timeout(300)
def test_an_import_through_a_wall_is_found(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, name in FORBIDDEN_IMPORTS:
        path = tmp_path / file
        path.write_text(f"{path.read_text()}\nimport {name}\n")
    (tmp_path / "gateway" / "loose.py").write_text('"""A module that stands in no room."""\n')
    lint = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([lint, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False)
    said = re.sub(r"\s+", " ", run.stdout)
    assert run.returncode == 1, said
    for file, name in FORBIDDEN_IMPORTS:
        module = file.removesuffix(".py").replace("/", ".")
        target = name if name.startswith("gateway") else name.split(".")[0]
        assert f"{module} -> {target} (l." in said, f"{module} may import {name}"
    assert "gateway.loose" in said


def test_no_test_imports_from_a_test_module() -> None:
    """What tests share stands in a module that holds none: tests/support, or beside those that share it."""
    found: list[str] = []
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [f"{name}.{each.name}" for name in names for each in getattr(node, "names", [])]
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            found += [
                f"{file.relative_to(ROOT)}:{node.lineno} {name}"
                for name in names
                if isinstance(node, ast.Import | ast.ImportFrom) and re.search(r"(^|\.)test_\w+$", name)
            ]
    assert found == []
