"""Who may do what on the page. Pure."""

from gateway.config.roles import Role

_AT_THE_CHAIR = frozenset(
    {"bind", "release", "prepared", "tolerance", "cap-id", "note", "order-checked", "infusion-ended", "stop-charted"}
    | {"cap-removed", "assign"}
)
_DECISIONS = frozenset({"finalise", "lift-hold", "explain", "decide-correction", "reassign", "work-done", "resend"})
_OVERSIGHT = frozenset({"activity"})
_MACHINES = frozenset({"swap", "swap-back", "capture", "diagnose"})

_MAY: dict[Role, frozenset[str]] = {
    Role.VIEWER: frozenset(),
    Role.NURSE: _AT_THE_CHAIR,
    Role.CHARGE: _AT_THE_CHAIR | _DECISIONS | _OVERSIGHT,
    Role.BIOMED: _MACHINES,
    Role.ADMIN: _AT_THE_CHAIR | _DECISIONS | _OVERSIGHT | _MACHINES,
}


def may_do(role: Role) -> frozenset[str]:
    """What this role may do: acts, by their names at the control service; `diagnose` and `activity` are pages."""
    return _MAY[role]
