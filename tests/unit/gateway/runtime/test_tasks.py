"""A part that is kept up: a defect begins it again, after ever longer waits; what is fatal passes."""

import asyncio
from itertools import pairwise

import pytest

from gateway.ledger.errors import LedgerBroken, LedgerError
from gateway.runtime.tasks import AGAIN_MAX_S, kept_up
from tests.virtual_time import virtual


@virtual
async def test_a_part_begins_again_after_each_defect_until_it_ends_by_itself() -> None:
    began_s: list[float] = []

    async def part() -> None:
        began_s.append(asyncio.get_running_loop().time())
        if len(began_s) < 10:
            async with asyncio.TaskGroup():  # what it raises may come in a group
                raise OSError("no descriptor")

    await kept_up("part", part, LedgerError)
    waits = [after - before for before, after in pairwise(began_s)]
    assert waits[:3] == pytest.approx([1.0, 2.0, 4.0])
    assert waits[-1] == pytest.approx(AGAIN_MAX_S)


@virtual
async def test_what_is_fatal_passes_alone_or_in_a_group() -> None:
    async def part() -> None:
        raise LedgerBroken("the disk is gone")

    with pytest.raises(ExceptionGroup) as ended:
        await kept_up("part", part, LedgerError)
    assert ended.group_contains(LedgerBroken)
