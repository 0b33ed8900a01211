"""Where a gateway keeps what a command needs, for commands that read its files beside it: by its socket or its file."""

from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import wraps
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from gateway.cli.control_client import CONFIG_HELP, SOCKET_HELP, exchange, socket_of
from gateway.config.load import examine
from gateway.control.answers import StatusAnswer, read_answer


class GatewayPlace(msgspec.Struct, frozen=True):
    """The gateway's state directory, which its socket lies in. `config` None: it was not named."""

    config: Path | None
    socket: Path

    @property
    def state_dir(self) -> Path:
        """Where its ledger and its accounts lie."""
        return self.socket.parent

    def zone(self) -> tzinfo:
        """In whose local time people read: as a sound configuration says, else the running gateway; UTC if neither."""
        settings = None if self.config is None else examine(self.config).config
        if settings is not None:
            return settings.people_zone
        try:
            answer = read_answer(exchange(self.socket, b'{"request":"status"}'), StatusAnswer)
        except (OSError, msgspec.DecodeError):
            return UTC
        return ZoneInfo(answer.time_zone) if isinstance(answer, StatusAnswer) and answer.time_zone else UTC


def gateway_place(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--config` and `--socket` to a command, which gets a GatewayPlace as `place`."""

    @click.option("--config", type=click.Path(path_type=Path), help=CONFIG_HELP)
    @click.option("--socket", "socket_path", type=click.Path(path_type=Path), help=SOCKET_HELP)
    @wraps(function)
    def at_place(config: Path | None, socket_path: Path | None, **given: object) -> None:
        function(place=GatewayPlace(config, socket_path or socket_of(config)), **given)

    return at_place
