"""The engine's feed as an analyst sees it: the installed gateway on mosquitto, `capgate feed` and the alarm."""

import asyncio
import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from tests.broker.harness import Mosquitto
from tests.support import suite as processes
from tests.support.operator import Json

HEADER = "MSH|^~\\&|EPIC|CLINIC|CAPGATE|SUITE|20260310120000||{type}|{id}|P|2.5.1\r"
MOVED = HEADER.format(type="ADT^A02^ADT_A02", id="C-1") + "EVN||20260310120000\rPID|1||M-1\rPV1|1|O|ELSEWHERE\r"
UNREADABLE = HEADER.format(type="RAS^O17^RAS_O17", id="C-2") + "PID|1||M-1\rRXA|0|1|yesterday\r"


async def feed(config: Path) -> Json:
    process = await asyncio.create_subprocess_exec(
        processes.CAPGATE, "feed", "--config", config, "--json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return cast(Json, json.loads(out))


@pytest.mark.timeout(300)
async def test_an_analyst_sees_what_became_of_each_kind_of_message(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        processes.write_configuration(tmp_path, "socket://127.0.0.1:1", broker, first_s=2, further_s=2)
        heard = tmp_path / "heard"
        async with processes.listener(broker, heard):
            gateway = processes.Gateway(tmp_path)
            await gateway.start()
            await gateway.says("connected")
            place: dict[str, object] = {
                "unit": "cap-01",
                "cap": 1,
                "visit": "V-1",
                "validated": True,
                "asserted_by": "scan",
            }
            await processes.send_event(broker, "b1", "association.bound", datetime.now(UTC), place)
            for payload in (MOVED, UNREADABLE, UNREADABLE.replace("C-2", "C-3")):
                await processes.publish(broker, processes.TOPIC_IN, payload)
            rows: list[Json] = []
            async with asyncio.timeout(processes.HANGS_S):
                while sum(row["today"] for row in rows) < 4:
                    rows = (await feed(tmp_path / "gateway.toml"))["feed"]
            alarm = f"{processes.ROOT}/v1/ward/dev/gw-01/alarm/feed-rejected"
            await processes.until(
                lambda: any(topic == alarm and b"C-3" in payload for topic, payload in processes.received(heard)), alarm
            )
            assert await gateway.end(signal.SIGTERM) == 0
    assert [(row["sender"], row["type"], row["result"], row["today"], row["last_id"]) for row in rows] == [
        ("EPIC", "ADT^A02", "ignored", 1, "EPIC|C-1"),
        ("EPIC", "RAS^O17", "rejected", 2, "EPIC|C-3"),
        ("urn:example:engine", "org.example.ehr.association.bound.v1", "accepted", 1, "urn:example:engine|b1"),
    ]
