"""Loaner units: which machine stands in for one of the configuration.

The site's own file is never written. When a unit goes to repair, `capgate unit swap` says what stands at its place. The
gateway records that as a fact in its ledger, together with what it means for the patients; LOANERS_FILE in the state
directory is derived from it, for whoever reads the configuration without the ledger, and written after. A file that
could not be written is mended at the next start. The place keeps its chairs and its poll period; the calibration
offsets, overrides and consent belonged to the other machine and do not apply.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import msgspec

from drivers.toml.document import Document
from gateway.messages.instants import Rfc3339, rfc3339
from gateway.session.facts import Scalar, UnitSwapped

LOANERS_FILE = "loaners.json"
_OF_THE_MACHINE = ("profile", "unit_id", "set", "offset", "consent_to_reads")


class LoanersUnreadable(Exception):
    """The file is not what a gateway wrote; the text says what to do."""


class Loaner(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in for `unit`. None means as it was with that unit."""

    unit: str  # of the configuration
    loaner: str  # the name of the machine that is there now
    profile: str | None = None
    unit_id: int | None = None
    url: str | None = None  # of the line, where the unit is alone on it
    set: dict[str, Scalar] = {}
    person: str
    reason: str
    at: Rfc3339


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    loaners: tuple[Loaner, ...] = ()


def read_loaners(state_dir: Path) -> tuple[Loaner, ...]:
    """What stands in for what. Raises LoanersUnreadable."""
    path = state_dir / LOANERS_FILE
    try:
        content = path.read_bytes()
        return msgspec.json.decode(content, type=_File).loaners
    except (OSError, msgspec.DecodeError) as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return ()  # a wrong state_dir is named by the check
        text = f"{path} cannot be used ({error}); remove it, and the gateway writes it again from its ledger"
        raise LoanersUnreadable(text) from None


def write_loaners(state_dir: Path, loaners: Iterable[Loaner]) -> None:
    """Replace the file as a whole, on the disk when this returns. Raises OSError."""
    path = state_dir / LOANERS_FILE
    new = path.with_name(f"{LOANERS_FILE}.new")
    with new.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(_File(tuple(loaners)))))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def swapped(loaners: Iterable[Loaner], swaps: Iterable[UnitSwapped]) -> tuple[Loaner, ...]:
    """What stands in for what after `swaps`, in their order; one that the file has and no swap names stays."""
    standing_in = {loaner.unit: loaner for loaner in loaners}
    for swap in swaps:
        standing_in.pop(swap.unit, None)
        if swap.loaner != swap.unit:
            standing_in[swap.unit] = _loaner(swap)
    return tuple(standing_in.values())


def _loaner(swap: UnitSwapped) -> Loaner:
    return Loaner(
        unit=swap.unit,
        loaner=swap.loaner,
        profile=swap.profile,
        unit_id=swap.unit_id,
        url=swap.url,
        set=dict(swap.overrides),
        person=swap.person,
        reason=swap.reason,
        at=rfc3339(swap.at_us),
    )


def with_loaners(document: Document, loaners: Iterable[Loaner]) -> tuple[Document, tuple[Loaner, ...]]:
    """The configuration as the loaners make it, and those whose unit it does not have."""
    data, homeless = document.data, list[Loaner]()
    for loaner in loaners:
        changed = _swapped(data, loaner)
        if changed is None:
            homeless.append(loaner)
        else:
            data = changed
    return msgspec.structs.replace(document, data=data), tuple(homeless)


def _swapped(data: dict[str, object], loaner: Loaner) -> dict[str, object] | None:
    """The tables with one unit replaced, at its place, so that line numbers stay true."""
    lines = list(_tables(data.get("line")))
    for at, line in enumerate(lines):
        units = list(_tables(line.get("unit")))
        for index, unit in enumerate(units):
            if unit.get("id") == loaner.unit:
                units[index] = _standing_in(unit, loaner)
                url = {} if loaner.url is None else {"url": loaner.url}
                lines[at] = {**line, "unit": units, **url}
                return {**data, "line": lines}
    return None


def _standing_in(unit: dict[str, object], loaner: Loaner) -> dict[str, object]:
    """The unit's table for the loaner."""
    kept = {name: value for name, value in unit.items() if name not in _OF_THE_MACHINE}
    same_kind = loaner.profile is None
    machine: dict[str, object] = {
        "id": loaner.loaner,
        "profile": unit.get("profile") if same_kind else loaner.profile,
        "set": loaner.set or (unit.get("set", {}) if same_kind else {}),
        "consent_to_reads": unit.get("consent_to_reads", False) if same_kind else False,
    }
    unit_id = unit.get("unit_id") if loaner.unit_id is None and same_kind else loaner.unit_id
    return {**kept, **machine, **({} if unit_id is None else {"unit_id": unit_id})}


def _tables(value: object) -> list[dict[str, object]]:
    """A list of tables; empty where the file has something else, which the check names."""
    if not isinstance(value, list):
        return []
    items = cast("list[object]", value)
    return [cast("dict[str, object]", each) for each in items] if all(isinstance(each, dict) for each in items) else []
