"""Questions to the control service: one of a screen at a time, and those of people beside them."""

import asyncio

from gateway.ledger.access import Actor
from gateway.web.control import SCREEN, Control


async def test_screens_wait_for_each_other_and_nobody_for_them() -> None:
    asked: list[str] = []
    go = asyncio.Event()

    async def tell(line: bytes, by: Actor) -> bytes:
        asked.append(f"{by.login} {line.decode()}")
        if by == SCREEN:
            await go.wait()
        return line

    control = Control(tell)
    screens = [asyncio.create_task(control.ask(f"{each}".encode())) for each in range(3)]
    await asyncio.sleep(0)
    assert await control.ask(b"mine", Actor("page:m.curie", "nurse")) == b"mine"
    assert asked == ["page: 0", "page:m.curie mine"]
    go.set()
    assert await asyncio.gather(*screens) == [b"0", b"1", b"2"]
