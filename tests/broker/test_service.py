"""The MQTT service over reconnects: birth and will messages, inbound messages, failing brokers."""

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from gateway.ledger.errors import LedgerBroken
from gateway.mqtt.consumer import Overheard
from gateway.mqtt.paho_client import LARGEST_INBOX
from gateway.mqtt.types import TlsFiles
from simulators.broker.broker import Broker
from tests.broker.authority import Authority
from tests.broker.gateway_side import INBOUND, STATUS, Gateway, gateway, reading, settings, status
from tests.broker.harness import HANGS_S, BrokerThread, Mosquitto, eventually, free_port
from tests.broker.paho_client import PahoClient


@contextmanager
def caller(port: int, name: str) -> Generator[PahoClient]:
    made = PahoClient(port, paho.MQTTv5, name)
    yield made
    made.disconnect()


@pytest.fixture
def engine(any_port: int) -> Iterator[PahoClient]:
    with caller(any_port, "engine") as made:
        yield made


@pytest.fixture
def ours() -> Iterator[BrokerThread]:
    with BrokerThread() as broker:
        yield broker


def log_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The texts of the service's log, without extra fields."""
    return [record.message for record in caplog.records if record.name == "capgate.mqtt"]


async def next_payload(gateway_status: PahoClient) -> bytes:
    return bytes((await asyncio.to_thread(gateway_status.next)).payload)


async def lose(ours: BrokerThread, gw: Gateway) -> None:
    """Cut all connections, and wait until the gateway has reconnected."""
    connects = gw.counters.connects
    await asyncio.to_thread(ours.do, ours.broker.drop_connections)
    await eventually(lambda: gw.counters.connects == connects + 1, "the gateway is back")


async def test_birth_and_farewell_carry_the_epoch_and_are_retained(
    tmp_path: Path, any_port: int, engine: PahoClient
) -> None:
    engine.subscribe(STATUS)
    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.connected()
        epoch = gw.births[0].epoch
        assert await next_payload(engine) == f"online {epoch}".encode()
        with caller(any_port, "late") as late:
            late.subscribe(STATUS)
            assert (await asyncio.to_thread(late.next)).retain is True
    assert await next_payload(engine) == f"stopped {epoch}".encode()
    assert engine.is_silent(), "after a farewell no will"
    with caller(any_port, "later") as later:
        later.subscribe(STATUS)
        assert later.next().payload == f"stopped {epoch}".encode()


async def test_an_abrupt_loss_publishes_the_will_and_the_return_a_new_birth(tmp_path: Path, ours: BrokerThread) -> None:
    async with gateway(tmp_path, settings(ours.port)) as gw:
        await gw.connected()
        await lose(ours, gw)
        first, second = (birth.epoch for birth in gw.births)
        assert second > first
        assert gw.births[1].session_present is True
        with caller(ours.port, "watcher") as watcher:
            watcher.subscribe(STATUS)
            assert await next_payload(watcher) == f"online {second}".encode()
            # A second client with the gateway's id makes the broker cut off the gateway.
            PahoClient(ours.port, paho.MQTTv5, "gateway").disconnect()
            assert await next_payload(watcher) == f"lost {second}".encode()
            assert watcher.is_silent(), "whoever took our id is not chased"
            await eventually(lambda: gw.service.last_error == "Disconnected: Session taken over", "the cause is told")


