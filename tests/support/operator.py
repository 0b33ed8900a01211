"""Whoever asks a running gateway over its socket."""

import json
from typing import Any, cast

from gateway.control.service import ControlService
from gateway.ledger.access import Actor
from tests.support.pipeline import Suite

Json = dict[str, Any]
OPERATOR = Actor("host:rn-4471:1000")


class Operator:
    """An operator, who sends requests to a gateway's control service."""

    def __init__(self, suite: Suite) -> None:
        self.service = ControlService(suite.config, suite.clock, suite.ledger, suite.pipeline)
        self.suite = suite
        self.by = OPERATOR

    async def ask(self, **request: object) -> Json:
        return cast(Json, json.loads(await self.service.answer(json.dumps(request).encode(), self.by)))

    async def request_act(self, act: str, **fields: object) -> Json:
        """What the gateway answers to an act that it takes."""
        answer = await self.ask(request="tell", act=act, person="rn-4471", reason="as charted", **fields)
        assert answer["ok"], answer
        return answer

    async def refused(self, act: str, **fields: object) -> str:
        before = self.suite.ledger.head
        answer = await self.ask(request="tell", act=act, person="rn-4471", reason="as charted", **fields)
        assert not answer["ok"]
        assert self.suite.ledger.head == before, "a refused act changes nothing"
        return f"{answer['error']} | {answer['accepted']}"

    async def session(self, **request: object) -> Json:
        (session,) = (await self.ask(request="sessions", **request))["sessions"]
        return session
