"""What a browser gets of files: for the roles alone that may, and one archive at a time by a process of its own."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.config.roles import Role
from gateway.describe import packing
from gateway.runtime.http import HttpServer
from gateway.web.accounts import Account, read_accounts, write_accounts
from tests.unit.gateway.web.page_app import HASHED, cookie_of, serving, sign_in
from tests.unit.gateway.web.page_client import Answered, ask


@asynccontextmanager
async def signed_in(folder: Path, role: Role) -> AsyncGenerator[tuple[HttpServer, str]]:
    """The page of a folder without a configuration, and the cookie of somebody of that role."""
    async with serving(folder) as server:
        account = Account(name="m.curie", role=role, password=HASHED)
        write_accounts(folder, read_accounts(folder).with_account(account))
        yield server, cookie_of(await sign_in(server))


async def diagnosed(server: HttpServer, cookie: str) -> Answered:
    return await ask(server, "GET", "/diagnose", cookie=cookie)


@pytest.fixture
def slow_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A command that does not end until a file is there; its own marks that it began."""
    program = tmp_path / "slow"
    wait = f"touch {tmp_path}/began; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; printf zip"
    program.write_text(f"#!/bin/sh\n{wait}\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    return tmp_path


async def began(folder: Path) -> None:
    async with asyncio.timeout(50):
        while not (folder / "began").exists():
            await asyncio.sleep(0.01)


async def test_an_archive_is_made_one_at_a_time(slow_command: Path, tmp_path: Path) -> None:
    async with signed_in(tmp_path, Role.BIOMED) as (server, cookie):
        first = asyncio.create_task(diagnosed(server, cookie))
        await began(slow_command)
        assert (await diagnosed(server, cookie)).status == 503
        (slow_command / "go").touch()
        answer = await first
    assert (answer.status, answer.body) == (200, "zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="capgate-diagnose.zip"'


async def test_what_takes_too_long_is_ended_and_the_next_may_try(
    slow_command: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "TIMEOUT_S", 1.0)
    async with signed_in(tmp_path, Role.ADMIN) as (server, cookie):
        assert (await diagnosed(server, cookie)).status == 500
        (slow_command / "go").touch()
        monkeypatch.setattr(packing, "TIMEOUT_S", 50.0)
        assert (await diagnosed(server, cookie)).status == 200


async def test_a_command_that_fails_gives_no_archive(tmp_path: Path) -> None:
    async with signed_in(tmp_path, Role.BIOMED) as (server, cookie):
        answer = await diagnosed(server, cookie)
    assert (answer.status, "capgate diagnose says why" in answer.body) == (500, True)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.NURSE, Role.CHARGE])
@pytest.mark.parametrize("path", ["/diagnose", "/capture/net-1"])
async def test_other_roles_and_nobody_get_none(tmp_path: Path, role: Role, path: str) -> None:
    async with signed_in(tmp_path, role) as (server, cookie):
        assert (await ask(server, "GET", path, cookie=cookie)).status == 403
        assert (await ask(server, "GET", path)).status == 401
