"""A broker that refuses a subscription: the gateway says so, and asks again until it is granted."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.monitoring.alarms import AlarmCode, AlarmInputs, active
from gateway.mqtt.types import NOBODY_LISTENS, NOT_AUTHORIZED
from tests.broker.gateway_side import INBOUND, STATUS, gateway, settings
from tests.broker.harness import Mosquitto, eventually, only_3_1_1
from tests.broker.paho_client import PahoClient

PLUGIN = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"  # comes with mosquitto
CONTROL = "$CONTROL/dynamic-security/v1"
REFUSED_3_1_1 = 0x80


class Refusing(Mosquitto):
    """A mosquitto that grants everything but subscriptions, until `grant` was called."""

    def __init__(self, folder: Path) -> None:
        salt = b"of the test."
        password = hashlib.pbkdf2_hmac("sha512", b"admin", salt, 101)
        may = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
        control = {"acltype": "publishClientSend", "topic": "$CONTROL/dynamic-security/#", "allow": True}
        admin = {"username": "admin", "roles": [{"rolename": "admin"}], "iterations": 101}
        admin |= {"password": base64.b64encode(password).decode(), "salt": base64.b64encode(salt).decode()}
        rights = {"defaultACLAccess": may, "clients": [admin], "roles": [{"rolename": "admin", "acls": [control]}]}
        (folder / "rights.json").write_text(json.dumps(rights))
        super().__init__(folder, [f"plugin {PLUGIN}", f"plugin_opt_config_file {folder}/rights.json"])

    def grant(self) -> None:
        """Let everybody subscribe from now on."""
        command = {"command": "setDefaultACLAccess", "acls": [{"acltype": "subscribe", "allow": True}]}
        client = paho.Client(CallbackAPIVersion.VERSION2, "admin")
        client.username_pw_set("admin", "admin")
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        client.publish(CONTROL, json.dumps({"commands": [command]}), 1).wait_for_publish(50)
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def refusing(tmp_path: Path) -> Iterator[Refusing]:
    with Refusing(tmp_path) as broker:
        yield broker


async def test_a_refused_subscription_is_shown_and_asked_for_again(
    tmp_path: Path, refusing: Refusing, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, settings(refusing.port)) as gw:
        await gw.connected()
        assert gw.service.refused_filters == {INBOUND: NOT_AUTHORIZED, STATUS: NOT_AUTHORIZED}
        alarms = dict(active(AlarmInputs(refused_filters=gw.service.refused_filters)))
        assert INBOUND in alarms[AlarmCode.SUBSCRIPTION_REFUSED]
        await eventually(lambda: gw.counters.subscriptions_refused >= 6, "it asks again")
        engine = PahoClient(refusing.port, paho.MQTTv5, "engine")
        assert engine.publish(INBOUND, b"early") == NOBODY_LISTENS
        await asyncio.to_thread(refusing.grant)
        await eventually(lambda: gw.service.refused_filters == {}, "it is granted")
        assert engine.publish(INBOUND, b"late") == 0
        await eventually(lambda: gw.handled == [b"late"], "it hears")
        engine.disconnect()
        assert gw.counters.connects == 1
    said = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert said == ["broker refuses a subscription"] * 2, "of each once, however often it was asked"


async def test_a_broker_of_3_1_1_says_that_it_refuses_too(tmp_path: Path, refusing: Refusing) -> None:
    async with only_3_1_1(refusing.port) as port, gateway(tmp_path, settings(port)) as gw:
        await gw.connected()
        assert gw.service.refused_filters == {INBOUND: REFUSED_3_1_1, STATUS: REFUSED_3_1_1}
