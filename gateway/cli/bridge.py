"""`capgate bridge`: runs the bridge between MQTT and MLLP as a service."""

import asyncio
import logging
import signal
import sys
from pathlib import Path

import click
import msgspec

from drivers.toml.document import TomlProblems
from gateway.bridge.bridge import Bridge
from gateway.bridge.config import BridgeConfig, load_bridge
from gateway.bridge.report import BridgeReport
from gateway.cli.healthz import healthz
from gateway.cli.log_options import form_option, level_option
from gateway.runtime import systemd
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import LogLevel, setup_logging
from gateway.runtime.loop import run_loop

_log = logging.getLogger("capgate.bridge")


@click.command(
    "bridge",
    epilog="Example: capgate bridge --config /etc/capgate/bridge.toml. Exit codes: 0 stopped by a signal, checked, or "
    "all is well, 1 the address to listen on cannot be had, or something is wrong, 2 wrong configuration, 3 no bridge "
    "answers.",
)
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The bridge's configuration.")
@click.option("--check", is_flag=True, help="Check the configuration, and do no more.")
@click.option("--status", is_flag=True, help="Say how the running bridge is, by its [health] address.")
@click.option("--json", "as_json", is_flag=True, help="With --status: as JSON.")
@form_option
@level_option
def command(config: Path, check: bool, status: bool, as_json: bool, form: str | None, log_level: str) -> None:
    """Carry HL7 messages between the broker and an interface engine that speaks MLLP, until SIGTERM or SIGINT.

    A charge is acknowledged to the broker only when the engine has answered it. A message of the engine is answered
    with what the gateways make of it.
    """
    try:
        settings = load_bridge(config)
    except TomlProblems as problems:
        click.echo("\n".join(map(str, problems.problems)), err=True)
        sys.exit(2)
    if check:
        click.echo(f"{config} is sound")
        return
    if status:
        sys.exit(_show(settings, as_json=as_json))
    setup_logging(form == "json" if form else not sys.stderr.isatty(), LogLevel(log_level))
    try:
        run_loop(_until_signal(settings))
    except* OSError as errors:
        _log.critical("cannot listen: %s", errors.exceptions[0])
        sys.exit(1)


def _show(config: BridgeConfig, *, as_json: bool) -> int:
    """Print the running bridge's report from /healthz; returns the exit code."""
    if config.health is None:
        click.echo("the configuration has no [health]; accepted: listen, an address of this machine", err=True)
        return 2
    host, port = config.health
    try:
        body = healthz(config.health)
    except OSError as error:
        click.echo(f"no bridge answers at {host}:{port}: {error}", err=True)
        return 3
    report = msgspec.json.decode(body, type=BridgeReport)
    click.echo(body.decode().rstrip() if as_json else "\n".join(report.lines()))
    return 1 if report.troubles else 0


async def _until_signal(config: BridgeConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    bridge = Bridge(config, SystemClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(bridge.run())
        await bridge.ready.wait()
        systemd.ready(f"carrying to {config.target.host}:{config.target.port}")
        _log.info("started", extra={"engine": f"{config.target.host}:{config.target.port}", "port": bridge.port})
        await stop.wait()
        systemd.stopping()
        running.cancel()
