"""Instants and lengths as people read them: local time with the zone's offset, minutes and seconds. Pure."""

from datetime import UTC, datetime, tzinfo

from gateway.session.spans import US_PER_S


def local(at_us: int, zone: tzinfo) -> datetime:
    """The instant, UTC microseconds, by the clocks of the zone."""
    return datetime.fromtimestamp(at_us // US_PER_S, UTC).astimezone(zone).replace(microsecond=at_us % US_PER_S)


def instant_text(at_us: int, zone: tzinfo) -> str:
    """`2026-03-10T08:30:00-04:00`: whole seconds, what is left over dropped."""
    return local(at_us, zone).isoformat(timespec="seconds")


def exact_text(at_us: int, zone: tzinfo) -> str:
    """As `instant_text`, with the microseconds where there are any."""
    return local(at_us, zone).isoformat()


def clock_text(at_us: int, zone: tzinfo) -> str:
    """`08:30:00`, where the day and the offset are said elsewhere."""
    return local(at_us, zone).strftime("%H:%M:%S")


def length_text(length_us: int) -> str:
    """In whole minutes and seconds, what is left over dropped."""
    minutes, seconds = divmod(length_us // US_PER_S, 60)
    return f"{minutes} min" if not seconds else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def localized(text: str, zone: tzinfo, timespec: str = "seconds") -> str:
    """RFC 3339 text as `instant_text`, or to the `timespec` that datetime.isoformat knows."""
    return datetime.fromisoformat(text).astimezone(zone).isoformat(timespec=timespec)
