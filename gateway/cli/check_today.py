"""What `capgate check` says of a configuration because of today's date: what is dated on a day to come."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import cast

from drivers.toml.document import Document, Problem
from gateway.config.load import GatewayConfig


def not_in_effect(config: GatewayConfig, document: Document) -> Iterator[Problem]:
    """An error if the only policies are those of days to come: sessions of the days before are held."""
    policy = config.policies.all[0]
    if _today(config) < policy.effective:
        text = (
            f"policy {policy.name} is effective from {policy.effective} on: sessions that open before are held, "
            "accepted: a list with the policy that is in effect today"
        )
        yield document.problem(("tracking", "policy"), text)


def calibrated_later(config: GatewayConfig, document: Document) -> Iterator[Problem]:
    """An error for each sensor that was calibrated on a day to come."""
    today = _today(config)
    for at, line in enumerate(_tables(document.data, "line")):
        for unit_at, unit in enumerate(_tables(line, "unit")):
            for offset_at, offset in enumerate(_tables(unit, "offset")):
                said = offset.get("calibrated_on")
                if isinstance(said, date) and said > today:
                    path = ("line", at, "unit", unit_at, "offset", offset_at, "calibrated_on")
                    yield document.problem(path, f"a day to come, accepted: the day it was measured, {today} at latest")


def _today(config: GatewayConfig) -> date:
    return datetime.now(config.people_zone).date()


def _tables(table: dict[str, object], key: str) -> list[dict[str, object]]:
    """The tables of an array in a document that fits its schema."""
    return cast("list[dict[str, object]]", table.get(key, []))
