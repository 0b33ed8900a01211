"""Which absences from the broker leave a work item, and from when on the engine must send again."""

from pathlib import Path

import pytest

from drivers.reading import Stamp
from gateway.mqtt.service import ConnectionInfo
from gateway.mqtt.types import MqttCounters
from gateway.recording.absence import CONTACT_FILE, LONG_US, WRITE_US, Absence, Cause
from gateway.runtime.kernel_clock import Kept
from gateway.session.facts import AnyFact, WorkKind, WorkRaised
from gateway.session.worklist import WorkKey, work_key

S_US = 1_000_000
START_US = 1_773_145_860_000_000
SILENCE_S = 30.0
ROOT = "capgate/v1/north"


class Box:
    """A gateway of which nothing but its connection is there. It is its own clock."""

    speed = 1.0
    released_us = 0

    def __init__(self, folder: Path, root: str = ROOT, at_us: int = START_US) -> None:
        self.us = at_us
        self.info: ConnectionInfo | None = None
        self.counters = MqttCounters()
        self.open_items: set[WorkKey] = set()
        path = folder / CONTACT_FILE
        self.absence = Absence(path, root, SILENCE_S, lambda: self.info, self.counters, self, self.items)

    def items(self) -> frozenset[WorkKey]:
        return frozenset(self.open_items)

    def now(self) -> Stamp:
        return Stamp(self.us, self.us)

    def kept(self) -> Kept:
        return Kept(synchronised=True)

    def step_us(self) -> int:
        return 0

    def align(self) -> None: ...

    def resume(self, stamp: Stamp) -> None: ...

    async def connected(self, epoch: int, *, session_present: bool = True, for_us: int = 0) -> list[AnyFact]:
        """What a connection leaves to record. Until the last check it lasts `for_us`."""
        if self.info is None or self.info.epoch != epoch:
            self.counters.sessions_begun += not session_present
        self.info = ConnectionInfo(epoch, "5.0", session_present)
        facts = list(self.absence.check())
        await self.absence.keep()
        self.us += for_us
        facts += self.absence.check()
        await self.absence.keep()
        return facts

    def lost(self, for_us: int) -> None:
        self.info = None
        assert self.absence.check() == ()
        self.us += for_us


def item(since_us: int, known_us: int, cause: Cause) -> WorkRaised:
    return WorkRaised(at_us=since_us, known_at_us=known_us, what=WorkKind.MESSAGES_MISSED, order=cause)


async def test_the_first_connection_of_all_misses_nothing(tmp_path: Path) -> None:
    assert await Box(tmp_path).connected(1, session_present=False) == []


async def test_a_session_that_the_broker_lost_is_an_item_however_short_the_absence(tmp_path: Path) -> None:
    box = Box(tmp_path)
    await box.connected(1, session_present=False, for_us=5 * S_US)
    last_us = box.us
    box.lost(for_us=S_US)
    since_us = last_us - round(SILENCE_S * S_US)
    assert await box.connected(2, session_present=False) == [item(since_us, box.us, Cause.SESSION_LOST)]
    assert await box.connected(2, session_present=False) == [], "once a connection"


@pytest.mark.parametrize(("away_us", "found"), [(LONG_US - S_US, 0), (LONG_US, 1)])
async def test_a_long_absence_is_an_item_and_a_short_one_a_line_of_the_log(
    tmp_path: Path, away_us: int, found: int, caplog: pytest.LogCaptureFixture
) -> None:
    box = Box(tmp_path)
    await box.connected(1)
    box.lost(for_us=away_us)
    facts = await box.connected(2)
    assert [fact.order for fact in facts if isinstance(fact, WorkRaised)] == [Cause.LONG_ABSENCE] * found
    assert [record.message for record in caplog.records] == ["away from the broker"]


async def test_the_absence_of_a_stopped_gateway_counts_from_its_last_contact(tmp_path: Path) -> None:
    await Box(tmp_path).connected(1, for_us=WRITE_US)
    last_us = START_US + WRITE_US
    again = Box(tmp_path, at_us=last_us + LONG_US)
    (found,) = await again.connected(2)
    assert found == item(last_us - round(SILENCE_S * S_US), again.us, Cause.LONG_ABSENCE)
    third = Box(tmp_path, at_us=again.us)
    assert await third.connected(3) == [], "the file has the contact since"


async def test_another_mode_of_the_same_box_was_never_there(tmp_path: Path) -> None:
    await Box(tmp_path).connected(1)
    assert await Box(tmp_path, root="capgate-test/v1/north").connected(2, session_present=False) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"root": 1}'])
async def test_a_spoilt_file_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CONTACT_FILE).write_bytes(content)
    assert await Box(tmp_path).connected(1, session_present=False) == []


async def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    box = Box(tmp_path / "gone")
    await box.connected(1)
    box.lost(for_us=LONG_US)
    assert len(await box.connected(2)) == 1


async def test_a_lost_session_is_found_though_the_connection_that_showed_it_ended_at_once(tmp_path: Path) -> None:
    box = Box(tmp_path)
    await box.connected(1)
    box.lost(for_us=S_US)
    box.counters.sessions_begun += 1  # of connection 2, which no check saw
    (found,) = await box.connected(3)
    assert isinstance(found, WorkRaised)
    assert found.order == Cause.SESSION_LOST


async def test_a_file_that_cannot_be_written_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    box = Box(tmp_path / "gone")
    for _ in range(3):
        await box.connected(1, for_us=WRITE_US)
    assert [record.message for record in caplog.records] == ["the last contact with the broker is not kept"]
    (tmp_path / "gone").mkdir()
    await box.connected(1, for_us=WRITE_US)
    assert (tmp_path / "gone" / CONTACT_FILE).exists()


async def test_an_open_item_is_not_raised_again(tmp_path: Path) -> None:
    box = Box(tmp_path)
    for epoch in (1, 2):
        await box.connected(epoch)
        box.lost(for_us=LONG_US)
    (found,) = await box.connected(3)
    assert isinstance(found, WorkRaised)
    box.open_items.add(work_key(found))
    box.lost(for_us=LONG_US)
    assert await box.connected(4) == []


async def test_a_clock_that_went_back_names_no_instant_to_come(tmp_path: Path) -> None:
    box = Box(tmp_path)
    await box.connected(1)
    box.lost(for_us=-LONG_US)
    (found,) = await box.connected(2, session_present=False)
    assert found.at_us < box.us
