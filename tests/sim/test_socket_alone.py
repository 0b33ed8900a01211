"""Whoever reaches a running gateway's socket, and neither its configuration nor its files, can work with it."""

import asyncio
import io
import json
import signal
import zipfile
from pathlib import Path

import pytest

from tests.broker.harness import Mosquitto, free_port
from tests.support import suite

pytestmark = pytest.mark.timeout(300)  # many processes, one after the other

NOBODY = "socket://127.0.0.1:1"  # nothing listens on port 1


async def capgate(*arguments: str | Path) -> tuple[int | None, bytes, str]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(suite.CAPGATE, *arguments, stdout=pipe, stderr=pipe)
    out, errors = await process.communicate()
    return process.returncode, out, errors.decode()


async def test_commands_on_a_running_gateway_need_its_socket_alone(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    site.mkdir()
    elsewhere.mkdir()
    suite.write_configuration(site, NOBODY, broker, 960, 1800)
    with (site / "gateway.toml").open("a") as configuration:
        configuration.write(f'[web]\nlisten = "127.0.0.1:{free_port()}"\n')
    gateway = suite.Gateway(site)
    await gateway.start()
    await gateway.says('"started"')
    socket = elsewhere / "control.sock"
    socket.hardlink_to(site / "state" / "control.sock")  # with nothing else of the gateway beside it
    for command in (["status"], ["feed"], ["session", "list"], ["session", "worklist"]):
        code, _, said = await capgate(*command, "--socket", socket)
        assert (code, said) == (0, ""), command
    code, out, said = await capgate("watch", "--socket", socket, "--for", "2", "--json")
    assert (code, said) == (0, "")
    assert [(unit["unit"], unit["link"], unit["fault"]) for unit in json.loads(out)["units"]] == [
        ("cap-01", "down", "line-down")
    ]
    code, out, said = await capgate("send-test", "charge", "--socket", socket, "--wait", "0", "--json")
    assert (code, json.loads(out)["step"], said) == (1, "not-connected", "")
    code, out, said = await capgate("diagnose", "--socket", socket, "--person", "bm-17", "--out", "-")
    assert (code, said) == (0, "")
    with zipfile.ZipFile(io.BytesIO(out)) as packed:
        assert json.loads(packed.read("about.json"))["gateway"] == "gw-01"
        assert json.loads(packed.read("ledger.json"))["sound"]
    assert await gateway.end(signal.SIGTERM) == 0
