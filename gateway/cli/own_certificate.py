"""The certificate of a command that connects to the broker beside the gateway.

A broker that names sessions after certificates would give a command with the gateway's certificate the gateway's
session, and discard what waits in it when the command ends.
"""

from pathlib import Path

import click
import msgspec

from gateway.mqtt.types import MqttSettings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)

cert_option = click.option("--cert", type=_FILE, help="This command's own certificate for the broker (PEM).")
key_option = click.option("--key", type=_FILE, help="Its key, without password.")


def with_own_certificate(settings: MqttSettings, cert: Path | None, key: Path | None) -> MqttSettings:
    """The gateway's settings with the command's certificate. Raises click.UsageError where it is needed and missing."""
    if settings.tls is None or (settings.tls.certificate is None and cert is None and key is None):
        return settings
    if cert is None or key is None:
        message = "--cert and --key are missing: with the gateway's own certificate this would end its connection"
        raise click.UsageError(message)
    return msgspec.structs.replace(settings, tls=msgspec.structs.replace(settings.tls, certificate=cert, key=key))
