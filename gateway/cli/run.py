"""`capgate run`: the gateway as a service."""

import asyncio
import logging
import signal
import sys
from pathlib import Path

import click

from drivers.tomlfile import TomlProblems
from gateway.app import run_gateway
from gateway.clock import SystemClock
from gateway.config import GatewayConfig, load_config
from gateway.ledger.errors import LedgerError
from gateway.logs import setup_logging
from gateway.loop import run_loop

_log = logging.getLogger("capgate")


@click.command(
    "run",
    epilog="Example: capgate run --config /etc/capgate/gateway.toml. Exit codes: 0 stopped by a signal, 1 the ledger "
    "cannot be used, 2 the configuration cannot.",
)
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The gateway's configuration.")
@click.option("--log", "form", type=click.Choice(["json", "text"]), help="Form of log lines; text on a terminal.")
def command(config: Path, form: str | None) -> None:
    """Poll the units, follow sessions and publish, until SIGTERM or SIGINT."""
    setup_logging(json=form == "json" if form else not sys.stderr.isatty())
    try:
        settings = load_config(config)
    except TomlProblems as problems:
        click.echo("\n".join(map(str, problems.problems)), err=True)
        sys.exit(2)
    for warning in settings.warnings:
        _log.warning("%s", warning)
    try:
        run_loop(_until_signal(settings))
    except* LedgerError as errors:
        _log.critical("the ledger cannot be used: %s", errors.exceptions[0])
        sys.exit(1)


async def _until_signal(config: GatewayConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    await run_gateway(config, SystemClock(), stop)
