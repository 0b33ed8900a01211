"""The enumerations of a profile file."""

from enum import StrEnum


class Trust(StrEnum):
    """How far a profile has been verified."""

    MANUAL = "manual"
    PEER = "peer"
    BENCH = "bench"
    FIELD = "field"


class ReadsEffect(StrEnum):
    """The effect of polling on the unit; anything but `none` needs the site's consent."""

    NONE = "none"
    TAKES_REMOTE = "takes-remote"
    MAY_SWITCH = "may-switch"


class PointType(StrEnum):
    """The encoding of a value in registers."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    FLOAT32 = "float32"
    BITS16 = "bits16"
    ASCII = "ascii"


class ByteKind(StrEnum):
    """The encoding of a value in the data bytes of an NC reply."""

    QUALIFIED = "qualified"  # a qualifier byte (unit and decimals), then a signed integer of 2 or 4 bytes
    BITS8 = "bits8"


class WordOrder(StrEnum):
    """The byte order of a 32-bit value on the wire; ABCD is most significant first."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


class ReplyKind(StrEnum):
    """The form of a text reply: a number; a code as in `-01 LOW LEVEL ALARM`, whose number is used; or text."""

    DECIMAL = "decimal"
    SIGNED = "signed"  # a decimal with a mandatory sign, so that one without its first character is invalid
    DIGITS = "digits"  # a whole number without sign or point
    CODE = "code"
    TEXT = "text"
    FLAGS = "flags"  # characters 0 and 1; the first is bit 0


Kind = PointType | ByteKind | ReplyKind


class UnitName(StrEnum):
    """Units of measurement on the wire; all are converted to Cel, bar, L/min, s or 1 (UCUM)."""

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
    """Whether a point belongs to the unit or to each cap."""

    UNIT = "unit"
    CAP = "cap"
