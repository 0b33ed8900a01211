"""What `capgate check` says of a configuration because of today's date: what is dated on a day to come."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import cast

from drivers.toml.document import Document, Problem
from gateway.config.certificates import certificates
from gateway.config.load import GatewayConfig
from gateway.runtime.certificates import SOON_S, expiries, expiry_text
from gateway.runtime.clock import US_PER_S, SystemClock

_KEYS = {
    "broker-authority": ("mqtt", "ca_file"),
    "broker-client": ("mqtt", "cert_file"),
    "page": ("web", "cert_file"),
}  # by what a certificate is for


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


def expiring(config: GatewayConfig, document: Document) -> Iterator[Problem]:
    """A warning for each certificate that expires within 30 days, or has expired."""
    now_s = SystemClock().now().utc_us / US_PER_S
    for name, at_s in expiries(certificates(config)).items():
        if at_s - now_s < SOON_S:
            yield document.problem(_KEYS[name], f"the certificate {expiry_text(at_s, now_s)}: it must be renewed")


def _today(config: GatewayConfig) -> date:
    return datetime.now(config.people_zone).date()


def _tables(table: dict[str, object], key: str) -> list[dict[str, object]]:
    """The tables of an array in a document that fits its schema."""
    return cast("list[dict[str, object]]", table.get(key, []))
