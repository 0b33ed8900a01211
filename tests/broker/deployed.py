"""mosquitto with the deployed files; only paths, port and address are this machine's."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.broker.authority import Authority
from tests.broker.harness import Mosquitto

DEPLOY = Path(__file__).parents[2] / "config" / "deploy"


class DeployedMosquitto(Mosquitto):
    """One whose certificates lie in a folder as ca.crt, broker.crt and broker.key. What it denies stands in its log."""

    def __init__(self, directory: Path, certificates: Path) -> None:
        super().__init__(directory)
        changes = {
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "/etc/mosquitto/certs": str(certificates),
            "/etc/mosquitto/mosquitto.acl": str(self.access),
            "/var/lib/mosquitto/": f"{directory}/",
        }
        settings = changed((DEPLOY / "mosquitto.conf").read_text(), changes)
        self._config.write_text(f"{settings}log_type debug\nuser root\n")  # else, started by root, it reads no keys
        self.access.write_text((DEPLOY / "mosquitto.acl").read_text())
        self.access.chmod(0o600)

    @property
    def access(self) -> Path:
        """The access list."""
        return self.directory / "mosquitto.acl"

    @property
    def denied(self) -> list[str]:
        """What it refused to take from somebody, as its log has it."""
        return [line for line in (self.directory / "mosquitto.log").read_text().splitlines() if "Denied" in line]


def install(authority: Authority, folder: Path, name: str, user: str) -> None:
    """Put a certificate for `user` into a folder of secrets, as `name`.crt and `name`.key beside ca.crt."""
    folder.mkdir(exist_ok=True)
    identity = authority.issue(user)
    shutil.copy(authority.ca, folder / "ca.crt")
    shutil.copy(identity.certificate, folder / f"{name}.crt")
    shutil.copy(identity.key, folder / f"{name}.key")
    (folder / f"{name}.key").chmod(0o600)


def changed(text: str, changes: Mapping[str, str]) -> str:
    """The text with each change, of which none may miss."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text
