"""Helpers for asyncio tasks."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def in_own_task(work: Coroutine[object, object, T]) -> T:
    """The result of `work`, run in a task of its own; its exception takes precedence over a simultaneous cancellation.

    A TaskGroup that fails swallows a simultaneous cancellation, and under Python 3.11 leaves its task marked as
    cancelled; neither may affect the task that decides whether to go on.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()
        raise
    return task.result()
