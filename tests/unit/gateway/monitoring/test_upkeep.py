"""What has to be kept up: read from the files as they lie there, and what cannot be read is left out."""

import os
import resource
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.ledger.temperatures import PollCount, TemperatureFile
from gateway.monitoring.error_history import ErrorHistory
from gateway.monitoring.upkeep import Upkeep, UpkeepState
from tests.support.certificates import certificate

SOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATE = datetime(2031, 5, 1, tzinfo=UTC)


def test_the_first_certificate_of_a_file_to_expire_counts(tmp_path: Path) -> None:
    chain, broken = tmp_path / "page.crt", tmp_path / "client.crt"
    chain.write_bytes(certificate(LATE) + certificate(SOON))
    broken.write_text("no certificate")
    files = {"page": chain, "broker-client": broken, "broker-authority": tmp_path / "missing"}
    found = Upkeep(tmp_path / "ledger.db", ErrorHistory(tmp_path / "temperatures.db"), files).look()
    assert found == UpkeepState(None, {"page": SOON.timestamp()}, None)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (timedelta(days=31), {}),
        (timedelta(days=29), {"page": "expires on 2026-05-01"}),
        (timedelta(days=-1), {"page": "expired on 2026-05-01"}),
    ],
)
def test_it_is_told_of_thirty_days_before(before: timedelta, said: dict[str, str]) -> None:
    state = UpkeepState(expires_s={"page": SOON.timestamp(), "broker-client": LATE.timestamp()})
    assert state.expiring((SOON - before).timestamp()) == said


def test_descriptors_are_told_of_when_they_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upkeep = Upkeep(tmp_path / "ledger.db", ErrorHistory(tmp_path / "temperatures.db"), {})
    most = [len(os.listdir("/proc/self/fd")) - 1 + 500]

    def limits(_resource: int) -> tuple[int, int]:
        return most[0], most[0]

    monkeypatch.setattr(resource, "getrlimit", limits)
    assert upkeep.look().descriptors_left is None
    most[0] -= 480
    left = upkeep.look().descriptors_left
    assert left is not None
    assert 10 < left < 25


def test_the_ledger_is_as_large_as_both_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(bytes(4096))
    (tmp_path / "ledger.db-wal").write_bytes(bytes(100))
    assert Upkeep(tmp_path / "ledger.db", ErrorHistory(tmp_path / "temperatures.db"), {}).look().ledger_bytes == 4196


def test_read_errors_of_before_the_start_are_there(tmp_path: Path) -> None:
    with closing(TemperatureFile(tmp_path / "temperatures.db")) as file:
        file.count([PollCount("2026-03-10", "bay-a", "cap-07", "timeout", 12)])
    lines = Upkeep(tmp_path / "ledger.db", ErrorHistory(tmp_path / "temperatures.db"), {}).look().lines
    assert lines is not None
    ((unit,),) = (line.units for line in lines.lines)
    assert (unit.unit, unit.errors[0].days_30, unit.alarming) == ("cap-07", 12, True)
