"""Loads gateway.toml: checks the whole file, and resolves it into a GatewayConfig or every error with its line.

Reference of the keys: docs/reference/configuration.md.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import msgspec

from drivers.toml.document import Document, Problem, TomlProblems, read_toml
from drivers.toml.files import files
from gateway.config.ehr import resolve_outbound, resolve_receipts, resolve_words
from gateway.config.lines import PROFILE_DIRS, LineSpec, UnitSpec, resolve_lines, unit_ids
from gateway.config.loaners import Loaner, LoanersUnreadable, read_loaners, with_loaners
from gateway.config.mqtt import resolve_mqtt
from gateway.config.policies import resolve_policies
from gateway.config.problems import Problems
from gateway.config.tables import (
    ChargesTable,
    ClockTable,
    ConfigFile,
    DrugsTable,
    EhrTable,
    GatewayTable,
    HealthTable,
    HistoryTable,
    LedgerTable,
    MqttTable,
    ObservationsTable,
    ReceiptsTable,
    RetentionTable,
    TimeService,
    TrackingTable,
    WebTable,
    listen_address,
)
from gateway.config.web import PagePlan, resolve_page
from gateway.ledger.errors import LedgerLocked
from gateway.ledger.key_ring import read_ring
from gateway.ledger.receipt_plan import ReceiptPlan
from gateway.ledger.retention import RetentionPlan
from gateway.ledger.staging import StagingLimits
from gateway.messages.notation import Mode
from gateway.messages.outbound.site import OutboundPlan
from gateway.messages.vocabulary import EhrWords
from gateway.mqtt.types import MqttSettings
from gateway.runtime.addresses import is_loopback
from gateway.runtime.shipped import shipped_dir
from gateway.session.policies import Policies
from gateway.session.spans import US_PER_S
from gateway.session.wording import Language


class GatewayConfig(msgspec.Struct, frozen=True):
    """The checked configuration of a site. Secrets stay in their files."""

    file: Path
    site: str
    id: str
    mode: Mode
    state_dir: Path
    time_zone: ZoneInfo | None  # of EHR times without offset; None: such times are refused
    mqtt: MqttSettings
    policies: Policies
    confirm_polls: int  # equal polls in a row before a changed run state counts
    health_listen: tuple[str, int]
    history: HistoryTable
    lines: tuple[LineSpec, ...]
    warnings: tuple[Problem, ...]
    staging: StagingLimits
    loaners: tuple[Loaner, ...] = ()  # already applied to `lines`
    receipts: ReceiptPlan = ReceiptPlan()
    words: EhrWords = EhrWords()  # meaning of the EHR's words, codes and identifiers
    outbound: OutboundPlan = OutboundPlan()
    page: PagePlan = PagePlan()
    retention: RetentionPlan = RetentionPlan()
    ledger_key: Path | None = None  # the file of keys; None: what the ledger has of patients is in clear
    time_service: TimeService = TimeService.EXPECTED
    refused: tuple[Problem, ...] = ()  # what is wrong with the file, which this was made from when it was good

    @property
    def people_zone(self) -> ZoneInfo:
        """In whose local time people read: the gateway's, else that of the last policy."""
        return self.time_zone or self.policies.all[-1].zone

    @property
    def units(self) -> tuple[UnitSpec, ...]:
        """The units of all lines."""
        return tuple(unit for line in self.lines for unit in line.units)


class Examined(msgspec.Struct, frozen=True):
    """The result of a check; `config` is None exactly if there are errors."""

    config: GatewayConfig | None
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def load_config(path: Path) -> GatewayConfig:
    """The configuration in gateway.toml. Raises TomlProblems with every error."""
    examined = examine(path)
    if examined.config is None:
        raise TomlProblems(examined.errors)
    return examined.config


def examine(path: Path, loaners: Sequence[Loaner] | None = None) -> Examined:
    """Check and resolve a file, with `loaners` or, if None, those of LOANERS_FILE in the state directory.

    Raises nothing: an unreadable file is an error of the result.
    """
    try:
        written = read_toml(path)
        standing_in = read_loaners(_state_dir_of(written)) if loaners is None else loaners
    except TomlProblems as unreadable:
        return Examined(None, unreadable.problems, ())
    except LoanersUnreadable as unreadable:
        return Examined(None, (Problem(str(path), 0, "", str(unreadable)),), ())
    document, unknown = with_loaners(written, standing_in)
    document, misfits = document.checked(ConfigFile)
    problems = Problems(document, misfits)
    for loaner in unknown:
        problems.warn(("line",), f"{loaner.loaner} stands in for {loaner.unit}, which is not in the file")
    config = _resolve(problems)
    errors, warnings = _by_line(problems.errors), _by_line(problems.warnings)
    if config is None or errors:
        return Examined(None, errors, warnings)
    config = msgspec.structs.replace(config, warnings=warnings, loaners=tuple(standing_in))
    return Examined(config, (), warnings)


