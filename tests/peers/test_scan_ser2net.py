"""A unit behind a device server that others wrote: found through ser2net, over RFC 2217 and over bare TCP."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.cli.scan import command as scan
from tests.peers.julabo_units import sinstruments
from tests.peers.ser2net_server import ser2net
from tests.support.bench import run

pytestmark = pytest.mark.peers

HANG_S = 50


async def test_a_julabo_that_others_simulate_is_found_behind_ser2net(tmp_path: Path) -> None:
    async with sinstruments(tmp_path) as (_, tty), ser2net(tmp_path, tty) as server:
        for url in (f"rfc2217://127.0.0.1:{server.rfc2217_port}", f"socket://127.0.0.1:{server.tcp_port}"):
            options = ("--profile", "julabo-cf", "--baud", "9600", "--timeout", "1", "--json")
            async with asyncio.timeout(HANG_S):
                # ser2net turns a connection away for as long as it has not let go of the one before.
                while "closed by the far end" in (result := await asyncio.to_thread(run, scan, url, *options)).output:
                    await asyncio.sleep(0.2)
            assert result.exit_code == 0, result.output
            (found,) = json.loads(result.stdout)["units"]
            assert found["likely"] == ["julabo-cf"]
            assert found["unit"]["matches"][0]["coolant_c"] == -4.12
