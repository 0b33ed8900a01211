"""A page on the network is served only where somebody can sign in; one on loopback always."""

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from gateway.config.roles import Role
from gateway.config.web import PagePlan
from gateway.ledger.access import Actor
from gateway.web.accounts import ACCOUNTS_FILE, Account, hash_secret, read_accounts, write_accounts
from gateway.web.exposure import exposure_refused
from gateway.web.server import serve_page
from tests.broker.harness import free_port
from tests.unit.gateway.web.page_app import PROVIDER, no_board

ON_THE_NETWORK = PagePlan(("0.0.0.0", 9480))


def with_account(folder: Path) -> None:
    account = Account(name="m.curie", role=Role.NURSE, password=hash_secret("correct horse"))
    write_accounts(folder, read_accounts(folder).with_account(account))


@pytest.mark.parametrize("plan", [PagePlan(), PagePlan(("127.0.0.1", 9480)), PagePlan(("::1", 9480))])
def test_on_this_machine_it_needs_no_account(tmp_path: Path, plan: PagePlan) -> None:
    assert exposure_refused(plan, tmp_path) is None


@pytest.mark.requirement("REQ-NETWORK-4")
def test_on_the_network_it_needs_one(tmp_path: Path) -> None:
    refused = exposure_refused(ON_THE_NETWORK, tmp_path)
    assert refused is not None
    assert "has no account, accepted: 127.0.0.1:port, or an account" in refused
    with_account(tmp_path)
    assert exposure_refused(ON_THE_NETWORK, tmp_path) is None


def test_on_the_network_a_provider_is_enough(tmp_path: Path) -> None:
    assert exposure_refused(msgspec.structs.replace(ON_THE_NETWORK, oidc=PROVIDER), tmp_path) is None


def test_a_damaged_file_of_accounts_is_none(tmp_path: Path) -> None:
    (tmp_path / ACCOUNTS_FILE).write_text("{")
    refused = exposure_refused(ON_THE_NETWORK, tmp_path)
    assert refused is not None
    assert f"nobody could sign in on the network: {tmp_path / ACCOUNTS_FILE}: " in refused


async def test_a_gateway_goes_on_without_the_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plan = PagePlan(("0.0.0.0", free_port()))

    async def tell(line: bytes, by: Actor) -> bytes:
        raise NotImplementedError

    with caplog.at_level(logging.ERROR, "capgate.web"):
        await serve_page(plan, tmp_path, tmp_path / "gateway.toml", no_board, tell)
    assert [each.getMessage() for each in caplog.records] == ["no page"]
    with_account(tmp_path)
    page = asyncio.create_task(serve_page(plan, tmp_path, tmp_path / "gateway.toml", no_board, tell))
    async with asyncio.timeout(30):
        while page.done() or not await _listens(plan):
            await asyncio.sleep(0.02)
    page.cancel()
    await asyncio.wait([page])


async def _listens(plan: PagePlan) -> bool:
    assert plan.listen is not None
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", plan.listen[1])
    except OSError:
        return False
    writer.close()
    return True
