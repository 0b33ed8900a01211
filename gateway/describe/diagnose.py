"""The diagnose archive: what whoever looks for a fault of a gateway has to know, without secrets and without patients.

Every part is a value whose types have no room for a patient, or the log, which names none; of the configuration only
what its tables know is taken, so no remark of the file. All of it then goes through `redacted`, and only then into the
archive. A line's capture is raw traffic of machines and is taken as it is.
"""

import io
import platform
import sys
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from drivers.toml.document import Document, TomlProblems, read_toml
from gateway.audit.identifiers import identifiers_among
from gateway.audit.verify import verify
from gateway.config.load import Examined, GatewayConfig, examine
from gateway.config.tables import ConfigFile
from gateway.describe.redaction import Json, redacted
from gateway.ledger import reads
from gateway.ledger.errors import LedgerError
from gateway.ledger.store import LEDGER_FILE, open_readonly
from gateway.ledger.temperatures import HISTORY_FILE, HistoryUnavailable, read_counts
from gateway.messages.instants import rfc3339
from gateway.monitoring.error_history import report_on
from gateway.monitoring.health import HealthReport
from gateway.mqtt.gateway_status import software_version
from gateway.polling.captures import capture_file
from gateway.runtime.clock import SystemClock

_README = """\
What a Capgate gateway knows of itself, for whoever looks for a fault.

about.json          version, machine, gateway, files in the state directory
configuration.json  the configuration, without user names; secrets stand in files of their own, which are not here
check.json          what capgate check says of it
ledger.json         what capgate ledger verify says, of a ledger that is not large
lines.json          what capgate lines says
errors.csv          the read errors behind it, by day, line, unit and kind
health.json         how the running gateway is
metrics.txt         its counters, as on /metrics
log.jsonl           the last lines of its log
captures/           the last minute that was recorded of each line; capgate decode explains it

A part that was not to be had says why. Words that equal a secret or a number of a patient are shown as ***.
"""
MOST_VERIFIED = 100_000  # entries: half a minute and 25 MiB
_SECRET_KEYS = ("password", "secret", "token", "username", "key_file")


_SPOKEN = ("ledger.json", "health.json", "metrics.txt", "log.jsonl")  # parts with words of others, or of errors


class Living(msgspec.Struct, frozen=True):
    """What the running gateway says of itself."""

    metrics: str
    health: HealthReport
    log: tuple[str, ...]  # JSON


class NotTold(msgspec.Struct, frozen=True):
    """Why a part is not there."""

    missing: str


_NO_CONFIGURATION = NotTold("the configuration has errors, and none that was good is kept")


def archive(file: Path, config: GatewayConfig | None, living: Living | NotTold) -> bytes:
    """A zip archive about the gateway of this configuration file, which need not be sound. Blocks.

    `config` is what runs: the file's or the last good one; None: neither.
    """
    document = _read(file)
    values: dict[str, Json] = {
        "about.json": _about(config),
        "configuration.json": _configuration(document),
        "check.json": _check(examine(file)),
        "ledger.json": _verified(config),
        "lines.json": _lines(config),
        "errors.csv": _errors(config),
        **_said(living),
    }
    safe = _redacted(values, tuple(_secrets(document, config)), config)
    return _zipped(
        {"README.txt": _README.encode(), **{name: _bytes(name, each) for name, each in safe.items()}}, config
    )


def _redacted(values: dict[str, Json], secrets: Collection[str], config: GatewayConfig | None) -> Mapping[str, Json]:
    """The values without secrets and patients; without the spoken ones where the ledger cannot say whom they name."""
    ledger = config.state_dir / LEDGER_FILE if config else None
    if ledger is None or not ledger.exists():
        return redacted(values, secrets, lambda _: frozenset())
    try:
        return redacted(values, secrets, partial(identifiers_among, ledger))
    except LedgerError as error:
        unknown = _json(NotTold(f"the ledger cannot say whom it names: {error}"))
        return redacted(values | dict.fromkeys(_SPOKEN, unknown), secrets, lambda _: frozenset())


def _read(file: Path) -> Document | None:
    try:
        return read_toml(file)
    except TomlProblems:
        return None


def _about(config: GatewayConfig | None) -> Json:
    about: dict[str, Json] = {
        "version": software_version(),
        "made_at": rfc3339(SystemClock().now().utc_us),
        "python": sys.version,
        "platform": platform.platform(),
    }
    if config is not None:
        about |= {
            "site": config.site,
            "gateway": config.id,
            "mode": config.mode,
            "policies": [f"{each.name} revision {each.revision}" for each in config.policies.all],
            "loaners": {each.loaner: each.unit for each in config.loaners},
            "state_bytes": dict(_sizes(config.state_dir)),
        }
    return about


