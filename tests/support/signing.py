"""A session that is cooled, charted and signed."""

from typing import Any

from drivers.reading import RunState
from tests.support.pipeline import Suite, cool

Json = dict[str, Any]


async def signed(suite: Suite) -> None:
    """A session of three increments, charted and signed; the gateway is restarted after each step."""
    await cool(suite)
    await suite.infusion_over()
    await suite.poll(80)
    suite.state = RunState.STOPPED
    await suite.poll(2)
    await suite.start()
    await suite.send_event("p", "preparation.charted", visit="V-1", person="rn-1")
    await suite.start()
    await suite.send_event("f", "session.finalized", visit="V-1", person="rn-1")
    await suite.start()
