"""The installed gateway starts without the key of its ledger: it polls, says what is missing, and waits for it."""

import asyncio
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from gateway.audit.verify import verify
from gateway.ledger.key_ring import read_ring
from gateway.ledger.store import open_ledger
from gateway.runtime.clock import SystemClock
from tests.broker.harness import Mosquitto
from tests.support import suite
from tests.support.ledger_keys import FIRST, KEY_FILE, SECOND, TABLE, write_keys


def health(folder: Path) -> str:
    listen = (folder / "gateway.toml").read_text().partition('listen = "')[2].partition('"')[0]
    try:
        with urllib.request.urlopen(f"http://{listen}/healthz", timeout=suite.HANGS_S) as page:
            return page.read().decode()
    except urllib.error.HTTPError as unhealthy:
        return unhealthy.read().decode()


@pytest.mark.requirement("REQ-PRIVACY-6")
@pytest.mark.timeout(300)
async def test_it_waits_for_the_key_and_loses_nothing(tmp_path: Path) -> None:
    gateway = suite.Gateway(tmp_path)
    async with open_ledger(gateway.ledger, "gw-01", SystemClock().now, ring=read_ring(write_keys(tmp_path, FIRST))):
        pass
    write_keys(tmp_path, SECOND)
    with Mosquitto(tmp_path) as broker:
        async with suite.serving(tmp_path, suite.one_line("cap-01")) as units:
            suite.write_configuration(tmp_path, units.url, broker, 2, 2)
            config = tmp_path / "gateway.toml"
            config.write_text(config.read_text().replace("[[line]]", f"{TABLE}[[line]]", 1))
            await gateway.start()
            await gateway.says("nothing can be recorded, polling goes on")
            await gateway.connected()
            said = await asyncio.to_thread(health, tmp_path)
            assert f"encrypted with key {FIRST.id}, and {tmp_path / KEY_FILE} has {SECOND.id}" in said
            write_keys(tmp_path, SECOND, FIRST)
            await gateway.says('"msg":"started"')
            assert await gateway.end(signal.SIGTERM) == 0
    (tmp_path / KEY_FILE).unlink()
    report = verify(gateway.ledger)
    assert report.sound
    assert f"encrypted with key {SECOND.id}" in report.notes[-1]
