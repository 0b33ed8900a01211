"""`capgate health`, asking a server of the product's own."""

import asyncio
import json
from collections.abc import Sequence

import msgspec
import pytest
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry

from gateway.cli.health import command
from gateway.monitoring.health import HealthServer


class Wellness(msgspec.Struct, frozen=True):
    """A report with given reasons."""

    trouble: Sequence[str]

    def reasons(self) -> list[str]:
        return list(self.trouble)


async def asked(trouble: Sequence[str], *options: str) -> Result:
    """What the command says of a gateway with these troubles."""
    async with HealthServer(("127.0.0.1", 0), lambda: Wellness(trouble), CollectorRegistry()) as server:
        at = "{}:{}".format(*server.address)
        return await asyncio.to_thread(CliRunner().invoke, command, ["--at", at, *options])


@pytest.mark.parametrize(
    ("trouble", "code", "said"),
    [
        ([], 0, "ok\n"),
        (["units down: cap-01", "polling\x1bstands"], 1, "degraded\nunits down: cap-01\npolling\\x1bstands\n"),
    ],
)
async def test_it_says_how_the_gateway_is(trouble: list[str], code: int, said: str) -> None:
    answer = await asked(trouble)
    assert (answer.exit_code, answer.output) == (code, said)


async def test_json_is_what_the_gateway_says() -> None:
    answer = await asked(["x"], "--json")
    assert json.loads(answer.output) == {"status": "degraded", "reasons": ["x"], "trouble": ["x"]}


def test_nobody_there_is_an_answer_too() -> None:
    answer = CliRunner().invoke(command, ["--at", "127.0.0.1:1"])
    assert answer.exit_code == 3
    assert answer.output.startswith("no gateway answers at 127.0.0.1:1: ")


def test_an_address_that_is_none_is_refused() -> None:
    assert CliRunner().invoke(command, ["--at", "here"]).exit_code == 2
