"""The installed gateway, a unit that goes to repair in the middle of a session, and a changed configuration."""

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loaners import LOANERS_FILE, read_loaners
from tests.broker.harness import Mosquitto
from tests.support import suite

Json = dict[str, Any]

pytestmark = pytest.mark.timeout(300)  # many processes, one after the other


@asynccontextmanager
async def running(folder: Path) -> AsyncGenerator[suite.Gateway]:
    async with suite.serving(folder, suite.one_line("cap-01", "loaner-2")) as units:
        units.cool("cap-01")
        units.cool("loaner-2")
        suite.write_configuration(folder, units.url, Mosquitto(folder), first_s=2, further_s=2)
        gateway = suite.Gateway(folder)
        await gateway.start()
        await gateway.says("started")
        yield gateway
        assert await gateway.end(signal.SIGTERM) == 0
    log = (folder / "gateway.log").read_text()
    assert "Traceback" not in log


async def ask(folder: Path, *arguments: str, code: int = 0) -> Json:
    process = await asyncio.create_subprocess_exec(
        suite.CAPGATE, *arguments, "--config", folder / "gateway.toml", "--json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == code, (arguments, out)
    return json.loads(out)


async def act(folder: Path, *arguments: str, code: int = 0) -> Json:
    return await ask(folder, *arguments, "--person", "bm-17", "--reason", "pump is loud", code=code)


async def the_session(folder: Path, cap: str, increments: int) -> Json:
    """The session that is the patient's, once it has cooled on `cap` and has so many increments."""
    async with asyncio.timeout(suite.HANGS_S):
        while True:
            for session in (await ask(folder, "session", "list"))["sessions"]:
                if session["bound"] and cap in session["caps"] and len(session["increments"]) >= increments:
                    return session
            await asyncio.sleep(0.2)


async def test_a_session_goes_on_with_the_loaner_and_comes_back(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        await act(tmp_path, "session", "bind", "c01", "--visit", "V-1")
        token = (await the_session(tmp_path, "cap-01:1", 0))["token"]
        at = datetime.now(UTC).isoformat()
        await act(tmp_path, "session", "infusion-ended", token, "O-1", "--at", at, "--agent", "chemo")
        before = await the_session(tmp_path, "cap-01:1", 1)
        answer = await act(tmp_path, "unit", "swap", "cap-01", "loaner-2", "--unit-id", "2")
        assert answer["done"] == "loaner-2 stands in for cap-01"
        await gateway.says('"msg":"started"', times=2)
        after = await the_session(tmp_path, "loaner-2:1", len(before["increments"]) + 2)
        assert after["token"] == token
        assert after["increments"][: len(before["increments"])] == before["increments"]
        (loaner,) = read_loaners(tmp_path / "state")
        assert (loaner.person, loaner.reason) == ("bm-17", "pump is loud")
        assert "nothing stands in" in (await act(tmp_path, "unit", "swap-back", "loaner-2", code=1))["error"]
        await act(tmp_path, "unit", "swap-back", "cap-01")
        await gateway.says('"msg":"started"', times=3)
        assert read_loaners(tmp_path / "state") == ()
        back = await the_session(tmp_path, "cap-01:1", len(after["increments"]) + 1)
        assert (back["token"], back["caps"]) == (token, ["cap-01:1", "loaner-2:1"])
    verify = await asyncio.create_subprocess_exec(suite.CAPGATE, "ledger", "verify", tmp_path / "state" / "ledger.db")
    assert await verify.wait() == 0


async def test_a_swap_stands_though_its_file_cannot_be_written(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        await act(tmp_path, "session", "bind", "c01", "--visit", "V-1")
        token = (await the_session(tmp_path, "cap-01:1", 0))["token"]
        obstacle = tmp_path / "state" / f"{LOANERS_FILE}.new"
        obstacle.mkdir()
        answer = await act(tmp_path, "unit", "swap", "cap-01", "loaner-2", "--unit-id", "2")
        assert answer["done"] == "loaner-2 stands in for cap-01"
        await gateway.says('"msg":"started"', times=2)
        assert (await the_session(tmp_path, "loaner-2:1", 0))["token"] == token
        assert read_loaners(tmp_path / "state") == ()
        obstacle.rmdir()
        assert (await ask(tmp_path, "unit", "reload"))["done"] == "the configuration is taken up"
        await gateway.says('"msg":"started"', times=3)
        assert [each.loaner for each in read_loaners(tmp_path / "state")] == ["loaner-2"]
        assert (await the_session(tmp_path, "loaner-2:1", 0))["token"] == token


async def test_a_gateway_killed_in_a_swap_before_its_file_is_written_carries_it_out(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        await act(tmp_path, "session", "bind", "c01", "--visit", "V-1")
        token = (await the_session(tmp_path, "cap-01:1", 0))["token"]
        blocking = tmp_path / "state" / f"{LOANERS_FILE}.new"
        os.mkfifo(blocking)  # whoever opens it to write waits for a reader
        asked = await asyncio.create_subprocess_exec(
            suite.CAPGATE, "unit", "swap", "cap-01", "loaner-2", "--unit-id", "2", "--person", "bm-17", "--reason",
            "pump is loud", "--config", tmp_path / "gateway.toml",
        )  # fmt: skip
        await suite.until(lambda: b'"device_swap"' in recorded(gateway.ledger), "the swap is in the ledger")
        assert await gateway.end(signal.SIGKILL) == -signal.SIGKILL
        assert await asked.wait() == 2  # the gateway ended before it answered
        blocking.unlink()
        await gateway.start()
        await gateway.says('"msg":"started"', times=2)
        assert (await the_session(tmp_path, "loaner-2:1", 0))["token"] == token
        assert [each.loaner for each in read_loaners(tmp_path / "state")] == ["loaner-2"]


def recorded(ledger: Path) -> bytes:
    """The facts that are committed."""
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return b"\n".join(body.encode() for (body,) in connection.execute("SELECT body FROM entry"))


async def test_a_loaner_that_the_check_refuses_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path):
        refused = await act(tmp_path, "unit", "swap", "cap-01", "loaner-2", "--profile", "no-such", code=1)
        assert "no-such" in refused["error"] or "no such profile" in refused["error"]
        refused = await act(tmp_path, "unit", "swap", "cap-77", "loaner-2", code=1)
        assert (refused["error"], refused["accepted"]) == ("no such unit", "cap-01")
        assert read_loaners(tmp_path / "state") == ()
    assert (tmp_path / "gateway.log").read_text().count('"msg":"started"') == 1


async def test_a_changed_configuration_is_taken_up_only_if_it_is_sound_and_keeps_who_is_in_a_session(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as gateway:
        await act(tmp_path, "session", "bind", "c01", "--visit", "V-1")
        await the_session(tmp_path, "cap-01:1", 0)
        file = tmp_path / "gateway.toml"
        sound = file.read_text()
        file.write_text(sound.replace("poll_period_s = 0.5", "poll_period_s = 99"))
        # A configuration that is broken cannot say where its gateway listens, so it is asked by a sound copy.
        refused = await _reload_by_copy(tmp_path, sound)
        assert "poll_period_s" in refused["error"]
        file.write_text(sound.replace('id = "cap-01"', 'id = "cap-02"'))
        assert "cap-01 has a cap in a session" in (await ask(tmp_path, "unit", "reload", code=1))["error"]
        file.write_text(sound.replace("poll_period_s = 0.5", "poll_period_s = 0.6"))
        assert (await ask(tmp_path, "unit", "reload"))["done"] == "the configuration is taken up"
        await gateway.says('"msg":"started"', times=2)
        await the_session(tmp_path, "cap-01:1", 0)


async def _reload_by_copy(folder: Path, sound: str) -> Json:
    copy = folder / "copy.toml"
    copy.write_text(sound)
    process = await asyncio.create_subprocess_exec(
        suite.CAPGATE, "unit", "reload", "--config", copy, "--json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 1
    return json.loads(out)
