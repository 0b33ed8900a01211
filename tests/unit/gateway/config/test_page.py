"""docs/reference/configuration.md has every key that the models have, with its place and default, and no other."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.config.tables import (
    CapTable,
    ChargesTable,
    ClockTable,
    DrugsTable,
    EhrTable,
    GatewayTable,
    HealthTable,
    HistoryTable,
    LedgerTable,
    LineTable,
    MqttTable,
    ObservationsTable,
    OffsetTable,
    OidcTable,
    ProxyTable,
    ReceiptsTable,
    RetentionTable,
    TrackingTable,
    UnitTable,
    WebTable,
)

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "configuration.md"
TABLES: dict[str, type[BaseModel]] = {
    "[gateway]": GatewayTable,
    "[mqtt]": MqttTable,
    "[tracking]": TrackingTable,
    "[health]": HealthTable,
    "[web]": WebTable,
    "[web.oidc]": OidcTable,
    "[web.proxy]": ProxyTable,
    "[history]": HistoryTable,
    "[ledger]": LedgerTable,
    "[clock]": ClockTable,
    "[retention]": RetentionTable,
    "[receipts]": ReceiptsTable,
    "[charges]": ChargesTable,
    "[observations]": ObservationsTable,
    "[ehr]": EhrTable,
    "[drugs]": DrugsTable,
    "[[line]]": LineTable,
    "[[line.unit]]": UnitTable,
    "offset": OffsetTable,
    "[[line.unit.cap]]": CapTable,
}
COMPUTED = {"client_id": "`capgate-` and the gateway's id", "unit_id": "the profile's"}


def documented() -> dict[str, dict[str, str]]:
    """Heading -> key -> default, as the first table under each has them."""
    sections = re.split(r"^## `(.+)`$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    rows = re.compile(r"^\| `(\w+)` \| .+ \| (.+) \| .+ \|$", re.MULTILINE)
    tables = [re.split(r"^##+ ", text, maxsplit=1, flags=re.MULTILINE)[0] for text in sections[1::2]]
    return {heading: dict(rows.findall(table)) for heading, table in zip(sections[::2], tables, strict=True)}


def test_the_page_has_a_table_for_each_table_of_the_file() -> None:
    assert list(documented()) == list(TABLES)


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_documented_with_its_default(heading: str) -> None:
    expected: dict[str, str] = {}
    for name, field in TABLES[heading].model_fields.items():
        if field.is_required():
            expected[name] = "required"
        elif name in COMPUTED:
            expected[name] = COMPUTED[name]
        else:
            expected[name] = f"`{json.dumps(field.default)}`" if field.default not in (None, (), {}) else "none"
    assert documented()[heading] == expected
