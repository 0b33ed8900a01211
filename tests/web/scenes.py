"""What a site has to show: errors of a unit beside its month, a charge that the engine rejected."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drivers.reading import RunState
from gateway.ledger.temperatures import HISTORY_FILE, READ, Calibration, PollCount, TemperatureFile
from tests.support.operator import Operator
from tests.support.pipeline import cool
from tests.support.signing import signed
from tests.web.site import Site

EXPECTED = '[receipts]\nexpected = "json"\n'  # of gateway.toml, for an engine that answers with receipts


def a_month(file: Path, units: tuple[str, ...], before: datetime) -> None:
    """Three weeks in which all of these answered well."""
    days = [(before - timedelta(days=back)).date().isoformat() for back in range(2, 23)]
    with closing(TemperatureFile(file)) as history:
        history.count(PollCount(day, "net-1", unit, READ, 10_000) for day in days for unit in units)


def counted(site: Site, today: dict[str, int]) -> None:
    """The first unit's polls of today, after a month in which it answered well."""
    file, now = site.suite.config.state_dir / HISTORY_FILE, datetime.fromtimestamp(site.suite.clock.us / 1e6, UTC)
    a_month(file, ("cap-01",), now)
    with closing(TemperatureFile(file)) as history:
        history.count(PollCount(now.date().isoformat(), "net-1", "cap-01", *each) for each in today.items())
        history.calibrate([Calibration("cap-01", "cap_front", 1, -0.3, "2024-03-01")], 1)


async def held(site: Site) -> str:
    """The token of a signed session of three units, held since there is no order."""
    suite = site.suite
    await cool(suite)
    await suite.infusion_over()
    await suite.poll(80)
    suite.state = RunState.STOPPED
    await suite.poll(5)
    operator = Operator(suite)
    token = (await operator.session())["token"]
    for act, fields in (("prepared", {}), ("order-checked", {"found": False}), ("finalise", {})):
        await operator.request_act(act, token=token, **fields)
    return token


async def rejected(site: Site) -> str:
    """The key of a charge that the engine rejected, with words that name a patient."""
    await signed(site.suite)
    (charge,) = await site.suite.sent("/charge/json")
    receipt = {"for": charge["id"], "result": "rejected", "code": "204", "text": "visit V-1 not open"}
    await site.suite.send_event("r1", "ack", 0.0, **receipt)
    return charge["id"]
