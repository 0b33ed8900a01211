"""The fields of a fact as text: instants in local time, what people have no use for left out."""

from collections.abc import Iterator, Mapping
from datetime import tzinfo

from gateway.session.local_time import instant_text

# Fields that hold an instant; the others that end in _us are lengths.
_INSTANTS = frozenset({"new_end_us", "charted_us", "began_us", "other_reading_us", "began_before_us"})
_LEFT_OUT = frozenset({"fact", "at", "known_at", "at_us", "known_at_us", "policy"})


def fact_fields(fields: Mapping[str, object], zone: tzinfo) -> Iterator[tuple[str, object]]:
    """What the fact says beyond its kind and instant; a policy is text of many lines, shown elsewhere."""
    for name, value in fields.items():
        if name in _INSTANTS and isinstance(value, int):
            yield name.removesuffix("_us"), instant_text(value, zone)
        elif name not in _LEFT_OUT:
            yield name, value