@pytest.mark.requirement("REQ-DELIVER-4")
async def test_an_inbound_message_comes_again_until_its_handler_has_returned(
    tmp_path: Path, any_port: int, engine: PahoClient, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([ValueError("the patient's name is Mary"), OSError()])

    def fail_twice() -> None:
        for failure in failures:
            raise failure

    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.connected()
        gw.before_commit = fail_twice
        assert engine.publish(INBOUND, b"infusion ended") == 0
        await eventually(lambda: gw.handled == [b"infusion ended"], "the third try is handled")
        assert gw.counters.connects == 3
    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.connected()
        engine.publish(INBOUND, b"next")
        await eventually(lambda: gw.handled == [b"next"], "only what is new comes")
    assert "ValueError in fail_twice" in str([record.__dict__ for record in caplog.records])
    assert "Mary" not in str([record.__dict__ for record in caplog.records])


async def test_what_the_engine_sends_while_the_gateway_is_away_arrives(
    tmp_path: Path, any_port: int, engine: PahoClient
) -> None:
    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.connected()
    for number in range(50):
        engine.publish(INBOUND, str(number).encode())
    async with gateway(tmp_path, settings(any_port)) as gw:
        await eventually(lambda: len(gw.handled) == 50, "all are handled")
        assert gw.handled == [str(number).encode() for number in range(50)]
        assert gw.births[0].session_present is True


async def test_a_broker_that_forgot_everything_is_told_again(tmp_path: Path, ours: BrokerThread) -> None:
    async with gateway(tmp_path, settings(ours.port)) as gw:
        gw.telemetry.status(status("dev/gw/unit/u1/status"), b"up")
        await gw.connected()
        ours.do(ours.broker.forget)
        await eventually(lambda: len(gw.births) == 2 and gw.service.connected, "the gateway is back")
        assert gw.births[1].session_present is False
        with caller(ours.port, "engine") as engine:
            engine.subscribe("dev/#")
            told = {await next_payload(engine), await next_payload(engine)}
            assert told == {f"online {gw.births[1].epoch}".encode(), b"up"}
            engine.publish(INBOUND, b"infusion ended")
            await eventually(lambda: gw.handled == [b"infusion ended"], "inbound messages come again")


async def test_statuses_that_nobody_has_time_for_are_dropped_and_counted(
    tmp_path: Path, any_port: int, engine: PahoClient
) -> None:
    heard: list[bytes] = []
    statuses = Overheard("dev/+/unit/+/status", lambda _, payload: heard.append(payload))
    async with gateway(tmp_path, settings(any_port), overheard=[statuses]) as gw:
        await gw.connected()
        gw.may_commit.clear()
        engine.publish(INBOUND, b"takes long")
        for number in range(LARGEST_INBOX + 50):
            await asyncio.to_thread(engine.publish, "dev/gw-02/unit/cap-1/status", str(number).encode())
        gw.may_commit.set()
        engine.publish(INBOUND, b"next")
        await eventually(lambda: gw.handled == [b"takes long", b"next"], "all that waited is consumed")
        assert len(heard) + gw.counters.inbound_dropped == LARGEST_INBOX + 50
        assert heard == [str(number).encode() for number in range(len(heard))], "the newest were dropped"
        assert gw.counters.inbound_dropped >= 1


async def test_a_retained_inbound_message_is_not_acted_on(tmp_path: Path, any_port: int, engine: PahoClient) -> None:
    engine.publish(INBOUND, b"stale", retain=True)
    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.connected()
        engine.publish(INBOUND, b"fresh")
        await eventually(lambda: gw.handled == [b"fresh"], "what is fresh is handled")


async def test_a_broker_that_is_absent_at_first_is_waited_for_and_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    broker = Broker(free_port())
    async with gateway(tmp_path, settings(broker.port), chance=0.5) as gw:
        await gw.commit_messages("ehr/gw/increment/json", [b"early"])
        await eventually(lambda: gw.counters.connect_failures >= 3, "it keeps trying")
        assert log_lines(caplog) == ["no connection to the broker"]
        assert gw.service.last_error.startswith("Unreachable: ")
        async with broker:
            await gw.connected()
            assert gw.service.last_error == ""
        await eventually(lambda: gw.counters.connect_failures >= 5, "it tries again after the loss")
        assert log_lines(caplog) == [
            "no connection to the broker",
            "connected to the broker",
            "no connection to the broker",
        ]
        levels = {each.levelname for each in caplog.records if each.name == "capgate.mqtt"}
        assert levels == {"WARNING"}, "who leaves out what is below it sees the return too"


async def test_back_off_grows_while_the_broker_is_away(tmp_path: Path) -> None:
    async with gateway(tmp_path, settings(free_port()), chance=1.0) as gw:
        began_s = asyncio.get_running_loop().time()
        await eventually(lambda: gw.counters.connect_failures >= 4, "it keeps trying")
        assert asyncio.get_running_loop().time() - began_s > 1.3, "at 0, 0.2, 0.6 and 1.4 s at the earliest"


async def test_a_wrong_password_is_told_clearly_once_and_mended_without_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    password = tmp_path / "password"
    password.write_text("wrong\n")
    async with Broker(users={"capgate": "right"}) as broker:
        wrong = settings(broker.port, username="capgate", password_file=password)
        async with gateway(tmp_path, wrong) as gw:
            await eventually(lambda: gw.counters.connect_failures >= 3, "it keeps trying")
            assert gw.service.last_error.startswith("BadCredentials: ")
            assert log_lines(caplog) == ["no connection to the broker"]
            password.write_text("right\n")
            await gw.connected()


async def test_a_wrong_authority_is_told_clearly_and_mended_without_a_restart(tmp_path: Path) -> None:
    ours, strangers = Authority(tmp_path / "ours"), Authority(tmp_path / "strangers")
    server, client, trusted = ours.issue("127.0.0.1"), ours.issue("gateway"), tmp_path / "ca.pem"
    secured = [
        f"cafile {ours.ca}",
        f"certfile {server.certificate}",
        f"keyfile {server.key}",
        "require_certificate true",
        "use_identity_as_username true",
    ]
    trusted.write_bytes(strangers.ca.read_bytes())
    with Mosquitto(tmp_path, secured, anonymous=False) as broker:
        files = TlsFiles(trusted, client.certificate, client.key)
        async with gateway(tmp_path, settings(broker.port, tls=files)) as gw:
            await eventually(lambda: gw.counters.connect_failures >= 2, "it keeps trying")
            assert gw.service.last_error.startswith("BadTls: ")
            assert "certificate verify failed" in gw.service.last_error
            trusted.write_bytes(ours.ca.read_bytes())
            await gw.connected()


async def test_fifty_reconnects_leak_nothing(tmp_path: Path, ours: BrokerThread) -> None:
    def open_things() -> tuple[int, int]:
        gc.collect()
        return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())

    async with gateway(tmp_path, settings(ours.port), chance=0.0) as gw:
        await gw.connected()
        for _ in range(5):
            await lose(ours, gw)
        before = open_things()
        for number in range(50):
            await gw.commit_messages("ehr/gw/increment/json", [str(number).encode()])
            gw.telemetry.put(reading("t"), b"x")
            await lose(ours, gw)
        await eventually(lambda: open_things() == before, "sockets and tasks of old connections are gone")
        assert threading.active_count() < 15


async def test_a_stop_while_the_broker_is_silent_does_not_hang(tmp_path: Path, ours: BrokerThread) -> None:
    patient = settings(ours.port, ack_timeout_s=1e6, keepalive_s=65_000)  # only FAREWELL_S ends it
    async with asyncio.timeout(HANGS_S), gateway(tmp_path, patient) as gw:
        await gw.connected()
        ours.do(ours.broker.freeze)
    ours.do(ours.broker.thaw)


async def test_an_error_of_the_ledger_ends_the_service(
    tmp_path: Path, ours: BrokerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise LedgerBroken("no disk")

    async def serve() -> None:
        async with gateway(tmp_path, settings(ours.port)) as gw:
            await gw.connected()
            await gw.commit_messages("ehr/gw/increment/json", [b"x"])
            await asyncio.sleep(0.5)

    monkeypatch.setattr("gateway.ledger.outbox.Outbox.pending", broken)
    with pytest.raises(ExceptionGroup) as ended:
        await serve()
    assert ended.group_contains(LedgerBroken)
