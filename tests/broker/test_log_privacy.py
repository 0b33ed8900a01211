"""The log of a running gateway: JSON, one object a line, and nothing of a patient, whatever is sent to it."""

import json
import signal
from pathlib import Path

import pytest

from tests.broker.harness import Mosquitto
from tests.support import suite

pytestmark = pytest.mark.timeout(300)  # many processes, one after the other

NOBODY = "socket://127.0.0.1:1"  # nothing listens on port 1
MARK = "SECRET"
PATIENT = {name: {"system": f"urn:{MARK}", "value": f"{MARK}-{name}"} for name in ("mrn", "visit", "account")}
BOUND: dict[str, object] = {
    "unit": "cap-01",
    "chair": "c01",
    "patient": PATIENT,
    "asserted_by": "scan",
    "validated": True,
}
ENDED: dict[str, object] = {
    "order": f"{MARK}-RX",
    "chair": "c01",
    "visit": PATIENT["visit"],
    "agent_class": "chemo",
    "final": True,
}
MESSAGES: tuple[tuple[str, dict[str, object]], ...] = (
    ("association.bound", BOUND),
    ("infusion.completed", ENDED),
    ("association.bound", BOUND | {"patient": f"{MARK} Mary Smith"}),
    ("association.bound", BOUND | {MARK: MARK}),
    ("infusion.completed", ENDED | {"agent_class": MARK}),
    ("infusion.completed", ENDED | {"visit": [MARK]}),
    (MARK, {MARK: MARK}),
)
NO_EVENTS = (f"PID|1||{MARK}^^^H^MR||Smith^Mary", f'{{"specversion": "1.0", "{MARK}": ', f'["{MARK}"]', MARK)


def _results(heard: Path) -> list[str]:
    events = [json.loads(payload) for topic, payload in suite.received(heard) if topic.endswith("/result/json")]
    return [event["data"]["result"] for event in events]


@pytest.mark.requirement("REQ-PRIVACY-2")
async def test_no_patient_data_reaches_the_log(tmp_path: Path) -> None:
    heard = tmp_path / "heard.txt"
    with Mosquitto(tmp_path) as broker:
        suite.write_configuration(tmp_path, NOBODY, broker, 960, 1800)
        gateway = suite.Gateway(tmp_path)
        async with suite.listener(broker, heard):
            await gateway.start()
            await gateway.connected()
            for number, (thing, data) in enumerate(MESSAGES):
                await suite.send_event(broker, f"{MARK}-{number}", thing, suite.in_future(-60), data)
            for payload in NO_EVENTS:
                await suite.publish(broker, suite.TOPIC_IN, payload)
            sent = len(MESSAGES) + len(NO_EVENTS)
            await suite.until(lambda: len(_results(heard)) == sent, "every message is answered")
            assert await gateway.end(signal.SIGTERM) == 0
    assert _results(heard)[:2] == ["accepted", "accepted"], "the gateway knows a patient"
    lines = (tmp_path / "gateway.log").read_text().splitlines()
    assert [line for line in lines if MARK.lower() in line.lower() or "mary" in line.lower()] == []
    assert all({"ts", "level", "logger", "msg"} <= json.loads(line).keys() for line in lines)
