"""Loaner units: machines that replace a configured unit, for instance while it is repaired.

`capgate unit swap` names the loaner; gateway.toml is never written. The gateway records the swap as a fact in its
ledger. LOANERS_FILE in the state directory is a copy of these facts for commands that do not open the ledger; it is
rewritten at the next start if writing it failed. The loaner takes over chairs, poll period, and the name by which the
EHR knows the unit; calibration offsets, overrides and consent belong to the replaced machine and do not apply to it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import msgspec

from drivers.toml.document import Document
from gateway.messages.instants import Rfc3339, rfc3339
from gateway.runtime.replace import replace_file
from gateway.session.facts import Scalar, UnitSwapped

LOANERS_FILE = "loaners.json"
_OF_THE_MACHINE = ("profile", "unit_id", "set", "offset", "consent_to_reads")


class LoanersUnreadable(Exception):
    """LOANERS_FILE cannot be read or parsed; the text says what to do."""


class Loaner(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that replaces `unit`. None: the configured unit's value applies."""

    unit: str  # id of the configured unit
    loaner: str  # id of the machine that replaces it
    profile: str | None = None
    unit_id: int | None = None
    url: str | None = None  # of the line; only if the unit is alone on it
    set: dict[str, Scalar] = {}
    person: str
    reason: str
    at: Rfc3339


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    loaners: tuple[Loaner, ...] = ()


def read_loaners(state_dir: Path) -> tuple[Loaner, ...]:
    """The loaners in LOANERS_FILE; none if there is no such file. Raises LoanersUnreadable."""
    path = state_dir / LOANERS_FILE
    try:
        content = path.read_bytes()
        return msgspec.json.decode(content, type=_File).loaners
    except (OSError, msgspec.DecodeError) as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return ()  # a wrong state_dir is reported by the check
        text = f"{path} cannot be used ({error}); remove it, and the gateway writes it again from its ledger"
        raise LoanersUnreadable(text) from None


def write_loaners(state_dir: Path, loaners: Iterable[Loaner]) -> None:
    """Replace LOANERS_FILE. Raises OSError."""
    content = msgspec.json.format(msgspec.json.encode(_File(tuple(loaners))))
    replace_file(state_dir / LOANERS_FILE, content, mode=0o666)


def swapped(loaners: Iterable[Loaner], swaps: Iterable[UnitSwapped]) -> tuple[Loaner, ...]:
    """The loaners after `swaps`, applied in order; a loaner whose unit no swap names is kept."""
    by_unit = {loaner.unit: loaner for loaner in loaners}
    for swap in swaps:
        by_unit.pop(swap.unit, None)
        if swap.loaner != swap.unit:
            by_unit[swap.unit] = _loaner(swap)
    return tuple(by_unit.values())


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
    """The configuration with its units replaced by loaners, and the loaners whose unit is not in it."""
    data, homeless = document.data, list[Loaner]()
    for loaner in loaners:
        changed = _swapped(data, loaner)
        if changed is None:
            homeless.append(loaner)
        else:
            data = changed
    return msgspec.structs.replace(document, data=data), tuple(homeless)


def _swapped(data: dict[str, object], loaner: Loaner) -> dict[str, object] | None:
    """The tables with one unit replaced at the same index, so that line numbers stay valid; None if it is not there."""
    lines = list(_tables(data.get("line")))
    for at, line in enumerate(lines):
        units = list(_tables(line.get("unit")))
        for index, unit in enumerate(units):
            if unit.get("id") == loaner.unit:
                units[index] = _standing_in(unit, loaner)
                url = {} if loaner.url is None else {"url": loaner.url}
                lines[at] = {**line, "unit": units, **url}
                return {**data, "line": lines, **_ehr_names(data.get("ehr"), loaner)}
    return None


def _ehr_names(table: object, loaner: Loaner) -> dict[str, object]:
    """The [ehr] table in which the names of the replaced unit mean the loaner; nothing where there are none."""
    ehr = _table(table)
    names = _table(ehr.get("units"))
    if not names:
        return {}
    return {
        "ehr": {**ehr, "units": {name: loaner.loaner if names[name] == loaner.unit else names[name] for name in names}}
    }


def _table(value: object) -> dict[str, object]:
    """A table; empty if `value` is anything else, which the check reports."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _standing_in(unit: dict[str, object], loaner: Loaner) -> dict[str, object]:
    """The unit's table, as it is for the loaner."""
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
    """An array of tables; empty if `value` is anything else, which the check reports."""
    if not isinstance(value, list):
        return []
    items = cast("list[object]", value)
    return [cast("dict[str, object]", each) for each in items] if all(isinstance(each, dict) for each in items) else []
