"""The event loop: uvloop where it is installed (its MQTT and TCP cost half), the standard one elsewhere.

The cyclic garbage collector is made to run seldom: the gateway's objects have hardly any reference cycles, and its
passes over all modules and units took a fifth of the time at a thousand units.
"""

import asyncio
import gc
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")

ALLOCATIONS_A_COLLECTION = 50_000


def run_loop(main: Coroutine[object, object, T]) -> T:
    """Run `main` to its end on a new loop."""
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_A_COLLECTION)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
