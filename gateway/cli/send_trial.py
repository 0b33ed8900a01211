"""`capgate send-test`: sends a test message through the running gateway, or directly if none runs."""

import asyncio
import socket
import sys
from pathlib import Path

import click
import msgspec

from drivers.toml.document import TomlProblems
from gateway.cli.control_client import CONFIG_HELP, SOCKET_HELP, ask, give_up, socket_of
from gateway.cli.control_report import answer_text
from gateway.cli.own_certificate import cert_option, key_option, with_own_certificate
from gateway.commissioning.direct import send_directly
from gateway.commissioning.messages import build_trial
from gateway.commissioning.trial import LONGEST_WAIT_S, WAIT_S, TrialResult, TrialStep, What
from gateway.config.load import GatewayConfig, load_config
from gateway.control.answers import RefusalAnswer, TrialAnswer, read_answer
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import MqttSettings
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import escaped

DONE = (TrialStep.ACKNOWLEDGED, TrialStep.TAKEN)


class _Shown(msgspec.Struct, frozen=True):
    """The JSON output of the command."""

    step: TrialStep
    topic: str
    key: str
    detail: str


@click.command(
    "send-test",
    epilog="Example: capgate send-test charge --config /etc/capgate/gateway.toml. Exit codes: 0 acknowledged (with "
    "--wait 0: taken by a subscriber), 1 it did not come so far, 2 wrong use or wrong configuration.",
)
@click.argument("what", type=click.Choice([what.value for what in What]))
@click.option("--config", type=click.Path(path_type=Path), help=f"{CONFIG_HELP} Of one that does not run, all of it.")
@click.option("--socket", "socket_path", type=click.Path(path_type=Path), help=SOCKET_HELP)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, LONGEST_WAIT_S),
    default=WAIT_S,
    show_default=True,
    help="Seconds to wait for the engine's receipt; 0 where it sends none.",
)
@cert_option
@key_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    what: str,
    config: Path | None,
    socket_path: Path | None,
    wait_s: float,
    cert: Path | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Send a synthetic message of that kind on the topic that real ones take, and say how far it came.

    not-connected: no broker. not-allowed: the access list denies the topic. nobody-listens: the broker has no
    subscriber for it. not-acknowledged: a subscriber has it, and no receipt came. acknowledged: the engine has it.
    The message is marked as a test, names no patient, and is never counted. Where no gateway runs, and it has a
    certificate, this command needs one of its own.
    """
    path = socket_path or socket_of(config)
    if config is None or _runs(path):
        result = _through_the_gateway(path, what, wait_s)
    else:
        settings = _loaded(config)
        result = _directly(settings, with_own_certificate(settings.mqtt, cert, key), What(what), wait_s)
    shown = _Shown(result.step, result.topic, result.key, result.detail)
    click.echo(msgspec.json.encode(shown) if as_json else escaped(_text(shown)))
    sys.exit(0 if result.step in DONE else 1)


def _text(shown: _Shown) -> str:
    detail = f" ({shown.detail})" if shown.detail else ""
    return f"{shown.step}: {shown.key} on {shown.topic}{detail}"


def _loaded(config: Path) -> GatewayConfig:
    try:
        return load_config(config)
    except TomlProblems as problems:
        give_up("\n".join(map(str, problems.problems)))


def _runs(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _through_the_gateway(path: Path, what: str, wait_s: float) -> TrialResult:
    request = msgspec.json.encode({"request": "send-test", "what": what, "wait_s": wait_s})
    answer = read_answer(ask(path, request), TrialAnswer)
    if isinstance(answer, RefusalAnswer):
        give_up(answer_text(answer))
    return answer.tried


def _directly(config: GatewayConfig, mqtt: MqttSettings, what: What, wait_s: float) -> TrialResult:
    topics = Topics(config.site, config.id, config.mode)
    trial = build_trial(what, config, SystemClock().now().utc_us)
    return asyncio.run(send_directly(mqtt, topics, trial, wait_s))
