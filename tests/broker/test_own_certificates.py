"""At a broker that names sessions after certificates, commands beside the gateway take nothing from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.load import load_config
from gateway.mqtt.client import connect
from gateway.mqtt.types import MqttSettings
from tests.broker.authority import Authority, Identity
from tests.broker.command_side import CONFIG, capgate
from tests.broker.harness import Mosquitto

IN = "capgate-test/v1/ward/ehr/in/json"
SHORT = ("--for", "1", "--json")


class Site:
    """A broker that names sessions after certificates, and the configuration of a gateway at it."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder / "authority")
        server, self.gateway, self.people = (authority.issue(name) for name in ("127.0.0.1", "gw-01", "people"))
        for each in (self.gateway, self.people):
            each.key.chmod(0o600)
        self.broker = Mosquitto(
            folder,
            [
                f"cafile {authority.ca}",
                f"certfile {server.certificate}",
                f"keyfile {server.key}",
                "require_certificate true",
                "use_identity_as_username true",
                "use_username_as_clientid true",
            ],
            anonymous=False,
        )
        self.config = folder / "gateway.toml"
        text = CONFIG.format(broker=self.broker.port, unit=1).replace("mqtt://", "mqtts://")
        files = f'ca_file = "{authority.ca}"\ncert_file = "{self.gateway.certificate}"\nkey_file = "{self.gateway.key}"'
        self.config.write_text(text.replace("[health]", f"{files}\n\n[health]"))

    @property
    def settings(self) -> MqttSettings:
        """Of the gateway."""
        return load_config(self.config).mqtt


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    with made.broker:
        yield made


def shown(identity: Identity) -> tuple[str, ...]:
    return ("--cert", str(identity.certificate), "--key", str(identity.key))


@pytest.mark.parametrize("command", [("watch", *SHORT), ("send-test", "charge", "--wait", "0")])
async def test_a_command_has_a_certificate_of_its_own_and_leaves_the_gateways_session_alone(
    site: Site, command: tuple[str, ...]
) -> None:
    async with connect(site.settings, None) as gateway:
        await gateway.subscribe([IN])
        code, said = await capgate(*command, "--config", site.config)
        assert (code, "--cert and --key are missing" in said) == (2, True)
        code, said = await capgate(*command, "--config", site.config, *shown(site.people))
        assert code == (0 if command[0] == "watch" else 1), said
        assert "no connection" not in said
        assert not gateway.ended
    async with connect(site.settings, None) as gateway:
        assert gateway.session_present
