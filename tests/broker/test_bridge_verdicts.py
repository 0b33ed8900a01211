"""The acknowledgement that the engine gets from the bridge is the verdict of the gateways."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.bridge.config import load_bridge
from gateway.bridge.notices import Happening, Trouble
from tests.broker.bridge_side import SiteGateway, adt, bridge, next_payload, until_online, write_config
from tests.broker.harness import Mosquitto, eventually, free_port, only_3_1_1
from tests.broker.mllp_peers import send

WORDS = {
    "ADT1": "accepted",
    "ADT2": "ignored/not-ours/PV1-3 names no chair of this gateway",
    "ADT3": "rejected/no-visit/PV1-19: missing",
    "ADT4": None,
}


@pytest.fixture
def gateways(mosquitto: Mosquitto) -> Iterator[tuple[SiteGateway, SiteGateway]]:
    """Two gateways of a site: the first answers by WORDS, the second ignores everything."""
    pair = (
        SiteGateway(mosquitto.port, lambda control_id: WORDS[control_id]),
        SiteGateway(mosquitto.port, lambda _: "ignored/not-ours/no chair of mine", "gw-02"),
    )
    yield pair
    for each in pair:
        each.disconnect()


@pytest.mark.parametrize("version", ["5.0", "3.1.1"])
async def test_the_engine_hears_the_verdict_of_all_gateways(
    tmp_path: Path, mosquitto: Mosquitto, gateways: tuple[SiteGateway, SiteGateway], version: str
) -> None:
    async with only_3_1_1(mosquitto.port) as old:
        port = mosquitto.port if version == "5.0" else old
        config = load_bridge(write_config(tmp_path, port, free_port(), listen="answer_timeout_s = 3.0"))
        async with bridge(config) as running:
            await until_online(running, "gw-01", "gw-02")
            heard = [await asyncio.to_thread(send, running.port, adt(number)) for number in range(1, 5)]
            assert heard == [
                "MSA|AA|ADT1",
                "MSA|AA|ADT2|PV1-3 names no chair of this gateway",
                "MSA|AE|ADT3|PV1-19: missing",
                "MSA|AE|ADT4|no answer of gw-01; send it again",
            ]
            counts = running.notices.counts
            assert [counts[Happening.TAKEN], counts[Happening.REJECTED], counts[Happening.UNANSWERED]] == [2, 1, 1]
            assert Trouble.NO_ANSWER in running.notices.troubles
            assert (await asyncio.to_thread(send, running.port, adt(1))) == "MSA|AA|ADT1"
            assert running.report().reasons() == []


async def test_an_error_says_whether_it_is_worth_sending_again(
    tmp_path: Path, mosquitto: Mosquitto, gateways: tuple[SiteGateway, SiteGateway]
) -> None:
    config = load_bridge(write_config(tmp_path, mosquitto.port, free_port(), listen="answer_timeout_s = 1.0"))
    async with bridge(config) as running:
        await until_online(running, "gw-01", "gw-02")
        mend = await asyncio.to_thread(send, running.port, adt(3), "ERR")
        again = await asyncio.to_thread(send, running.port, adt(4), "ERR")
    assert mend == "ERR|||101^Required field missing^HL70357|E|no-visit|||PV1-19: missing"
    assert again.startswith("ERR|||207^Application internal error^HL70357|E|no-answer|||")


async def test_a_gateway_that_is_offline_is_not_waited_for_and_a_bridge_is_none(
    tmp_path: Path, mosquitto: Mosquitto, gateways: tuple[SiteGateway, SiteGateway]
) -> None:
    gateways[0].publish_status("offline", reason="shutdown")
    SiteGateway(mosquitto.port, lambda _: None, "bridge-02").publish_status("online", role="bridge")
    config = load_bridge(write_config(tmp_path, mosquitto.port, free_port(), listen="answer_timeout_s = 300.0"))
    async with bridge(config) as running:
        await until_online(running, "gw-02")
        assert await asyncio.to_thread(send, running.port, adt(4)) == "MSA|AA|ADT4|no chair of mine"


async def test_a_gateway_that_goes_while_its_answer_is_awaited_decides_no_more(
    tmp_path: Path, mosquitto: Mosquitto, gateways: tuple[SiteGateway, SiteGateway]
) -> None:
    config = load_bridge(write_config(tmp_path, mosquitto.port, free_port(), listen="answer_timeout_s = 300.0"))
    async with bridge(config) as running:
        await until_online(running, "gw-01", "gw-02")
        waiting = asyncio.create_task(asyncio.to_thread(send, running.port, adt(4)))
        await next_payload(gateways[0])
        gateways[0].publish_status("offline", reason="connection-lost")
        assert await waiting == "MSA|AA|ADT4|no chair of mine"


async def test_pipelined_messages_of_one_id_get_each_its_own_answer(
    tmp_path: Path, mosquitto: Mosquitto, gateways: tuple[SiteGateway, SiteGateway]
) -> None:
    answers = iter(["rejected/bad-data/one", "accepted", "rejected/bad-data/three"])
    constant = SiteGateway(mosquitto.port, lambda _: next(answers), "gw-01")
    gateways[1].publish_status("offline", reason="shutdown")
    config = load_bridge(write_config(tmp_path, mosquitto.port, free_port()))
    async with bridge(config) as running:
        await until_online(running, "gw-01")
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"\x0b" + (b"\x1c\r\x0b".join([adt(7), adt(7), adt(7)])) + b"\x1c\r")
        heard = [(await reader.readuntil(b"\x1c\r")).split(b"MSA|")[1].split(b"\r")[0] for _ in range(3)]
        writer.close()
    constant.disconnect()
    assert heard == [b"AE|ADT7|one", b"AA|ADT7", b"AE|ADT7|three"]


async def test_answers_that_are_none_and_answers_to_nothing_are_passed_over(
    tmp_path: Path, mosquitto: Mosquitto, gateways: tuple[SiteGateway, SiteGateway]
) -> None:
    config = load_bridge(write_config(tmp_path, mosquitto.port, free_port()))
    async with bridge(config) as running:
        await until_online(running, "gw-01", "gw-02")
        for rubbish in (b"", b"{", b"[1]", b'{"data": {"for": null, "result": "perhaps"}}', b"\xff"):
            gateways[0].publish("capgate-test/v1/north/ehr/gw-01/result/json", rubbish)
            gateways[0].publish("capgate-test/v1/north/dev/gw-03/status", rubbish)
        gateways[0].result("ADT99", "rejected")
        assert await asyncio.to_thread(send, running.port, adt(1)) == "MSA|AA|ADT1"
        await eventually(lambda: running.answers.online == {"gw-01", "gw-02"}, "nothing else is online")
