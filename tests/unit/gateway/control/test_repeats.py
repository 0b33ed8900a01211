"""An act that is sent again is carried out once; one that failed may be tried again."""

import asyncio

import pytest

from gateway.control.answers import ActAnswer
from gateway.control.repeats import MOST, Repeats
from gateway.control.requests import RequestRefused


class Acts:
    """Counts how often an act is carried out."""

    def __init__(self) -> None:
        self.done = 0

    async def act(self) -> ActAnswer:
        await asyncio.sleep(0)
        self.done += 1
        return ActAnswer(recorded=(str(self.done),), changed=())


async def test_a_repeat_gets_the_first_answer_even_while_that_is_under_way() -> None:
    repeats, acts = Repeats(), Acts()
    both = await asyncio.gather(*(repeats.once("page:a", "k", acts.act) for _ in range(2)))
    assert (acts.done, both[0] is both[1]) == (1, True)
    await repeats.once("page:b", "k", acts.act)
    assert acts.done == 2, "another person's key"


async def test_what_failed_may_be_tried_again_and_what_is_remembered_is_bounded() -> None:
    repeats, acts = Repeats(), Acts()

    async def fail() -> ActAnswer:
        raise RequestRefused("so far", "later")

    with pytest.raises(RequestRefused):
        await repeats.once("page:a", "k", fail)
    for number in range(MOST + 1):
        await repeats.once("page:a", f"k{number or ''}", acts.act)
    await repeats.once("page:a", "k", acts.act)
    assert acts.done == MOST + 2
