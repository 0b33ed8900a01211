"""The rows of a device page that say what is read: requests and points."""

from drivers.decode.values import canonical_unit
from drivers.profile import shape
from drivers.profile.enums import ByteKind, Scope
from drivers.profile.types import Block, OrderByValue, Point, Registers, UnitByBit, UnitByValue


def request(block: Block) -> str:
    """What one exchange asks for."""
    match block.source:
        case Registers(function, address, count):
            return f"function {function}, {_registers(function, address, count)}"
        case int(number):
            return f"`{number:02X}`"
        case command:
            return f"`{command}`"


def _registers(function: int, address: int, count: int) -> str:
    """Base 0, and as manuals print them: input registers from 30001, holding registers from 40001."""
    kind, base = ("input", 30001) if function == 4 else ("holding", 40001)
    last = "" if count == 1 else f" to {address + count - 1}"
    printed_last = "" if count == 1 else f" to {base + address + count - 1}"
    return f"{kind} {address}{last} ({base + address}{printed_last})"


def cells(texts: tuple[str, ...]) -> str:
    """One row's cells; a bar would begin another."""
    return " | ".join(each.replace("|", "\\|") for each in texts)


def point_row(point: Point, written: shape.PointTable, block: Block) -> tuple[str, ...]:
    """One point\'s cells: name, where, type, unit, plausible range, what leaves it without a value, what it is."""
    match block.source:
        case Registers(function, address, _):
            where = _registers(function, address + point.at, point.length)
        case int() if point.type is ByteKind.BITS8:
            where = f"{request(block)}, byte {point.at + 1}"
        case _:
            where = request(block)
    low, high = point.range or (None, None)
    plausible = "" if low is None else f"{low:g} to {high:g} {canonical_unit(point)}"
    scope = "" if point.scope is Scope.UNIT else "of each cap; "
    return (
        f"`{point.name}`",
        where,
        f"`{point.type}`{_order(point)}",
        _unit(point, written),
        plausible,
        ", ".join([*sorted(map(_sentinel, point.sentinels)), *(f"`{each}`" for each in written.invalid_if)]),
        f"{scope}{written.note}".removesuffix("; "),
    )


def _sentinel(value: object) -> str:
    return f"`{value:04X}`" if isinstance(value, int) else f"`{value}`"


def _order(point: Point) -> str:
    match point.order:
        case None:
            return ""
        case OrderByValue(name, orders):
            return f", order by `{name}`: {_told(orders)}"
        case order:
            return f", `{order}`"


def _unit(point: Point, written: shape.PointTable) -> str:
    scale = "" if written.scale == "1" else f"{written.scale} "
    if point.type is ByteKind.QUALIFIED:
        return "sent with every value"
    match point.unit:
        case None:
            return ""
        case UnitByBit(name, bit, zero, one):
            one_scale = f"{point.unit.one_scale}" if point.unit.one_scale != point.scale else ""
            return f"{scale}{zero}, {one_scale or scale.strip()} {one} while `{name}.{bit}`".replace("  ", " ")
        case UnitByValue(name, units):
            return f"{scale}by `{name}`: {_told(units)}"
        case unit:
            return f"{scale}{unit}"


def _told(meanings: tuple[tuple[int | str, str], ...]) -> str:
    return ", ".join(f"{value} {meaning}" for value, meaning in meanings)
