"""`capgate bridge`: HL7 topics to an MLLP listener and back, as a service."""

import asyncio
import logging
import signal
import sys
from pathlib import Path

import click

from drivers.toml.document import TomlProblems
from gateway.bridge.bridge import Bridge
from gateway.bridge.config import BridgeConfig, load_bridge
from gateway.runtime import systemd
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import setup_logging
from gateway.runtime.loop import run_loop

_log = logging.getLogger("capgate.bridge")


@click.command(
    "bridge",
    epilog="Example: capgate bridge --config /etc/capgate/bridge.toml. Exit codes: 0 stopped by a signal or checked, 1 "
    "the address to listen on cannot be had, 2 wrong configuration.",
)
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The bridge's configuration.")
@click.option("--check", is_flag=True, help="Check the configuration, and do no more.")
@click.option("--log", "form", type=click.Choice(["json", "text"]), help="Form of log lines; text on a terminal.")
def command(config: Path, check: bool, form: str | None) -> None:
    """Carry HL7 messages between the broker and an interface engine that speaks MLLP, until SIGTERM or SIGINT.

    A message is acknowledged to the broker only when the engine has answered it.
    """
    try:
        settings = load_bridge(config)
    except TomlProblems as problems:
        click.echo("\n".join(map(str, problems.problems)), err=True)
        sys.exit(2)
    if check:
        click.echo(f"{config} is sound")
        return
    setup_logging(json=form == "json" if form else not sys.stderr.isatty())
    try:
        run_loop(_until_signal(settings))
    except* OSError as errors:
        _log.critical("cannot listen: %s", errors.exceptions[0])
        sys.exit(1)


async def _until_signal(config: BridgeConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    bridge = Bridge(config, SystemClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(bridge.run())
        await bridge.listening.wait()
        systemd.ready(f"carrying to {config.target.host}:{config.target.port}")
        _log.info("started", extra={"engine": f"{config.target.host}:{config.target.port}", "port": bridge.port})
        await stop.wait()
        systemd.stopping()
        running.cancel()
