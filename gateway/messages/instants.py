"""Parsing and formatting of instants, UTC microseconds: RFC 3339 out; RFC 3339, HL7 v2 and variants of them in."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NewType

import msgspec

Rfc3339 = NewType("Rfc3339", str)  # "2026-03-10T12:30:00.000Z": made by `rfc3339` alone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_OFFSET = r" ?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)"  # the minutes may be left out, as ISO 8601 and HL7 allow
_RFC3339 = re.compile(
    rf"(\d{{4}})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:{_OFFSET})?)?", re.ASCII
)
_HL7 = re.compile(  # DTM: YYYYMMDDHHMMSS.S+ZZZZ, cut off anywhere
    rf"(\d{{4}})(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d+))?)?)?)?(?:{_OFFSET})?", re.ASCII
)
_YEARS = range(2000, 2100)  # others are rejected: a clock that was never set, or a typing error


class InstantError(ValueError):
    """The text is not a usable instant; the message says what is accepted and repeats nothing of the text."""


class Instant(msgspec.Struct, frozen=True):
    """A parsed instant. If two are possible, `at_us` is the one that P26 chooses for an infusion's end."""

    at_us: int
    no_time: bool = False  # a date without a time of day: `at_us` is its midnight
    ambiguous: bool = False  # local time without offset in the repeated hour (P26)
    other_us: int | None = None  # the other instant an ambiguous local time may mean

    @property
    def earliest_us(self) -> int:
        """The earlier of two possible instants: for an end of cooling the one that gives fewer units."""
        return self.at_us if self.other_us is None else min(self.at_us, self.other_us)


@lru_cache(maxsize=256)
def _to_the_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(at_us: int) -> Rfc3339:
    """The instant in UTC with milliseconds and `Z`, truncated. Raises OverflowError beyond the year 9999."""
    second, rest_us = divmod(at_us, 1_000_000)
    return Rfc3339(f"{_to_the_second(second)}.{rest_us // 1000:03d}Z")


def rfc3339_or_none(at_us: int | None) -> Rfc3339 | None:
    """As `rfc3339`; None for an instant that is not known."""
    return None if at_us is None else rfc3339(at_us)


def to_us(moment: datetime) -> int:
    """UTC microseconds of an aware datetime."""
    return (moment - _EPOCH) // _US


def read_instant(text: str, known_at_us: int, zone: tzinfo | None = None) -> Instant:
    """Parses RFC 3339, also without seconds, or a date alone; without an offset only if the site's `zone` is known.

    In the repeated hour it is the later instant, which gives fewer units, unless that is after `known_at_us`: then it
    is the earlier one (P26). Raises InstantError.
    """
    match = _RFC3339.fullmatch(text.strip())
    if match is None:
        raise InstantError("no date and time; accepted: RFC 3339, as in 2026-03-10T15:00:00-04:00")
    return _instant(match, known_at_us, zone)


def read_hl7_instant(text: str, known_at_us: int, zone: tzinfo | None = None) -> Instant:
    """Parses an HL7 v2 instant, `20260310150000-0400`, or RFC 3339; an hour without minutes is no time of day.

    Raises InstantError.
    """
    match = _HL7.fullmatch(text.strip())
    return read_instant(text, known_at_us, zone) if match is None else _instant(match, known_at_us, zone)


def _instant(match: re.Match[str], known_at_us: int, zone: tzinfo | None) -> Instant:
    year, month, day, hour, minute, second, fraction, zulu, sign, off_h, off_m = match.groups()
    if int(year) not in _YEARS:
        raise InstantError("the year is out of range; accepted: 2000 to 2099")
    try:
        micros = int((fraction or "0").ljust(6, "0")[:6])
        local = datetime(  # noqa: DTZ001 - the offset follows, or the zone gives it
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micros
        )
    except ValueError:
        raise InstantError("no such date or time of day; accepted: RFC 3339, hours 00 to 23") from None
    if minute is None:
        midnight = local.replace(hour=0)
        return Instant(to_us(midnight.replace(tzinfo=zone or UTC)), no_time=True)
    if zulu:
        return Instant(to_us(local.replace(tzinfo=UTC)))
    if sign:
        return Instant(to_us(local.replace(tzinfo=UTC) - _offset(sign, int(off_h), int(off_m or 0))))
    if zone is None:
        raise InstantError("the offset is missing; accepted: RFC 3339 with Z or an offset such as -04:00")
    return _read_local(local, known_at_us, zone)


def _offset(sign: str, hours: int, minutes: int) -> timedelta:
    if hours > 23 or minutes > 59:
        raise InstantError("no such offset; accepted: Z, or +hh:mm or -hh:mm")
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if sign == "+" else -offset


def _read_local(local: datetime, known_at_us: int, zone: tzinfo) -> Instant:
    # fold 0 and 1 are the instants before and after the clocks change; they differ only close to a change.
    first_us, second_us = (to_us(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if first_us == second_us:
        return Instant(first_us)
    if first_us > second_us:
        raise InstantError("this local time was skipped when the clocks went forward; send it with its offset")
    if second_us > known_at_us:
        return Instant(first_us, ambiguous=True, other_us=second_us)
    return Instant(second_us, ambiguous=True, other_us=first_us)