def named_state_dir(path: Path) -> Path:
    """The state directory that a file names, whatever else is wrong with it. Raises TomlProblems if it names none."""
    document = read_toml(path)
    match document.data.get("gateway"):
        case {"state_dir": str(name)} if name:
            return (path.parent / name).absolute()
        case _:
            raise TomlProblems((document.problem(("gateway", "state_dir"), "missing, accepted: a directory"),))


def named_language(path: Path) -> Language:
    """The page's language that a file names, whatever else is wrong with it. Raises TomlProblems if it is not one."""
    document = read_toml(path)
    match document.data.get("web"):
        case {"language": str(name)} if name in list(Language):
            return Language(name)
        case {"language": object()}:
            accepted = f"accepted: {', '.join(Language)}"
            raise TomlProblems((document.problem(("web", "language"), f"no language of the page, {accepted}"),))
        case _:
            return Language.ENGLISH


def _state_dir_of(document: Document) -> Path:
    """The directory of LOANERS_FILE, even if the configuration has errors."""
    match document.data.get("gateway"):
        case {"state_dir": str(name)} if name.isprintable():
            return Path(document.file).parent / name
        case _:
            return Path(document.file).parent


def _by_line(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))


def _resolve(problems: Problems) -> GatewayConfig | None:
    """Check every valid table even if others are invalid; None if any is missing or invalid."""
    data = problems.document.data
    gateway = problems.parsed(GatewayTable, data.get("gateway"))
    mqtt = problems.parsed(MqttTable, data.get("mqtt"))
    tracking = problems.parsed(TrackingTable, data.get("tracking", {}))
    health = problems.parsed(HealthTable, data.get("health", {}))
    web = problems.parsed(WebTable, data.get("web", {}))
    page = resolve_page(problems, web) if web else None
    clock = problems.parsed(ClockTable, data.get("clock", {}))
    history = problems.parsed(HistoryTable, data.get("history", {}))
    ledger = problems.parsed(LedgerTable, data.get("ledger", {}))
    kept = problems.parsed(RetentionTable, data.get("retention", {}))
    receipts = problems.parsed(ReceiptsTable, data.get("receipts", {}))
    charges = problems.parsed(ChargesTable, data.get("charges", {}))
    plan = resolve_receipts(problems, receipts, charges.formats) if receipts and charges else None
    ehr, drugs = problems.parsed(EhrTable, data.get("ehr", {})), problems.parsed(DrugsTable, data.get("drugs", {}))
    mode, client_id = (gateway.mode, f"capgate-{gateway.id}") if gateway else (Mode.LIVE, None)
    settings = resolve_mqtt(problems, mqtt, mode, client_id) if mqtt else None
    lines = resolve_lines(problems, [shipped_dir() / "profiles", *_profile_dirs(problems)], _mode(gateway))
    words = resolve_words(problems, ehr, drugs, charges, unit_ids(problems)) if ehr and drugs and charges else None
    time_zone = _time_zone(problems, gateway)
    policies = resolve_policies(problems, tracking, lines, time_zone) if tracking else None
    outbound = _outbound(problems, gateway, charges, lines, time_zone) if gateway and charges else None
    state_dir = _state_dir(problems, gateway)
    ledger_key = _ledger_key(problems, ledger.key_file) if ledger and ledger.key_file else None
    health_listen = _health_listen(problems, health)
    if page and page.listen:
        _warn_of_any_port(problems, "web", page.listen)
        if health_listen:
            _check_one_port_each(problems, health_listen, page.listen)
    if not (
        gateway
        and state_dir
        and settings
        and policies
        and tracking
        and health_listen
        and page
        and clock
        and history
        and ledger
        and kept
        and plan
        and ehr
        and words
        and outbound
    ):
        return None
    return GatewayConfig(
        file=Path(problems.document.file),
        site=gateway.site,
        id=gateway.id,
        mode=gateway.mode,
        state_dir=state_dir,
        time_zone=time_zone,
        mqtt=settings,
        policies=policies,
        confirm_polls=tracking.confirm_polls,
        health_listen=health_listen,
        history=history,
        lines=lines,
        warnings=(),
        receipts=plan,
        words=words,
        outbound=outbound,
        page=page,
        ledger_key=ledger_key,
        retention=RetentionPlan(kept.identifiers_days, kept.messages_days, kept.copies_days),
        time_service=clock.time_service,
        staging=StagingLimits(ehr.unseen_days * 86_400 * US_PER_S, ehr.unseen_most),
    )


