"""The schema of a profile file by dialect: its points, its profile, and SHAPES. Reference: docs/devices/README.md."""

from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, StrictInt

from drivers.dialects import julabo, lauda, nc, polyscience
from drivers.profile.enums import ByteKind, Kind, PointType, ReplyKind, WordOrder
from drivers.profile.shape import Name, OrderByValueTable, PointTable, Profile, ProfileTable, Register

_REPLY_TEXT_CHARS = 24  # the longest reply of a text dialect that the poll budget allows for


class Place(NamedTuple):
    """The position of a point's value in the answers of a poll."""

    block: str
    at: int  # register or byte within the block; 0 for texts
    length: int  # registers or bytes; 0 for texts


class RegisterSpan(ProfileTable):
    fc: Literal[3, 4]
    address: Register
    count: Annotated[StrictInt, Field(ge=1, le=125)]


class BlockTable(RegisterSpan):
    name: Name


class RegisterPoint(PointTable):
    block: Name
    at: Register
    type: PointType
    order: WordOrder | OrderByValueTable | None = None
    length: Annotated[StrictInt, Field(ge=1, le=60)] | None = None
    sentinels: tuple[Annotated[StrictInt, Field(ge=0, le=0xFFFFFFFF)], ...] = ()

    @property
    def kind(self) -> Kind:
        """The encoding of the value."""
        return self.type

    @property
    def width(self) -> int:
        """The number of registers that the value occupies."""
        match self.type:
            case PointType.INT32 | PointType.UINT32 | PointType.FLOAT32:
                return 2
            case PointType.ASCII:
                return self.length or 1
            case _:
                return 1

    @property
    def place(self) -> Place:
        """The position of the value in its block."""
        return Place(self.block, self.at, self.width)


class ModbusProfile(Profile):
    """Points are in blocks of registers."""

    dialect: Literal["modbus-rtu", "modbus-ascii", "modbus-tcp"]
    block: Annotated[tuple[BlockTable, ...], Field(min_length=1)]
    after_miss: RegisterSpan | None = None
    point: Annotated[tuple[RegisterPoint, ...], Field(min_length=1)]


class TextPoint(PointTable):
    command: Annotated[str, Field(pattern=julabo.READS, description="a command that reads: IN_..., STATUS")]
    reply: ReplyKind
    sentinels: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """The encoding of the value."""
        return self.reply

    @property
    def source(self) -> str:
        """The command that reads it."""
        return self.command

    @property
    def place(self) -> Place:
        """The whole reply."""
        return Place(self.command, 0, 0)

    @property
    def reply_size(self) -> int:
        """Characters of the reply, as assumed for the poll budget."""
        return _REPLY_TEXT_CHARS


class JulaboProfile(Profile):
    """Points are replies to commands; points with the same command share one exchange."""

    dialect: Literal["julabo"]
    point: Annotated[tuple[TextPoint, ...], Field(min_length=1)]


class PolySciencePoint(TextPoint):
    command: Annotated[str, Field(pattern=polyscience.READS, description="a command that reads: RT, RS, RW...")]


class PolyScienceProfile(Profile):
    """Points are replies to commands; points with the same command share one exchange."""

    dialect: Literal["polyscience"]
    point: Annotated[tuple[PolySciencePoint, ...], Field(min_length=1)]


class LaudaPoint(TextPoint):
    command: Annotated[str, Field(pattern=lauda.READS, description="a command that reads: IN_..., STATUS, STAT")]


class LaudaProfile(Profile):
    """Points are replies to commands; points with the same command share one exchange."""

    dialect: Literal["lauda"]
    watchdog: Annotated[str, Field(pattern=lauda.READS)] | None = None
    point: Annotated[tuple[LaudaPoint, ...], Field(min_length=1)]


def _reading_number(number: int) -> int:
    if number not in nc.READS:
        raise ValueError(f"no command that reads, accepted: {', '.join(f'0x{each:02X}' for each in nc.READS)}")
    return number


class NcPoint(PointTable):
    command: Annotated[StrictInt, AfterValidator(_reading_number)]
    at: Annotated[StrictInt, Field(ge=0, le=63)] = 0
    type: ByteKind

    @property
    def kind(self) -> Kind:
        """The encoding of the value."""
        return self.type

    @property
    def source(self) -> int:
        """The command that reads it."""
        return self.command

    @property
    def place(self) -> Place:
        """The bytes of the reply's data; the most that the value may occupy."""
        return Place(f"{self.command:02X}", self.at, 5 if self.type is ByteKind.QUALIFIED else 1)

    @property
    def reply_size(self) -> int:
        """Bytes of data, up to the end of the value."""
        return self.at + self.place.length


class NcProfile(Profile):
    """Points are in the data bytes of replies; points with the same command share one exchange."""

    dialect: Literal["nc"]
    point: Annotated[tuple[NcPoint, ...], Field(min_length=1)]


class HuberPoint(PointTable):
    variable: Annotated[StrictInt, Field(ge=0, le=0xFF)]
    type: Literal[PointType.INT16, PointType.UINT16, PointType.BITS16]
    sentinels: tuple[Register, ...] = ()

    @property
    def kind(self) -> Kind:
        """The encoding of the value."""
        return self.type

    @property
    def source(self) -> int:
        """The variable that is read."""
        return self.variable

    @property
    def place(self) -> Place:
        """The whole reply."""
        return Place(f"{self.variable:02X}", 0, 1)

    @property
    def reply_size(self) -> int:
        """Words of data."""
        return 1


class HuberProfile(Profile):
    """A point is a variable of 16 bits; points with the same variable share one exchange."""

    dialect: Literal["huber-pb"]
    point: Annotated[tuple[HuberPoint, ...], Field(min_length=1)]


AnyPoint = RegisterPoint | TextPoint | NcPoint | HuberPoint
AnyProfile = ModbusProfile | JulaboProfile | PolyScienceProfile | LaudaProfile | NcProfile | HuberProfile

SHAPES: dict[str, type[AnyProfile]] = {
    "modbus-rtu": ModbusProfile,
    "modbus-ascii": ModbusProfile,
    "modbus-tcp": ModbusProfile,
    "julabo": JulaboProfile,
    "polyscience": PolyScienceProfile,
    "lauda": LaudaProfile,
    "nc": NcProfile,
    "huber-pb": HuberProfile,
}
