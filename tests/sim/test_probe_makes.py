"""`capgate probe` reads every simulated make as `capgate simulate` names it, on TCP and on a pseudo-terminal."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from drivers.profile.load import load_profile
from gateway.cli.probe import command
from gateway.cli.simulate import PROFILE_DIALECTS, PROFILES
from gateway.runtime.shipped import shipped_dir
from simulators.maps import MapName
from simulators.scenario.scenario import load_scenario
from simulators.serve import Plant

QUICK = ("gap_ms=0", "drain_ms=20", "settle_after_open_ms=0")
TERMINAL = ("bits=8", "parity=none", "handshake=none", "baud=115200")


@pytest.mark.parametrize("make", list(MapName))
@pytest.mark.parametrize("place", ['tcp = "127.0.0.1:0"', 'pty = "auto"'], ids=["tcp", "pty"])
async def test_a_make_is_read_below_zero(make: MapName, place: str, tmp_path: Path) -> None:
    profile = load_profile(shipped_dir() / "profiles" / f"{PROFILES[make]}.toml")
    on_terminal = place.startswith("pty")
    language = PROFILE_DIALECTS[make]
    dialect_name = "modbus-rtu" if on_terminal and language == "modbus-tcp" else str(language)
    address = "" if profile.address is None else "unit_id = 1"
    (tmp_path / "scenario.toml").write_text(f"""
schema = 1
name = "makes"
length_min = 1
[[line]]
id = "line-1"
dialect = "{dialect_name}"
{place}
[[unit]]
id = "unit-1"
line = "line-1"
map = "{make}"
serial_number = "10012345"
set_point_c = -4.0
supply_c = -4.2
{address}
""")
    plant = Plant(load_scenario(tmp_path / "scenario.toml"), lambda: 0.0, lambda _: None)
    settings = [
        *QUICK,
        *(TERMINAL if on_terminal else ()),
        *(() if dialect_name == language else (f"dialect={dialect_name}",)),
    ]
    options = [f"--set={each}" for each in settings] + (["--unit-id", "1"] if address else [])
    async with plant.serving() as urls:
        arguments = [urls["line-1"], "--profile", profile.id, *options, "--json"]
        result = await asyncio.to_thread(CliRunner().invoke, command, arguments)
    report = json.loads(result.stdout)
    assert (result.exit_code, report["faults"]) == (0, []), report["faults"]
    assert report["identity"]["confirmed"] is True
    (supply,) = (point for point in report["points"] if point["name"] == "coolant_supply")
    assert supply["value"] == pytest.approx(-4.2, abs=0.051)
