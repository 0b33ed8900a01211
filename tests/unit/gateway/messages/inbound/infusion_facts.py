"""What the readers are to find in messages on one infusion."""

import msgspec

from gateway.session.policy import parse_policy
from tests.unit.gateway.messages.hl7_support import (
    EHR_SITE,
    VISIT,
)
from tests.unit.gateway.messages.inbound.inbound_support import us

POLICY = parse_policy('name = "p"\nrevision = "1"\neffective = 2026-01-01\nfirst_threshold_s = 960\n')
START, END = us("2026-03-10T13:30:00+00:00"), us("2026-03-10T15:00:00+00:00")


def _knows(subject: str, order: str) -> bool:
    return (subject, order) == (VISIT, "RX55821")


KNOWN = msgspec.structs.replace(EHR_SITE, knows_order=_knows)
