"""The retained head of a session says what goes on, and when the next unit is due: the real pipeline on a real day."""

import json
from pathlib import Path
from typing import Any

from tests.support.story import POLICIES, Day, a_day

POLICY = (POLICIES / "story.toml").read_text()


async def head(day: Day) -> dict[str, Any]:
    """The last head, as whoever subscribes now would get it."""
    rows = await day.ledger.outbox.pending(0, 100_000)
    (*_, last) = [row for row in rows if "/dev/" in row.topic and "/session/" in row.topic]
    assert last.retain
    return json.loads(last.payload)["data"]


async def test_a_head_tells_the_phase_and_the_next_unit(tmp_path: Path) -> None:
    async with a_day(tmp_path, POLICY) as day:
        await day.cooled()
        await day.until("09:05")
        opened = await head(day)
        assert (opened["phase"], opened["attained"]) == ("pre-cooling", 0)
        assert "next_at" not in opened
        await day.infused()
        ended = await head(day)
        assert (ended["phase"], ended["attained"], "next_at" in ended) == ("ended", 3, False)
        rows = await day.ledger.outbox.pending(0, 100_000)
        heads = [json.loads(row.payload)["data"] for row in rows if "/session/" in row.topic and "/dev/" in row.topic]
        counting = [each for each in heads if each["phase"] == "post-infusion"]
        due = {each["attained"]: each["next_at"][11:16] for each in counting}
        assert due == {0: "15:30", 1: "16:00", 2: "16:30", 3: "17:00"}, "each 30 minutes after 11:00-04:00"
        assert {each["started_at"] for each in heads} == {opened["started_at"]}
