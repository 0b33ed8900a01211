"""`capgate check`: checks a configuration file, or one that it names: a profile, a policy, a vocabulary."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from drivers.toml.document import Problem, read_toml
from gateway.cli.check_file import FileKind, kind_of, report_policy, report_profile, report_vocabulary
from gateway.cli.check_today import calibrated_later, expiring, not_in_effect
from gateway.config.load import Examined, GatewayConfig, examine
from gateway.ledger.rekeying import copies_in_clear
from gateway.ledger.store import LEDGER_FILE
from gateway.messages.notation import Mode
from gateway.mqtt.topics import Topics
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import escaped
from gateway.session.policy import Policy
from gateway.web.exposure import exposure_refused


class _CheckAnswer(msgspec.Struct):
    file: str
    line: int
    column: int  # of a syntax error; else 0
    path: str
    severity: str
    message: str


_EPILOG = """\
\b
Examples:
  capgate check /etc/capgate/gateway.toml
  capgate check profiles/my-unit.toml
  capgate check next-years-policy.toml
"""


@click.command("check", epilog=_EPILOG)
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object: ok, and every problem.")
def command(config: Path, as_json: bool) -> None:
    """Check the configuration file CONFIG and name every error and warning. Exit 0 when there is no error, else 1.

    CONFIG may be a device profile as well, whose golden polls are then replayed, a policy, or a vocabulary.
    """
    match kind_of(config):
        case FileKind.PROFILE:
            report_profile(config, as_json=as_json)
        case FileKind.POLICY:
            report_policy(config, as_json=as_json)
        case FileKind.VOCABULARY:
            report_vocabulary(config, as_json=as_json)
        case FileKind.CONFIGURATION:
            pass
    examined = examine(config)
    if examined.config is not None:
        document = read_toml(config)
        dated = (*not_in_effect(examined.config, document), *calibrated_later(examined.config, document))
        found = (*examined.errors, *dated, *_exposed(examined.config))
        later = (*expiring(examined.config, document), *_kept_for_ever(examined.config), *_unproven(examined.config))
        told = (*examined.warnings, *later, *_in_clear(examined.config))
        examined = msgspec.structs.replace(examined, errors=found, warnings=told)
    click.echo(_json(examined) if as_json else "\n".join(map(escaped, _lines(examined))))
    raise SystemExit(1 if examined.errors else 0)


def _kept_for_ever(config: GatewayConfig) -> Iterator[Problem]:
    """A warning if a live gateway never purges identifiers of patients."""
    if config.mode is Mode.LIVE:
        for name, days in msgspec.structs.asdict(config.retention).items():
            if days is None:
                text = "missing: what it would purge names patients and is kept for ever"
                yield Problem(str(config.file), 0, f"retention.{name}", text)


def _unproven(config: GatewayConfig) -> Iterator[Problem]:
    """A warning if a live gateway never learns whether the engine has its charges."""
    if config.mode is Mode.LIVE and config.receipts.expected is None:
        text = "no receipts of the engine are expected: whether it has a charge stays unproven, and a broker that loses"
        yield Problem(str(config.file), 0, "receipts.expected", f"{text} its messages loses charges unseen")


def _in_clear(config: GatewayConfig) -> Iterator[Problem]:
    """A warning if a live gateway stores identifiers of patients in clear, or copies from before it had a key."""
    if config.mode is Mode.LIVE and config.ledger_key is None:
        text = "missing: who has the disk or a backup reads the patients; docs/how-to/encryption.md"
        yield Problem(str(config.file), 0, "ledger.key_file", text)
    for copy in copies_in_clear(config.state_dir / LEDGER_FILE) if config.ledger_key else ():
        text = f"{config.state_dir / copy} is from before and names patients in clear, better: delete it"
        yield Problem(str(config.file), 0, "ledger.key_file", text)


def _exposed(config: GatewayConfig) -> Iterator[Problem]:
    """An error if the page would be on the network, and nobody could sign in."""
    if refused := exposure_refused(config.page, config.state_dir):
        yield Problem(str(config.file), 0, "web.listen", refused)


def _json(examined: Examined) -> str:
    errors = [_answer(problem, "error") for problem in examined.errors]
    warnings = [_answer(problem, "warning") for problem in examined.warnings]
    return msgspec.json.encode({"ok": not errors, "problems": errors + warnings}).decode()


def _answer(problem: Problem, severity: str) -> _CheckAnswer:
    return _CheckAnswer(escaped(problem.file), problem.line, problem.column, problem.path, severity, problem.message)


def _lines(examined: Examined) -> Iterator[str]:
    yield from map(str, examined.errors)
    for warning in examined.warnings:
        yield str(msgspec.structs.replace(warning, message=f"warning: {warning.message}"))
    if examined.config:
        yield from _understood(examined.config)
    yield f"{_counted(len(examined.errors), 'error')}, {_counted(len(examined.warnings), 'warning')}"


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def _policy(policy: Policy) -> str:
    approved = f"approved by {policy.approved_by}" if policy.approved_by else "approved by NOBODY, increments are held"
    return f"policy {policy.name} revision {policy.revision}, {approved}"


def _understood(config: GatewayConfig) -> Iterator[str]:
    """The resolved configuration as lines of text, for a person to compare with what was intended."""
    yield f"gateway {config.id}, {config.mode}, topics {Topics(config.site, config.id, config.mode).root}/..."
    yield f"broker {config.mqtt.host}:{config.mqtt.port} {'with' if config.mqtt.tls else 'WITHOUT'} TLS"
    now_us = SystemClock().now().utc_us
    yield _policy(config.policies.at(now_us))
    for policy in config.policies.after(now_us):
        yield f"from {policy.effective} on in {policy.timezone}: {_policy(policy)}"
    for line in config.lines:
        setting = "" if line.baud is None else f" {line.serial}"
        yield f"line {line.id}: {line.dialect}{setting} at {line.url}"
        for unit in line.units:
            unit_id = "" if unit.unit_id is None else f" at {unit.unit_id}"
            identity = unit.profile.identity
            chairs = ", ".join(f"cap {cap} chair {chair}" for cap, chair in sorted(unit.chairs.items()))
            yield (
                f"  unit {unit.id}{unit_id}: {identity.id} (trust: {identity.trust}), every {unit.poll_period_s:g} s"
                f"{', simulated' if unit.simulated else ''}, {chairs or 'no chairs'}"
            )
