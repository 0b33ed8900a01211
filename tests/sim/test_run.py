"""`capgate run` as a service manager sees it: the installed process, its signals, its exit codes, its health page."""

import asyncio
import json
import signal
import sqlite3
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.broker.harness import Mosquitto, free_port
from tests.support import suite

pytestmark = pytest.mark.timeout(300)  # many processes, one after the other

NOBODY = "socket://127.0.0.1:1"  # nothing listens on port 1


def health_of(folder: Path) -> tuple[int, str]:
    listen = (folder / "gateway.toml").read_text().partition('listen = "')[2].partition('"')[0]
    try:
        with urllib.request.urlopen(f"http://{listen}/healthz", timeout=suite.HANGS_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def started(folder: Path) -> suite.Gateway:
    gateway = suite.Gateway(folder)
    await gateway.start()
    await gateway.says("started")
    return gateway


async def test_neither_broker_nor_unit_is_needed_to_start_and_sigterm_ends_it_in_time(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    suite.write_configuration(tmp_path, NOBODY, broker, 960, 1800)
    gateway = await started(tmp_path)
    await gateway.says("no connection to the broker")
    await gateway.says('"msg":"unit cap-01 is lost","unit":"cap-01"')
    status, page = await asyncio.to_thread(health_of, tmp_path)
    assert status in (200, 503)
    assert '"mqtt_connected":false' in page.replace(" ", "")
    async with asyncio.timeout(suite.HANGS_S):
        assert await gateway.end(signal.SIGTERM) == 0


async def test_a_broker_that_comes_late_is_found_and_the_birth_is_retained(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        broker.kill()
        suite.write_configuration(tmp_path, NOBODY, broker, 960, 1800)
        gateway = await started(tmp_path)
        await gateway.says("no connection to the broker")
        broker.start()
        await gateway.connected()
        received = tmp_path / "heard.txt"
        async with suite.listener(broker, received):
            await suite.until(lambda: suite.received(received) != [], "the birth is heard")
            assert await gateway.end(signal.SIGTERM) == 0
        statuses = [payload for topic, payload in suite.received(received) if topic.endswith("/dev/gw-01/status")]
        states = [json.loads(payload)["data"]["state"] for payload in statuses]
        assert (states[0], states[-1]) == ("online", "offline")


async def test_watch_shows_at_once_what_the_broker_retains(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        suite.write_configuration(tmp_path, NOBODY, broker, 960, 1800)
        gateway = await started(tmp_path)
        await gateway.connected()
        watch = await asyncio.create_subprocess_exec(
            suite.CAPGATE, "watch", "--config", tmp_path / "gateway.toml", "--for", "3", "--json",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        shown = json.loads((await watch.communicate())[0])
        assert [(unit["unit"], unit["link"], unit["fault"]) for unit in shown["units"]] == [
            ("cap-01", "down", "line-down")
        ]
        assert await gateway.end(signal.SIGTERM) == 0
    watch = await asyncio.create_subprocess_exec(
        suite.CAPGATE, "watch", "--config", tmp_path / "gateway.toml", "--for", "3", stderr=asyncio.subprocess.PIPE
    )
    _, said = await watch.communicate()
    assert (watch.returncode, "no connection to the broker" in said.decode()) == (1, True)


async def test_a_second_gateway_on_the_same_state_is_refused_and_says_why(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    suite.write_configuration(tmp_path, NOBODY, broker, 960, 1800)
    gateway = await started(tmp_path)
    second = await asyncio.create_subprocess_exec(
        suite.CAPGATE, "run", "--config", tmp_path / "gateway.toml", stderr=asyncio.subprocess.PIPE
    )
    _, said = await second.communicate()
    assert second.returncode == 1
    assert "Traceback" not in said.decode()
    assert "another" in said.decode()
    assert await gateway.end(signal.SIGTERM) == 0


async def test_a_ledger_that_is_no_database_is_set_aside_and_the_gateway_runs(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    suite.write_configuration(tmp_path, NOBODY, broker, 960, 1800)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ledger.db").write_bytes(b"this was a ledger once" * 4096)
    gateway = await started(tmp_path)
    assert await gateway.end(signal.SIGTERM) == 0
    connection = sqlite3.connect(gateway.ledger)
    assert "set_aside" in connection.execute("SELECT body FROM entry WHERE seq = 1").fetchone()[0]
    connection.close()


async def test_a_ledger_of_another_gateway_is_not_touched_and_the_page_says_so_until_it_is_gone(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    suite.write_configuration(tmp_path, NOBODY, broker, 960, 1800, gateway="gw-02")
    other = await started(tmp_path)
    assert await other.end(signal.SIGTERM) == 0
    port = free_port()
    suite.write_configuration(tmp_path, NOBODY, broker, 960, 1800)
    with (tmp_path / "gateway.toml").open("a") as configuration:
        configuration.write(f'[web]\nlisten = "127.0.0.1:{port}"\n')
    gateway = suite.Gateway(tmp_path)
    await gateway.start()
    await gateway.says("nothing can be recorded, polling goes on")
    await suite.until(lambda: page_of(port)[0] == 503, "the page is served")
    assert "Nothing is recorded or counted: the ledger" in page_of(port)[1]
    status, said = await asyncio.to_thread(health_of, tmp_path)
    assert (status, "is the ledger of gateway gw-02, not of gw-01" in said) == (503, True)
    gateway.ledger.unlink()
    await gateway.says('"msg":"started"', times=2)
    await suite.until(lambda: page_of(port)[0] == 200, "the screens are there again")
    assert await gateway.end(signal.SIGTERM) == 0


def page_of(port: int) -> tuple[int, str]:
    """The status and the text of the page; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/chairs", timeout=suite.HANGS_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


async def test_a_wrong_configuration_ends_it_with_every_error(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text('[gateway]\nsite = "A B"\nmode = "maybe"\n')
    process = await asyncio.create_subprocess_exec(
        suite.CAPGATE, "run", "--config", tmp_path / "gateway.toml", stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    for path in ("gateway.site", "gateway.id", "gateway.mode", "mqtt", "line"):
        assert path in said.decode()
