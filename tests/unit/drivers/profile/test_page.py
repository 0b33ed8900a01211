"""docs/devices/README.md has every key that a profile may have, and no other."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from drivers.dialects.registry import DialectName
from drivers.profile import shape
from drivers.profile.dialect_shapes import (
    SHAPES,
    BlockTable,
    HuberPoint,
    NcPoint,
    RegisterPoint,
    RegisterSpan,
    TextPoint,
)
from drivers.profile.enums import ByteKind, PointType, ReadsEffect, ReplyKind, Trust, UnitName, WordOrder

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "devices" / "README.md"
TABLES: dict[str, tuple[type[BaseModel], ...]] = {
    "`[identity]`": (shape.IdentityTable,),
    "`[link]`": (shape.LinkTable,),
    "`link.serial`": (shape.Serial,),
    "`link.address`": (shape.AddressTable,),
    "`[timing]`": (shape.TimingTable,),
    "`[effects]`": (shape.Effects,),
    "`[[block]]`": (BlockTable,),
    "`[after_miss]`": (RegisterSpan,),
    "`[[point]]`": (shape.PointTable,),
    "`[[point]]` in registers": (RegisterPoint,),
    "`[[point]]` in texts": (TextPoint,),
    "`[[point]]` of NC": (NcPoint,),
    "`[[point]]` of Huber PB": (HuberPoint,),
    "`point.unit` by a bit": (shape.UnitByBitTable,),
    "`point.unit` by a value": (shape.UnitByValueTable,),
    "`point.order` by a value": (shape.OrderByValueTable,),
    "`[caps]`": (shape.Caps,),
    "`[[run_state]]`": (shape.RunStateTable,),
    "`[circulating]`": (shape.CirculatingTable,),
    "`circulating.flow`": (shape.FlowTable,),
    "`[connected]`": (shape.Connected,),
    "`[[alarm]]`": (shape.AlarmTable,),
    "`[[verify]]`": (shape.VerifyTable,),
    "`[[integrity]]`": (shape.IntegrityTable,),
    "`[heartbeat]`": (shape.HeartbeatTable,),
    "`[continuity]`": (shape.ContinuityTable,),
    "`[notes]`": (shape.Notes,),
    "`[[golden]]`": (shape.Golden,),
    "`golden.exchanges`": (shape.ExchangeTable,),
    "`golden.expect`": (shape.ExpectedTable,),
    "`golden.expect.caps`": (shape.ExpectedCap,),
}


def sections() -> dict[str, str]:
    """Heading -> text."""
    parts = re.split(r"^##+ (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def documented(heading: str) -> dict[str, bool]:
    """Key -> whether the page calls it required."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", sections()[heading], re.MULTILINE)
    return {key: default == "required" for key, default in rows}


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_documented_and_says_whether_it_is_required(heading: str) -> None:
    expected = {
        field.alias or name: field.is_required()
        for model in TABLES[heading]
        for name, field in model.model_fields.items()
        if model is shape.PointTable
        or not issubclass(model, shape.PointTable)
        or name not in shape.PointTable.model_fields
    }
    assert documented(heading) == expected


def test_every_table_of_a_profile_has_a_section() -> None:
    keys = {field.alias or name for model in set(SHAPES.values()) for name, field in model.model_fields.items()}
    named = {heading.strip("`[]") for heading in TABLES if " " not in heading} | set(documented("top"))
    assert keys == {name for name in named if "." not in name}


def test_every_closed_set_is_listed_whole() -> None:
    text = PAGE.read_text()
    closed = (Trust, ReadsEffect, PointType, ByteKind, WordOrder, ReplyKind)
    for values in (*closed, UnitName, DialectName):
        missing = [each.value for each in values if f"`{each.value}`" not in text]
        assert not missing, values.__name__
