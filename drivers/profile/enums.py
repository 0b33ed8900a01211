"""The closed sets of a profile file: what its words may be."""

from enum import StrEnum


class Trust(StrEnum):
    """How far a profile has been verified."""

    MANUAL = "manual"
    PEER = "peer"
    BENCH = "bench"
    FIELD = "field"


class ReadsEffect(StrEnum):
    """What polling does to the unit; anything but none needs the site's consent."""

    NONE = "none"
    TAKES_REMOTE = "takes-remote"
    MAY_SWITCH = "may-switch"


class PointType(StrEnum):
    """How registers hold a value."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    FLOAT32 = "float32"
    BITS16 = "bits16"
    ASCII = "ascii"


class ByteKind(StrEnum):
    """How the data bytes of an NC reply hold a value."""

    QUALIFIED = "qualified"  # a byte that names unit and decimals, then a signed number of two bytes or four
    BITS8 = "bits8"


class WordOrder(StrEnum):
    """The bytes of a 32-bit value as they come; ABCD is most significant first."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


class ReplyKind(StrEnum):
    """What a text reply is: a number; a code like `-01 LOW LEVEL ALARM`, of which the number counts; or words."""

    DECIMAL = "decimal"
    SIGNED = "signed"  # a decimal that always has its sign: one that lost a character in front is none
    DIGITS = "digits"  # a whole number without sign or point
    CODE = "code"
    TEXT = "text"
    FLAGS = "flags"  # characters 0 and 1; the first is bit 0


Kind = PointType | ByteKind | ReplyKind


class UnitName(StrEnum):
    """Units that a unit may speak in; all are converted to Cel, bar, L/min, s or 1."""

    CELSIUS = "degC"
    FAHRENHEIT = "degF"
    BAR = "bar"
    KILOPASCAL = "kPa"
    MEGAPASCAL = "MPa"
    PSI = "psi"
    LITRES_PER_MINUTE = "L/min"
    GALLONS_PER_MINUTE = "gal/min"
    SECONDS = "s"
    ONE = "1"


class Scope(StrEnum):
    """Whose a point is."""

    UNIT = "unit"
    CAP = "cap"
