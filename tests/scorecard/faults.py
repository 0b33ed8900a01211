"""Faults made on the installed gateway, by the hundred. Run by the scorecard alone."""

import subprocess
import sys

from tests.scorecard.repeats import repeats


def test_sessions_of_real_processes_lose_double_and_invent_nothing() -> None:
    campaign = [sys.executable, "-m", "tests.campaign.real", "--seeds", str(repeats(4))]
    played = subprocess.run(campaign, capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stdout
