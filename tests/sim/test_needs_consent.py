"""The whole gateway before a Lauda whose communication watchdog is armed: it asks once, says why, and stays away."""

import asyncio
import signal
from pathlib import Path

import msgspec
import pytest

from simulators.scenario.scenario import load_scenario
from simulators.serve import Plant
from tests.broker.harness import Mosquitto
from tests.support import suite

pytestmark = pytest.mark.timeout(300)  # many processes, one after the other

SCENARIO = """
schema = 1
name = "armed"
length_min = 60

[[line]]
id = "net-1"
dialect = "lauda"
tcp = "127.0.0.1:0"

[[unit]]
id = "bath"
line = "net-1"
map = "lauda"
serial_number = "1"
set_point_c = -4.0
watchdog_s = 30.0
"""


@pytest.mark.requirement("REQ-DEVICE-6")
@pytest.mark.parametrize(("consent", "link", "fault"), [(False, "down", "needs-consent"), (True, "up", None)])
async def test_an_armed_unit_is_polled_with_consent_alone_and_its_status_says_so(
    tmp_path: Path, consent: bool, link: str, fault: str | None
) -> None:
    (tmp_path / "armed.toml").write_text(SCENARIO)
    plant = Plant(load_scenario(tmp_path / "armed.toml"), lambda: 0.0, lambda _: None)
    async with plant.serving() as urls:
        with Mosquitto(tmp_path) as broker:
            suite.write_configuration(tmp_path, urls["net-1"], broker, 960, 1800)
            file = tmp_path / "gateway.toml"
            text = file.read_text().replace('"reference-cap-unit"\nunit_id = 1', '"lauda-pro"')
            text = text.replace("poll_period_s = 0.5", f"poll_period_s = 2\nconsent_to_reads = {str(consent).lower()}")
            file.write_text(text)
            gateway = suite.Gateway(tmp_path)
            async with suite.listener(broker, tmp_path / "heard.txt"):
                await gateway.start()
                status = await _status(tmp_path / "heard.txt", link)
                assert status.fault == fault
                assert await gateway.end(signal.SIGTERM) == 0
    reason = "its communication watchdog is armed (IN_SP_08 is 30)"
    assert (reason in (tmp_path / "gateway.log").read_text()) is not consent


class Status(msgspec.Struct):
    """What this test looks at of a unit's status."""

    link: str
    fault: str | None = None


class Event(msgspec.Struct):
    """Its envelope."""

    data: Status


async def _status(received: Path, link: str) -> Status:
    """The unit's first status with that link."""
    async with asyncio.timeout(suite.HANGS_S):
        while True:
            for topic, payload in suite.received(received):
                if topic.endswith("/cap-01/status"):
                    status = msgspec.json.decode(payload, type=Event).data
                    if status.link == link:
                        return status
            await asyncio.sleep(0.05)
