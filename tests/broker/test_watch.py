"""The installed `capgate watch` on a terminal, of which some know ASCII alone: what began before it, hostile words."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.broker.harness import HANGS_S, Mosquitto
from tests.support.suite import CAPGATE, GATEWAY, POLICY

MESSAGES = Path(__file__).parents[1] / "data" / "messages"
ROOT = "capgate-test/v1/ward/dev/gw-01"
HOSTILE = "[/]\x1b[2J[red]"


def sample(name: str, **fields: object) -> str:
    event = json.loads((MESSAGES / f"out_{name}.json").read_text())
    event["data"] |= fields
    return json.dumps(event)


def retain(broker: Mosquitto, topic: str, payload: str) -> None:
    command = ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-r", "-t", f"{ROOT}/{topic}", "-m", payload]
    subprocess.run(command, check=True)


def until(terminal: int, words: list[str]) -> str:
    """What the terminal is told, until it has every one of the words."""
    told, deadline = "", time.monotonic() + HANGS_S
    while not all(word in told for word in words):
        assert time.monotonic() < deadline, told[-3000:]
        if select.select([terminal], [], [], 1.0)[0]:
            told += os.read(terminal, 65536).decode(errors="replace")
    return told


@pytest.mark.parametrize(
    ("surroundings", "ascii_alone"),
    [({"PYTHONIOENCODING": "ascii"}, True), ({"LANG": "C", "LC_ALL": "C"}, False)],  # Python takes C for UTF-8
)
def test_a_session_that_began_before_is_shown_wherever_it_is_looked_at(
    tmp_path: Path, surroundings: dict[str, str], ascii_alone: bool
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY.format(first_s=960, further_s=1800))
    config = tmp_path / "gateway.toml"
    due = datetime.now(UTC) + timedelta(minutes=25)
    next_at = f"{due:%Y-%m-%dT%H:%M:%S}.000Z"
    with Mosquitto(tmp_path) as broker:
        words = {"broker_port": broker.port, "health_port": 0, "url": "socket://127.0.0.1:502"}
        text = GATEWAY.format(**words, gateway="gw-01", unit="cap-07", unit_id=1, chair="c1")
        text = re.sub(r"\[health\]\nlisten = .*\n", "", text)
        config.write_text(text.replace('mode = "test"', 'mode = "test"\ntime_zone = "America/New_York"'))
        retain(broker, "session/9RX2M7KQ4", sample("session_head", next_at=next_at))
        retain(broker, "unit/cap-07/status", sample("unit_status_down", fault=HOSTILE))
        terminal, its_end = pty.openpty()
        environment = {**os.environ, **surroundings, "COLUMNS": "240", "LINES": "40", "TERM": "xterm"}
        process = subprocess.Popen(
            [CAPGATE, "watch", "--config", config], env=environment, stdin=its_end, stdout=its_end, stderr=its_end
        )
        os.close(its_end)
        try:
            told = until(terminal, ["9RX2M7KQ4", "post-infusion", "DOWN: [/]\\x1b[2J[red]"])
            process.send_signal(signal.SIGINT)
            assert process.wait(HANGS_S) == 0
        finally:
            process.kill()
            process.wait()
            os.close(terminal)
    assert "Traceback" not in told
    assert told.isascii() or not ascii_alone
    assert re.search(r"in 2[45]:\d\d", told)
    assert "UTC-0" in told
