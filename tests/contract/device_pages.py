"""The pages of docs/devices/units/, and the tables of docs/devices/README.md and README.md, from the profiles.

`python -m tests.contract.device_pages` writes them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from drivers.profile.alarm_codes import Severity
from drivers.profile.dialect_shapes import AnyProfile
from drivers.profile.enums import ReadsEffect, Trust
from drivers.profile.load import DeviceProfile, load_profile
from drivers.profile.types import Registers
from drivers.reading import Evidence
from tests.contract.device_points import cells, point_row, request
from tests.contract.profile_wire import ROOT, SHIPPED, profile_shape

FOLDER = ROOT / "docs" / "devices" / "units"
README = ROOT / "docs" / "devices" / "README.md"
PROJECT_README = ROOT / "README.md"
INDEX_HEAD = """\
| profile | unit | language | circulation | trust | source |
|---|---|---|---|---|---|
"""
SUMMARY_HEAD = """\
| profile | unit | circulation | trust |
|---|---|---|---|
"""
_TRUST = {
    Trust.MANUAL: "written from the maker's document, never tried",
    Trust.PEER: "read against units that others simulated",
    Trust.BENCH: "read from a real unit",
    Trust.FIELD: "read from real units at work",
}
_EVIDENCE = {
    Evidence.NONE: "Nothing that this unit says proves that coolant circulates: it is unknown, and no session opens.",
    Evidence.REPORTED: "The unit says that it runs; it measures no flow.",
    Evidence.PUMP_BIT: "The unit says that its pump runs; it measures no flow.",
    Evidence.FLOW: "Measured flow.",
}
_SEVERITY = {
    Severity.STOP: "the unit has stopped",
    Severity.WARNING: "it goes on",
    Severity.QUALITY: "a value cannot be trusted",
}


def pages() -> dict[Path, str]:
    """Every generated page, and both README.md with their tables renewed."""
    made = {FOLDER / path.name.replace(".toml", ".md"): page(path) for path in SHIPPED}
    tables = {README: (INDEX_HEAD, index()), PROJECT_README: (SUMMARY_HEAD, summary())}
    return made | {readme: _renewed(readme.read_text(), *table) for readme, table in tables.items()}


def _renewed(text: str, head: str, table: str) -> str:
    """The page with the rows of one table, found by its head, replaced."""
    return re.sub(re.escape(head) + r"(?:\|.*\n)*", lambda _: table, text, count=1)


def index() -> str:
    """The table of all shipped profiles."""
    return INDEX_HEAD + "".join(f"| {row} |\n" for row in map(_index_row, SHIPPED))


def summary() -> str:
    """The same in short, for the project's README.md: which machine, and how far the profile was verified."""
    return SUMMARY_HEAD + "".join(f"| {row} |\n" for row in map(_summary_row, SHIPPED))


def page(path: Path) -> str:
    """The page of one profile."""
    profile, written = load_profile(path), profile_shape(path)
    parts = (
        _head(profile),
        _section("Connect", [*written.notes.wiring, *_link(profile)]),
        _section("At the unit", written.notes.unit),
        _reads(profile, written),
        _rules(written),
        _timing(profile),
        _identity(profile),
        _example(written),
        _section("Not known", written.notes.unknown),
    )
    return "\n".join(filter(None, parts))


def _index_row(path: Path) -> str:
    profile = load_profile(path)
    identity = profile.identity
    return (
        f"[`{profile.id}`](units/{profile.id}.md) | {identity.vendor} {identity.model} | `{profile.dialect}` | "
        f"`{profile.evidence}` | `{identity.trust}` | {identity.source}"
    )


def _summary_row(path: Path) -> str:
    profile = load_profile(path)
    identity = profile.identity
    page = f"[`{profile.id}`](docs/devices/units/{profile.id}.md)"
    return f"{page} | {identity.vendor} {identity.model} | `{profile.evidence}` | `{identity.trust}`"


def _head(profile: DeviceProfile) -> str:
    identity = profile.identity
    map_page = "\nThe whole register map: [the reference cap unit](../reference-cap-unit.md).\n"
    return f"""# {identity.vendor} {identity.model}

Profile `{profile.id}`, revision {identity.revision}. Written from the profile by
`python -m tests.contract.device_pages`: mend the profile, not this page.

| | |
|---|---|
| source | {identity.source} |
| trust | `{identity.trust}`: {_TRUST[identity.trust]} |
| language | `{profile.dialect}` |
| caps | {profile.caps} |
| reading it | {_effect(profile)} |
{map_page if profile.id == "reference-cap-unit" else ""}"""


def _effect(profile: DeviceProfile) -> str:
    if profile.reads_effect is ReadsEffect.NONE:
        return "changes nothing at the unit"
    return f"`{profile.reads_effect}`: needs the site's consent"


def _link(profile: DeviceProfile) -> Iterator[str]:
    serial, address = profile.serial, profile.address
    if profile.dialect == "modbus-tcp":
        yield f"`capgate probe socket://HOST:502 --profile {profile.id}`."
        yield f"Over a serial line (`dialect` overridden): {serial} unless the unit says otherwise."
    else:
        yield f"Line settings as delivered: {serial}."
        by_server = "or `socket://HOST:PORT` through a device server"
        yield f"`capgate probe /dev/serial/by-path/PORT --profile {profile.id}`, {by_server}."
    if address and address.default is None:
        yield f"Asked without an address; on a bus with its unit id, {address.min} to {address.max} (`--unit-id`)."
    elif address:
        yield f"Unit id {address.min} to {address.max}, {address.default} when new."
    else:
        yield "Alone on its line: it has no unit id."


