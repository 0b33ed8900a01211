"""What the equipment screen is told of each unit and line; the error history is that of `capgate lines`."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from drivers.reading import FaultKind, ReadFault, Reading
from gateway.cli import main
from gateway.config.load import load_config
from gateway.config.loaners import Loaner, write_loaners
from gateway.control.answers import DoneAnswer
from gateway.control.equipment import EquipmentAnswer, UnitView
from gateway.control.machines import Machines
from gateway.control.requests import CaptureRequest, EquipmentRequest, RequestRefused
from gateway.ledger.access import Actor
from gateway.ledger.temperatures import HISTORY_FILE, READ, PollCount, TemperatureFile
from gateway.messages.instants import rfc3339
from gateway.monitoring.counters import UnitCounters
from gateway.monitoring.error_history import ErrorHistory
from gateway.polling.captures import Captures
from gateway.telemetry.latest import LatestReadings
from tests.support.pipeline import FakeClock, configured

BY = Actor("m.curie", "biomed")
AT = rfc3339(FakeClock().now().utc_us)


class Asked:
    """The service of a site with one unit."""

    def __init__(self, folder: Path) -> None:
        config = load_config(configured(folder) / "gateway.toml")
        self.file = config.state_dir / HISTORY_FILE
        config.state_dir.mkdir(exist_ok=True)
        self.clock = FakeClock()
        self.latest = LatestReadings(config.units)
        self.counters = {unit.id: UnitCounters() for unit in config.units}
        captures = Captures(config.lines, self.clock, config.state_dir)
        self.machines = Machines(
            config, self.clock, self.latest, captures, ErrorHistory(self.file), lambda: self.counters
        )

    async def equipment(self) -> EquipmentAnswer:
        answer = await self.machines.serve(EquipmentRequest(request="equipment"), BY)
        assert isinstance(answer, EquipmentAnswer)
        return answer

    async def unit(self) -> UnitView:
        (unit,) = (await self.equipment()).units
        return unit

    def count(self, *counts: tuple[str, int]) -> None:
        with closing(TemperatureFile(self.file)) as file:
            file.count([PollCount("2026-03-10", "net-1", "cap-01", *each) for each in counts])


async def test_a_unit_that_was_never_read_says_so(tmp_path: Path) -> None:
    unit = await Asked(tmp_path / "site").unit()
    assert (unit.profile, unit.trust, unit.chairs) == ("reference-cap-unit", "manual", ("c01", "c02"))
    assert (unit.last_seen, unit.fault, unit.answer_times, unit.stands_in_for) == (None, None, None, None)


async def test_a_unit_says_when_it_was_seen_and_how_fast_it_answers(tmp_path: Path) -> None:
    asked = Asked(tmp_path / "site")
    asked.latest.take(Reading("cap-01", asked.clock.now(), (), {}))
    asked.latest.take(ReadFault("cap-01", asked.clock.now(), FaultKind.TIMEOUT, ""))
    for reply_s in [0.03] * 19 + [0.43]:
        asked.counters["cap-01"].ok(reply_s, 1)
    unit = await asked.unit()
    assert (unit.last_seen, unit.fault) == (AT, FaultKind.TIMEOUT)
    assert unit.answer_times is not None
    assert (round(unit.answer_times.mean_s, 3), unit.answer_times.usually_within_s) == (0.05, 0.05)
    asked.counters["cap-01"].ok(99.0, 1)
    again = (await asked.unit()).answer_times
    assert again is not None
    assert again.usually_within_s == 0.5
    for _ in range(5):
        asked.counters["cap-01"].ok(99.0, 1)
    slow = (await asked.unit()).answer_times
    assert slow is not None
    assert slow.usually_within_s is None


async def test_the_error_history_is_that_of_capgate_lines_and_follows_the_file(tmp_path: Path) -> None:
    asked = Asked(tmp_path / "site")
    assert (await asked.equipment()).errors is None
    asked.count((READ, 10), ("timeout", 90))
    shown: dict[str, Any] = json.loads(msgspec.json.encode((await asked.equipment()).errors))
    assert shown == json.loads(CliRunner().invoke(main, ["lines", str(asked.file), "--json"]).stdout)
    asked.count(("timeout", 9))
    errors = (await asked.equipment()).errors
    assert errors is not None
    assert errors.lines[0].units[0].errors[0].today == 99


async def test_a_file_that_cannot_be_read_leaves_the_rest(tmp_path: Path) -> None:
    asked = Asked(tmp_path / "site")
    asked.file.write_bytes(b"no database at all" * 100)
    answer = await asked.equipment()
    assert (answer.errors, len(answer.units)) == (None, 1)


async def test_a_loaner_says_for_which_unit_it_stands(tmp_path: Path) -> None:
    folder = configured(tmp_path / "site")
    state = load_config(folder / "gateway.toml").state_dir
    state.mkdir()
    write_loaners(state, [Loaner(unit="cap-01", loaner="loaner-2", person="bm-17", reason="pump", at=AT)])
    unit = await Asked(folder).unit()
    assert (unit.unit, unit.stands_in_for, unit.chairs) == ("loaner-2", "cap-01", ("c01", "c02"))


async def test_a_capture_is_begun_once_and_shown_while_it_goes_on(tmp_path: Path) -> None:
    asked = Asked(tmp_path / "site")
    request = CaptureRequest(request="capture", line="net-1", person="bm-17")
    answer = await asked.machines.serve(request, BY)
    assert isinstance(answer, DoneAnswer)
    assert answer.done == "net-1 is recorded until 2026-09-21T14:14:20.000Z"
    (line,) = (await asked.equipment()).lines
    assert (line.recorded_until, line.captured_at) == ("2026-09-21T14:14:20.000Z", None)
    with pytest.raises(RequestRefused, match="net-1 is recorded now"):
        await asked.machines.serve(request, BY)
    with pytest.raises(RequestRefused, match="no such line"):
        await asked.machines.serve(CaptureRequest(request="capture", line="net-9", person="bm-17"), BY)
