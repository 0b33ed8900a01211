"""`capgate run`: runs the gateway as a service."""

import asyncio
import faulthandler
import logging
import signal
import sys
from pathlib import Path

import click

from drivers.toml.document import TomlProblems
from gateway.app import run_gateway
from gateway.cli.log_options import form_option, level_option
from gateway.config.last_good import load_or_last_good, reloaded
from gateway.config.load import GatewayConfig
from gateway.ledger.errors import LedgerError
from gateway.runtime import systemd
from gateway.runtime.clock import Clock, SystemClock
from gateway.runtime.crashes import Crashes
from gateway.runtime.logs import LogLevel, setup_logging, stack_of
from gateway.runtime.loop import run_loop
from gateway.runtime.tasks import first_of

_log = logging.getLogger("capgate")


@click.command(
    "run",
    epilog="Example: capgate run --config /etc/capgate/gateway.toml. Exit codes: 0 stopped by a signal, 1 it "
    "crashed or the ledger cannot be used, 2 the configuration cannot, and no good one is kept.",
)
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The gateway's configuration.")
@form_option
@level_option
def command(config: Path, form: str | None, log_level: str) -> None:
    """Poll the units, follow sessions and publish, until SIGTERM or SIGINT."""
    setup_logging(form == "json" if form else not sys.stderr.isatty(), LogLevel(log_level))
    try:
        settings = load_or_last_good(config.absolute())
    except TomlProblems as problems:
        click.echo("\n".join(map(str, problems.problems)), err=True)
        sys.exit(2)
    clock = SystemClock()
    trace = Crashes(settings.state_dir, lambda: clock.now().utc_us).watch_signals()
    for warning in settings.warnings:
        _log.warning("%s", warning)
    try:
        run_loop(_until_signal(settings, clock))
    except* LedgerError as errors:
        _log.critical("the ledger cannot be used: %s", errors.exceptions[0])
        sys.exit(1)
    except* Exception as errors:  # noqa: BLE001 - whatever it is, systemd begins again
        crash = first_of(errors)
        _log.critical("the gateway crashed", extra={"kind": type(crash).__name__, "at": stack_of(crash)})
        sys.exit(1)
    finally:
        if trace is not None:
            faulthandler.disable()
            trace.close()


async def _until_signal(config: GatewayConfig, clock: Clock) -> None:
    """Run the gateway until a signal ends it; restart it with the changed configuration after each reload or swap."""
    over = asyncio.Event()
    while not over.is_set():
        stop = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, _end, over, stop)
        await run_gateway(config, clock, stop, restart=stop.set)
        if not over.is_set():
            config = reloaded(config)


def _end(over: asyncio.Event, stop: asyncio.Event) -> None:
    systemd.stopping()
    over.set()
    stop.set()
