"""Which model reads the data of each inbound type, and the JSON Schema that describes it to whoever builds one."""

from collections.abc import Mapping

import msgspec

from gateway.messages.inbound import json_models as models


class Described(msgspec.Struct, frozen=True):
    """The model, and the schema's name."""

    model: type[models.InboundModel]
    schema: str


_INFUSION = Described(models.Infusion, "in-infusion-1")
_ASSOCIATION = Described(models.Association, "in-association-1")
_CAP_CHANGE = Described(models.CapChange, "in-cap-change-1")

DESCRIBED: Mapping[str, Described] = {
    "infusion.started.v1": _INFUSION,
    "infusion.completed.v1": _INFUSION,
    "infusion.voided.v1": _INFUSION,
    "infusion.restarted.v1": _INFUSION,
    "association.bound.v1": _ASSOCIATION,
    "association.released.v1": _ASSOCIATION,
    "order.checked.v1": Described(models.OrderCheckModel, "in-order-check-1"),
    "session.finalized.v1": Described(models.Finalisation, "in-finalisation-1"),
    "preparation.charted.v1": Described(models.Preparation, "in-preparation-1"),
    "tolerance.checked.v1": Described(models.ToleranceModel, "in-tolerance-1"),
    "cap.identified.v1": Described(models.CapIdentity, "in-cap-identity-1"),
    "cap.removed.v1": _CAP_CHANGE,
    "cooling.stop-charted.v1": _CAP_CHANGE,
    "patient.left.v1": _CAP_CHANGE,
    "ack.v1": Described(models.Ack, "in-ack-1"),
}
