"""A suite in which everything that others can write is hostile: what people say, who they are, orders and visits."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from drivers.reading import RunState
from gateway.ledger.access import Actor
from tests.support.hostile_texts import TEXTS
from tests.support.operator import Operator
from tests.support.pipeline import FakeClock, facts_of, running

PATIENT = '"><img/src=x/onerror=hostile()>'  # no blanks, as in a visit; slashes part attributes too
HOSTILE = Actor("sso:<script>hostile()</script>", "nurse")


class Hostile(NamedTuple):
    """What was written: the session, the texts that its facts have, and until when it was played."""

    token: str
    told: tuple[str, ...]
    charted: tuple[str, ...]
    until_us: int


async def played(folder: Path) -> Hostile:
    """Play it in the folder of a site; each text is told, with a person and a reason, and charted of an order."""
    clock = FakeClock()
    async with running(folder, clock) as suite:
        operator = Operator(suite)
        operator.by = HOSTILE
        suite.state = RunState.RUNNING
        await suite.poll(2)
        token = (await operator.session())["token"]
        await operator.request_act("bind", place="c01", visit=PATIENT, mrn="=cmd|'/C calc'!A0", account="<b>bold</b>")
        told: list[str] = []
        for text in TEXTS:
            act = {"request": "tell", "act": "note", "token": token, "text": text}
            answer = await operator.ask(**act, person=text[:200], reason=text[:200])
            assert answer["ok"] == (text.strip().isprintable() and 0 < len(text.strip()) <= 500), text
            if answer["ok"]:
                told.append(text.strip())
        started = [_started(number, text[:64], clock.us) for number, text in enumerate(TEXTS)]
        await suite.pipeline.message("any", json.dumps(started).encode())
        charted = tuple(fact["order"] for fact in await facts_of(suite, "infusion_started"))
        return Hostile(token, tuple(told), charted, clock.us)


def _started(number: int, text: str, at_us: int) -> dict[str, object]:
    """An agent's start as a JSON event, in which whatever the engine names is that text."""
    return {
        "specversion": "1.0",
        "type": "org.example.infusion.started.v1",
        "source": f"urn:{text}",
        "id": f"{number}{text}",
        "time": datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(),
        "data": {"visit": PATIENT, "order": text, "administration": text, "agent_class": "chemo", "source": "mar"},
    }
