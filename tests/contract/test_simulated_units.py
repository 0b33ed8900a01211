"""Each simulated make and the shipped profile of it were written apart from the same document: they must agree."""

import pytest

from drivers.decode.decoder import Decoded, Decoder
from drivers.dialects.base import Raw, Reply, Request
from drivers.dialects.registry import dialect
from drivers.profile.load import DeviceProfile, load_profile
from drivers.reading import Evidence, Quality, RunState
from gateway.cli.simulate import PROFILE_DIALECTS, PROFILES
from simulators.machine import Machine, MachineAlarm
from simulators.maps import MapName
from simulators.physics import Coolant
from tests.contract.profile_wire import ROOT

every_make = pytest.mark.parametrize("make", list(MapName))
BATH_C = -4.2
RUNNING = {RunState.RUNNING, RunState.READY}
TELLS_NO_RUN_STATE = {MapName.LAUDA_MICROCOOL: {RunState.UNKNOWN}}


def _profile(make: MapName) -> DeviceProfile:
    return load_profile(ROOT / "config" / "profiles" / f"{PROFILES[make]}.toml")


def _machine() -> Machine:
    machine = Machine("10012345", 1, -4.0)
    machine.coolant = Coolant(BATH_C, -3.3, compressor_on=True)
    machine.connect(1)
    return machine


def _read(make: MapName, machine: Machine) -> Decoded:
    """One poll in bytes: what the profile asks goes out, what the unit answers comes back."""
    profile = _profile(make)
    codec = dialect(profile.dialect)
    unit_id = profile.address.default if profile.address else None
    raws: dict[str, Raw] = {}
    for block in profile.blocks:
        query = block.query(unit_id)
        heard = codec.scan_request(codec.encode(query, 1))
        assert isinstance(heard, Request)
        answer = make.answer(machine, heard.query)
        assert answer is not None, f"{make} keeps silent to {query}"
        verdict = codec.scan(codec.encode_reply(heard, answer), query, 1)
        assert isinstance(verdict, Reply), f"{make} refuses {query}"
        raws[block.name] = verdict.raw
    decoder = Decoder(profile)
    decoded = decoder.decode(raws)
    assert decoder.foreign(decoded.slots) is None
    assert decoder.corrupt(decoded.slots) is None
    return decoded


@every_make
def test_the_profile_of_a_make_speaks_a_language_of_it(make: MapName) -> None:
    assert _profile(make).dialect is PROFILE_DIALECTS[make]
    assert PROFILE_DIALECTS[make] in make.dialects


@every_make
def test_the_profile_reads_what_the_simulated_unit_has_below_zero_and_running(make: MapName) -> None:
    machine = _machine()
    machine.start(1)
    decoded = _read(make, machine)
    (cap,) = decoded.caps[: len(machine.caps)]
    assert cap.temperatures["coolant_supply"].value == pytest.approx(BATH_C, abs=0.051)
    assert cap.run_state in (TELLS_NO_RUN_STATE.get(make) or RUNNING)
    assert cap.circulating is (None if _profile(make).evidence is Evidence.NONE else True)
    assert decoded.alarms == ()


@every_make
def test_a_unit_that_stands_is_read_as_one_that_does_not_run(make: MapName) -> None:
    cap = _read(make, _machine()).caps[0]
    assert cap.run_state not in RUNNING
    assert cap.circulating is not True


@every_make
def test_a_broken_supply_probe_gives_no_temperature(make: MapName) -> None:
    machine = _machine()
    machine.start(1)
    machine.raise_alarm(MachineAlarm.SUPPLY_PROBE)
    supply = _read(make, machine).caps[0].temperatures["coolant_supply"]
    assert supply.value is None
    assert supply.quality is Quality.BAD


@every_make
def test_a_unit_out_of_coolant_stands_and_says_so_where_it_can(make: MapName) -> None:
    machine = _machine()
    machine.start(1)
    machine.raise_alarm(MachineAlarm.COOLANT_LOW)
    decoded = _read(make, machine)
    assert decoded.caps[0].circulating is not True
    if _profile(make).evidence is not Evidence.NONE:
        assert decoded.alarms


@pytest.mark.parametrize(
    "make", [MapName.SMC_HRS, MapName.POLYSCIENCE, MapName.POLYSCIENCE_LS, MapName.JULABO_PRESTO, MapName.JULABO_MAGIO]
)
def test_a_panel_set_to_fahrenheit_changes_no_temperature(make: MapName) -> None:
    machine = _machine()
    machine.fahrenheit = machine.psi = True
    measurements = _read(make, machine).measurements
    assert measurements["coolant_supply"].value == pytest.approx(BATH_C, abs=0.051)
    assert measurements["coolant_supply"].unit == "Cel"


def test_a_watlow_sends_fahrenheit_whatever_its_panel_shows() -> None:
    for fahrenheit in (False, True):
        machine = _machine()
        machine.fahrenheit = fahrenheit
        assert _read(MapName.WATLOW, machine).measurements["coolant_supply"].value == pytest.approx(BATH_C, abs=1e-4)