def _sizes(directory: Path) -> Iterator[tuple[str, Json]]:
    for path in sorted(directory.glob("*")):
        with suppress(OSError):  # the gateway makes and removes files meanwhile
            if path.is_file():
                yield path.name, path.stat().st_size


def _configuration(document: Document | None) -> Json:
    """What the tables know of the file, of the broker's user name nothing."""
    try:
        if document is None:
            return _json(NotTold("it cannot be read; see check.json"))
        known = document.fit(ConfigFile).model.model_dump(mode="json", exclude={"mqtt": {"username"}})
    except TomlProblems:
        return _json(NotTold("it has errors; see check.json"))
    return cast(Json, known)


def _check(examined: Examined) -> Json:
    return _json({"ok": not examined.errors, "errors": examined.errors, "warnings": examined.warnings})


def _verified(config: GatewayConfig | None) -> Json:
    """The report on the ledger. A large one takes minutes, and more memory than is left to a running service."""
    if config is None:
        return _json(_NO_CONFIGURATION)
    ledger = config.state_dir / LEDGER_FILE
    try:
        with open_readonly(ledger) as connection:
            origin = reads.origin(connection)
            entries = reads.head(connection, origin).seq if origin else 0
        if entries > MOST_VERIFIED:
            return _json(NotTold(f"it has {entries} entries; capgate ledger verify takes the time that it needs"))
        report = verify(ledger)
    except LedgerError as error:
        return _json(NotTold(str(error)))
    return _json({"sound": report.sound, **msgspec.structs.asdict(report)})


def _lines(config: GatewayConfig | None) -> Json:
    if config is None:
        return _json(_NO_CONFIGURATION)
    try:
        return _json(report_on(config.state_dir / HISTORY_FILE))
    except HistoryUnavailable as unavailable:
        return _json(NotTold(str(unavailable)))


def _errors(config: GatewayConfig | None) -> str:
    """The counts as CSV; without the file the heading alone."""
    rows = ["day,line,unit,kind,count"]
    if config is not None:
        try:
            counts = read_counts(config.state_dir / HISTORY_FILE)
        except HistoryUnavailable:
            counts = []
        rows += [f"{each.day},{each.line},{each.unit},{each.kind},{each.count}" for each in counts]
    return "\n".join(rows) + "\n"


def _said(living: Living | NotTold) -> dict[str, Json]:
    if isinstance(living, NotTold):
        return dict.fromkeys(("health.json", "metrics.txt", "log.jsonl"), _json(living))
    return {
        "health.json": _json(living.health),
        "metrics.txt": living.metrics,
        "log.jsonl": [cast(Json, msgspec.json.decode(line)) for line in living.log],
    }


def _json(value: object) -> Json:
    return cast(Json, msgspec.json.decode(msgspec.json.encode(value)))


def _secrets(document: Document | None, config: GatewayConfig | None) -> Iterator[str]:
    """What stands in the files of secrets, and at whatever key of the configuration sounds like a secret."""
    for file in _secret_files(config) if config is not None else ():
        with suppress(OSError):  # it may be gone, of the last good configuration
            yield file.read_text(errors="replace").strip()
    yield from _sounding_secret(document.data if document else {})


def _secret_files(config: GatewayConfig) -> Iterator[Path]:
    if config.mqtt.password_file is not None:
        yield config.mqtt.password_file
    if config.page.oidc is not None:
        yield config.page.oidc.client_secret


def _sounding_secret(table: dict[str, object]) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _sounding_secret(cast("dict[str, object]", value))
        elif isinstance(value, str) and any(word in key for word in _SECRET_KEYS):
            yield value


def _bytes(name: str, value: Json) -> bytes:
    match value:
        case str():
            return value.encode()
        case list() if name.endswith(".jsonl"):
            return b"".join(msgspec.json.encode(each) + b"\n" for each in value)
        case _:
            return msgspec.json.format(msgspec.json.encode(value), indent=1)


def _zipped(members: Mapping[str, bytes], config: GatewayConfig | None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
        for file in _captures(config) if config else ():
            zipped.write(file, f"captures/{file.name}")
    return made.getvalue()


def _captures(config: GatewayConfig) -> Iterator[Path]:
    files = (capture_file(config.state_dir, line.id) for line in config.lines)
    return (file for file in files if file.exists())
