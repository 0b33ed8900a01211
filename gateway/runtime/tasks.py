"""Helpers for asyncio tasks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from gateway.runtime.logs import stack_of

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

_log = logging.getLogger("capgate")

AGAIN_FIRST_S = 1.0
AGAIN_MAX_S = 60.0


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


async def kept_up(what: str, work: Callable[[], Awaitable[None]], fatal: type[Exception]) -> None:
    """Run `work` until it ends; a defect of it is logged, and it is begun again after a wait. Raises `fatal`."""
    wait_s = AGAIN_FIRST_S
    while (defect := await _defect_of(work, fatal)) is not None:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # it failed while it was ended
        _log.error(
            "%s stopped by a defect; it begins again",
            what,
            extra={"kind": type(defect).__name__, "at": stack_of(defect)},
        )
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, AGAIN_MAX_S)


async def _defect_of(work: Callable[[], Awaitable[None]], fatal: type[Exception]) -> Exception | None:
    """What ended `work`, the first of a group; None: it ended by itself. Raises `fatal`."""
    defect: Exception | None = None
    try:
        await work()
    except* fatal:
        raise
    except* Exception as errors:  # noqa: BLE001 - whatever it is, the other parts go on
        defect = first_of(errors)
    return defect


def innermost(error: Exception) -> Exception:
    """The first error of a group; one that is no group itself."""
    match error:
        case ExceptionGroup():
            group: ExceptionGroup[Exception] = error
            return first_of(group)
        case _:
            return error


def first_of(errors: BaseExceptionGroup[E]) -> E:
    """The first of the errors; several tasks may notice the same trouble."""
    for error in errors.exceptions:
        return first_of(error) if isinstance(error, BaseExceptionGroup) else error
    raise ValueError("an exception group is never empty")
