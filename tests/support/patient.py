"""A patient whose identifiers are canaries: from the cap to a charge that is settled and old."""

from drivers.reading import RunState
from gateway.ledger.batch import Attempt
from tests.support.operator import Operator
from tests.support.pipeline import MINUTE_US, Json, Suite, cool

DAY_US = 1440 * MINUTE_US
VISIT, MRN, ACCOUNT, NAME = "QZVISIT7", "QZMRN7", "QZACCT7", "QZFAMILY"
CANARIES = (VISIT, MRN, ACCOUNT, NAME)
RETENTION = "[retention]\nidentifiers_days = 30\nmessages_days = 30\ncopies_days = 30\n\n"
WHO: Json = {"person": "rn-1", "reason": "the yearly review"}


async def treated(suite: Suite) -> str:
    """A session that lacks nothing but a signature; all of it names canaries."""
    await cool(suite)
    operator = Operator(suite)
    token = (await operator.session())["token"]
    patient = {"mrn": MRN, "account": ACCOUNT}
    place = {"unit": "cap-01", "cap": 1, "visit": VISIT, "patient": patient}
    answer = await suite.send_event("b", "association.bound", 60, validated=True, asserted_by="scan", **place)
    assert answer["result"] == "accepted", answer
    order = {"visit": VISIT, "order": "O-1", "agent_class": "chemo", "source": "mar"}
    await suite.send_event("s", "infusion.started", 50, **order)
    await suite.send_event("e", "infusion.completed", 20, final=True, **order)
    await operator.request_act("prepared", token=token)
    suite.state = RunState.STOPPED
    await suite.poll(2)
    return token


async def settled(suite: Suite) -> str:
    """A session that is charged, delivered and old enough; its key."""
    token = await treated(suite)
    await Operator(suite).request_act("finalise", token=token)
    await taken_by_broker(suite)
    suite.clock.us += 31 * DAY_US
    return token


async def taken_by_broker(suite: Suite) -> None:
    """The broker takes all that waits."""
    rows = await suite.ledger.outbox.pending(0, 10_000)
    await suite.ledger.outbox.mark([Attempt(row.outbox_id, suite.clock.us, 0, delivered=True) for row in rows])