def _outbound(
    problems: Problems,
    gateway: GatewayTable,
    charges: ChargesTable,
    lines: Sequence[LineSpec],
    time_zone: ZoneInfo | None,
) -> OutboundPlan | None:
    observations = problems.parsed(ObservationsTable, problems.document.data.get("observations", {}))
    if not observations:
        return None
    units = [unit for line in lines for unit in line.units]
    return resolve_outbound(problems, charges, observations, gateway, units, time_zone)


def _mode(gateway: GatewayTable | None) -> Mode | None:
    return gateway.mode if gateway else None


def _profile_dirs(problems: Problems) -> Iterator[Path]:
    """The site's own directories of profiles, which take precedence over the shipped ones.

    They are read even if [gateway] has another error, so that no profile is missed for that.
    """
    table = problems.document.data.get("gateway")
    names = cast("dict[str, object]", table).get("profiles") if isinstance(table, dict) else None
    if not isinstance(names, list) or not problems.is_sound(PROFILE_DIRS):
        return
    directories = [problems.base / str(name) for name in cast("list[object]", names)]
    for index, directory in enumerate(directories):
        if not files().is_directory(directory):
            message = f"{directory} is no directory that this user can read, accepted: one with profiles"
            problems.error((*PROFILE_DIRS, index), message)
        else:
            yield directory


def _state_dir(problems: Problems, gateway: GatewayTable | None) -> Path | None:
    """The directory of the ledger, which exists or can be created."""
    if gateway is None:
        return None
    path = (problems.base / gateway.state_dir).absolute()
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not os.path.isdir(there):
        problems.error(("gateway", "state_dir"), f"{there} is no directory, accepted: one that is there or can be made")
    elif os.statvfs(there).f_flag & os.ST_RDONLY:
        problems.warn(("gateway", "state_dir"), f"{there} is read-only: nothing is recorded until it can be written")
    elif not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        message = f"{there} cannot be written by this user, accepted: a directory of the gateway's user"
        problems.error(("gateway", "state_dir"), message)
    return path


def _ledger_key(problems: Problems, name: str) -> Path | None:
    """The file of keys, each of which can be used."""
    path = ("ledger", "key_file")
    file = problems.file(path, name, secret=True)
    if file is not None and not files().vouches_for(file):
        try:
            read_ring(file)
        except LedgerLocked as error:
            problems.error(path, str(error))
    return file


def _time_zone(problems: Problems, gateway: GatewayTable | None) -> ZoneInfo | None:
    if gateway is None or gateway.time_zone is None:
        return None
    try:
        return ZoneInfo(gateway.time_zone)
    except (KeyError, ValueError, OSError):
        problems.error(("gateway", "time_zone"), "no such time zone, accepted: a name such as America/New_York")
        return None


def _health_listen(problems: Problems, health: HealthTable | None) -> tuple[str, int] | None:
    if health is None:
        return None
    address = listen_address(health.listen)
    if not is_loopback(address[0]):
        problems.warn(("health", "listen"), "whoever reaches this address reads the units' names and how they are")
    _warn_of_any_port(problems, "health", address)
    return address


def _warn_of_any_port(problems: Problems, table: str, address: tuple[str, int]) -> None:
    """Port 0 is a free one: another at each start, which nobody knows."""
    if address[1] == 0:
        problems.warn((table, "listen"), "port 0 is another one at each start, better: a port of 1 to 65535")


def _check_one_port_each(problems: Problems, health: tuple[str, int], page: tuple[str, int]) -> None:
    """Two servers cannot share a port of one address, or of all of them."""
    hosts = {health[0], page[0]}
    overlap = len(hosts) == 1 or hosts & {"0.0.0.0", "::"}
    if health[1] == page[1] != 0 and overlap:
        line = problems.document.line_of("health", "listen")
        message = f"the port of [health] as well (line {line}), accepted: another one for each"
        problems.error(("web", "listen"), message)
