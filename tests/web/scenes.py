"""What a site has to show: errors of a unit beside its month, a charge that the engine rejected."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drivers.reading import CapReading, Measurement, Reading, RunState
from gateway.ledger.temperatures import HISTORY_FILE, READ, Calibration, PollCount, TemperatureFile
from tests.support.operator import Operator
from tests.support.pipeline import cool
from tests.support.signing import signed
from tests.web.site import Site

UNIT = """
[[line.unit]]
id = "cap-{number:02}"
profile = "reference-cap-unit"
unit_id = {number}
poll_period_s = 30
simulated = true
cap = [{{ cap = 1, chair = "c{first:02}" }}, {{ cap = 2, chair = "c{second:02}" }}]
"""
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


def with_chairs(folder: Path, chairs: int) -> None:
    """Let the site have so many chairs, an even number, two a unit."""
    file = folder / "gateway.toml"
    units = (
        UNIT.format(number=number, first=2 * number - 1, second=2 * number) for number in range(2, chairs // 2 + 1)
    )
    file.write_text(file.read_text() + "".join(units))


async def all_cool(site: Site, cap_c: float) -> None:
    """Every cap of every unit cools and is read at this instant."""
    stamp = site.suite.clock.now()
    for unit in site.suite.config.units:
        shown = {"cap_front": Measurement(cap_c, "Cel"), "coolant_supply": Measurement(-4.0, "Cel")}
        caps = tuple(
            CapReading(number, RunState.RUNNING, True, True, shown, treatment=9, elapsed_s=60) for number in (1, 2)
        )
        reading = Reading(unit.id, stamp, caps, {}, ())
        site.latest.take(reading)
        await site.suite.pipeline.answer(reading)


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
