"""Three installed gateways of a site, two of which read the same unit: neither releases a charge for it."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.verify import verify
from tests.broker.harness import Mosquitto
from tests.support import suite

pytestmark = pytest.mark.timeout(400)  # statuses come once a minute, and two of them are needed

SHARING = ("gw-01", "gw-02")
ALONE = "gw-03"
VISITS = {"cap-01": "V-1", "cap-02": "V-2"}
REASON = ("--person", "cm-1", "--reason", "seen at the chair")


class Site:
    """Three gateways with a folder each, and a recording of their messages."""

    def __init__(self, folder: Path, units: suite.Units, broker: Mosquitto) -> None:
        self.heard_in = folder / "heard.txt"
        self.gateways: dict[str, suite.Gateway] = {}
        for name, unit_id, chair in (("gw-01", 1, "c01"), ("gw-02", 1, "c07"), (ALONE, 2, "c02")):
            (folder / name).mkdir()
            suite.write_configuration(
                folder / name, units.url, broker, 4, 100, gateway=name, unit_id=unit_id, chair=chair
            )
            self.gateways[name] = suite.Gateway(folder / name)

    def events(self, topic: str) -> list[dict[str, Any]]:
        """The data of all messages on a topic below the site's root."""
        whole = f"{suite.ROOT}/v1/ward/{topic}"
        return [json.loads(payload)["data"] for heard, payload in suite.received(self.heard_in) if heard == whole]

    def alarm(self, gateway: str) -> str:
        """The state of the alarm."""
        states = self.events(f"dev/{gateway}/alarm/unit-shared")
        return states[-1]["state"] if states else ""

    def session(self, gateway: str) -> dict[str, Any]:
        """A gateway's only session as it was last published."""
        sessions = self.events(f"ehr/{gateway}/session/json")
        assert len({each["session"] for each in sessions}) == 1
        return sessions[-1]

    async def capgate(self, gateway: str, *arguments: str) -> str:
        """The output of a command."""
        process = await asyncio.create_subprocess_exec(
            suite.CAPGATE, *arguments, "--config", self.gateways[gateway].folder / "gateway.toml",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, error = await process.communicate()
        assert process.returncode == 0, error.decode()
        return out.decode()


@pytest.mark.requirement("REQ-CHARGE-5")
async def test_both_gateways_hold_what_they_count_of_one_unit_and_a_third_charges_its_own(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        async with suite.serving(tmp_path, suite.one_line(*VISITS)) as units:
            site = Site(tmp_path, units, broker)
            async with suite.listener(broker, site.heard_in):
                await _treat(site, units, broker)
                await suite.until(
                    lambda: all(site.alarm(each) == "raised" for each in SHARING), "both gateways raise the alarm"
                )
                for gateway in site.gateways:
                    token = site.session(gateway)["session"]
                    await site.capgate(gateway, "session", "finalise", token, *REASON)
                await suite.until(lambda: len(site.events(f"ehr/{ALONE}/charge/json")) == 1, "the third one charges")
                await _hold(site)
                await _settle(site)
                for gateway in site.gateways.values():
                    assert await gateway.end(signal.SIGTERM) == 0
            charges = {each: len(site.events(f"ehr/{each}/charge/json")) for each in site.gateways}
            assert charges == {"gw-01": 1, "gw-02": 0, ALONE: 1}
    for gateway in site.gateways.values():
        assert verify(gateway.ledger).problems == ()
        assert "Traceback" not in (gateway.folder / "gateway.log").read_text()


async def _treat(site: Site, units: suite.Units, broker: Mosquitto) -> None:
    """A patient at each unit is cooled and infused, and an increment of each is attained wherever it is counted."""
    for gateway in site.gateways.values():
        await gateway.start()
        await gateway.connected()
    began_at = suite.in_future(0)
    for unit, visit in VISITS.items():
        units.cool(unit)
        place: dict[str, object] = {"unit": unit, "cap": 1, "visit": visit, "validated": True, "asserted_by": "scan"}
        await suite.send_event(broker, f"{unit}-bound", "association.bound", began_at, place)
    await suite.until(
        lambda: all(site.events(f"ehr/{gateway}/session/json") for gateway in site.gateways), "sessions are open"
    )
    for unit, visit in VISITS.items():
        order: dict[str, object] = {"visit": visit, "order": f"O-{unit}", "agent_class": "chemo", "source": "mar"}
        await suite.send_event(broker, f"{unit}-begun", "infusion.started", began_at, order)
        ended = {**order, "final": True}
        await suite.send_event(broker, f"{unit}-ended", "infusion.completed", suite.in_future(0), ended)
        prepared: dict[str, object] = {"visit": visit, "person": "rn-1"}
        await suite.send_event(broker, f"{unit}-prepared", "preparation.charted", began_at, prepared)
    await suite.until(
        lambda: all(site.events(f"ehr/{gateway}/increment/json") for gateway in site.gateways), "an increment each"
    )
    for unit in VISITS:
        units.stop(unit)
    await suite.until(lambda: all(site.session(each)["phase"] == "ended" for each in site.gateways), "all are over")


async def _hold(site: Site) -> None:
    for gateway, other in zip(SHARING, reversed(SHARING), strict=True):
        session = site.session(gateway)
        assert session["release"] == {"state": "held", "reasons": ["unit_shared"]}, session["release"]
        assert site.events(f"ehr/{gateway}/charge/json") == []
        work = await site.capgate(gateway, "session", "worklist")
        assert "unit_shared" in work
        assert f"{other}/cap-01" in work
        (raised,) = [each for each in site.events(f"dev/{gateway}/alarm/unit-shared") if each["state"] == "raised"]
        assert f"cap-01: {other} reads a unit of the same serial number" in raised["text"]
    assert {each["state"] for each in site.events(f"dev/{ALONE}/alarm/unit-shared")} == {"cleared"}
    assert "unit_shared" not in await site.capgate(ALONE, "session", "worklist")


async def _settle(site: Site) -> None:
    """A person lets the visit be charged on one of the two, and explains it on the other."""
    tokens = {gateway: site.session(gateway)["session"] for gateway in SHARING}
    await site.capgate("gw-01", "session", "lift-hold", tokens["gw-01"], "unit_shared", *REASON)
    await site.capgate("gw-02", "session", "explain", tokens["gw-02"], *REASON)
    await suite.until(lambda: len(site.events("ehr/gw-01/charge/json")) == 1, "the visit is charged once")
    await suite.until(lambda: site.session("gw-02")["state"] == "explained", "and explained on the other one")