def _section(title: str, sentences: tuple[str, ...] | list[str]) -> str:
    return "".join([f"## {title}\n\n", *(f"- {each}\n" for each in sentences)]) if sentences else ""


def _reads(profile: DeviceProfile, written: AnyProfile) -> str:
    sources = {block.name: block for block in profile.blocks}
    points = "".join(
        f"| {cells(point_row(point, text, sources[point.block]))} |\n"
        for point, text in zip(profile.points, written.point, strict=True)
    )
    return f"""## What is read

{_requests(profile)}
{_other_caps(profile)}| point | where | type | unit | plausible | no value for | what it is |
|---|---|---|---|---|---|---|
{points}"""


def _requests(profile: DeviceProfile) -> str:
    if not any(isinstance(block.source, Registers) for block in profile.blocks):
        return f"A poll sends {', '.join(map(request, profile.blocks))}, one after the other.\n"
    blocks = profile.blocks + ((profile.after_miss,) if profile.after_miss else ())
    rows = "".join(f"| {each.name} | {request(each)} |\n" for each in blocks)
    return f"""A poll makes these requests, `after-miss` only as the first one after an answer stayed out. Addresses are
base 0, as on the wire; behind them stands the number that a manual would print.

| request | reads |
|---|---|
{rows}"""


def _other_caps(profile: DeviceProfile) -> str:
    others = list(enumerate(profile.cap_offsets[1:], start=2))
    return "".join(f"What is each cap's lies {offset} registers further for cap {cap}.\n\n" for cap, offset in others)


def _when(conditions: tuple[str, ...]) -> str:
    return " and ".join(f"`{each}`" for each in conditions)


def _rules(written: AnyProfile) -> str:
    states = "".join(f"| {_when(rule.when)} | {rule.state} |\n" for rule in written.run_state)
    alarms = "".join(f"| `{each.code}` | {_SEVERITY[each.severity]} | {_when(each.when)} |\n" for each in written.alarm)
    circulating = written.circulating
    proof = [f"`{circulating.strength}`. {_EVIDENCE[circulating.strength]}"]
    if circulating.when:
        flow = circulating.flow
        least = f" and `{flow.point}` at least {flow.at_least:g}" if flow else ""
        proof.append(f"Circulating while {_when(circulating.when)}{least}.")
    connected = written.connected
    proof.append(
        f"A cap is connected while {_when(connected.when)}." if connected else "Whether a cap is connected is unknown."
    )
    return f"""## Run state

The first line that holds; none, or one that cannot be decided, is unknown. `!` is not.

| while | run state |
|---|---|
{states}
{_section("Circulation", proof)}
## Alarms

| alarm | meaning | while |
|---|---|---|
{alarms}"""


def _timing(profile: DeviceProfile) -> str:
    timing = profile.timing
    times = {
        "silence before a request": timing.gap_s,
        "an answer is waited for": timing.timeout_s,
        "an answer may still come after": timing.drain_s,
        "pause after the line was opened": timing.settle_after_open_s,
        "shortest poll period": timing.fastest_poll_s,
    }
    rows = "".join(f"| {what} | {round(time_s * 1000)} ms |\n" for what, time_s in times.items())
    return f"## Timing\n\n| | |\n|---|---|\n{rows}"


def _identity(profile: DeviceProfile) -> str:
    facts: list[str] = []
    if profile.watchdog:
        facts.append(
            f"Its communication watchdog, {request(profile.watchdog)}, is read before anything else: while it is armed "
            "the unit is not polled without the site's consent."
        )
    for verify in profile.verify:
        if verify.equals is not None:
            facts.append(f"Another kind of unit answers where `{verify.point}` is not {verify.equals}.")
        elif verify.within is not None:
            low, high = verify.within
            facts.append(f"Another kind of unit answers where `{verify.point}` lies outside {low:g} to {high:g}.")
    facts += [f"No answer where `{each.point}` and `{each.inverse_of}` do not match." for each in profile.integrity]
    if profile.serial_number:
        facts.append(f"Its serial number is `{profile.serial_number}`.")
    if profile.heartbeat:
        facts.append(f"It hangs where `{profile.heartbeat.point}` stands still for {profile.heartbeat.still_s} s.")
    if profile.continuity:
        names = f"`{profile.continuity.treatment}` and `{profile.continuity.elapsed}`"
        facts.append(f"{names} prove what happened while nobody looked.")
    frozen = [point for point in profile.points if point.stuck_after_s]
    facts += [
        f"`{each.name}` is not believed when it stands still for {each.stuck_after_s} s of circulation."
        for each in frozen
    ]
    facts += [
        f"`{each.name}` has no value when it changes by more than {each.max_k_per_min:g} K a minute."
        for each in profile.points
        if each.max_k_per_min
    ]
    return _section("How it is known and doubted", facts)


def _example(written: AnyProfile) -> str:
    golden = written.golden[0]
    frames = "\n".join(f"-> {_frame(each.tx)}\n<- {_frame(each.rx)}" for each in golden.exchanges)
    values = {**golden.expect.points, **{k: v for cap in golden.expect.caps[:1] for k, v in cap.points.items()}}
    meant = ", ".join(f"`{name}` {text}" for name, text in values.items())
    return f"""## A poll

Of {len(written.golden)} golden polls the first ({golden.source}): {meant}.

```
{frames}
```
"""


def _frame(text: str) -> str:
    """In one line, its line end written out."""
    if text.endswith(("\r", "\n")):
        return text.replace("\r", "\\r").replace("\n", "\\n")
    return " ".join(text.split())


def write() -> None:
    """Writes every page, and drops those of profiles that are no more."""
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for old in set(FOLDER.glob("*.md")) - set(made):
        old.unlink()
    for path, text in made.items():
        path.write_text(text)


if __name__ == "__main__":
    write()
