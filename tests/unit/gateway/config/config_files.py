"""A valid configuration with the files that it names, which tests modify."""

import subprocess
from pathlib import Path

import pytest

from gateway.config.load import Examined, examine
from tests.support.ledger_keys import FIRST

POLICY = """\
name = "midpoint"
revision = "1"
effective = 2026-01-01
approved_by = "J. Doe, compliance"
first_threshold_s = 960
timezone = "America/New_York"
"""

CONFIG = """\
[gateway]
site = "north"
id = "gw-01"
mode = "live"
state_dir = "state"
profiles = ["profiles"]
time_zone = "America/New_York"

[mqtt]
url = "mqtts://broker.example:8883"
client_id = "capgate-gw-01"
username = "gw-01"
password_file = "secrets/password"
ca_file = "secrets/ca.crt"
cert_file = "secrets/client.crt"
key_file = "secrets/client.key"
keepalive_s = 15

[tracking]
policy = "policy.toml"
confirm_polls = 2

[health]
listen = "127.0.0.1:9464"

[[line]]
id = "bay-a"
url = "socket://10.20.0.31:4001"

[[line.unit]]
id = "cap-07"
profile = "julabo-cf"
poll_period_s = 20
offset = [{ point = "coolant_supply", offset_c = -0.3, calibrated_on = 2026-10-01 }]

[[line.unit.cap]]
cap = 1
chair = "c12"

[[line]]
id = "bay-b"
url = "rfc2217://10.20.0.32:4001"
set = { "link.serial.baud" = 19200, "timing.gap_ms" = 120 }

[[line.unit]]
id = "cap-08"
profile = "smc-hrs"
unit_id = 1
poll_period_s = 20

[[line.unit.cap]]
cap = 1
chair = "c13"

[[line.unit]]
id = "cap-09"
profile = "smc-hrs"
unit_id = 2
poll_period_s = 20

[ledger]
key_file = "secrets/ledger.key"

[clock]
time_service = "expected"

[retention]
identifiers_days = 90
messages_days = 90
copies_days = 30

[receipts]
expected = "json"
"""


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority, a client certificate of it, and an unrelated key."""
    folder = tmp_path_factory.mktemp("certificates")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    _openssl(folder, "req", "-x509", *new, "-days", "200", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
    _openssl(folder, "req", "-new", *new, "-subj", "/CN=gw-01", "-keyout", "client.key", "-out", "client.csr")
    signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "200"]
    _openssl(folder, "x509", "-req", "-in", "client.csr", *signing, "-out", "client.crt")
    encrypted = ["-aes128", "-passout", "pass:secret"]
    _openssl(folder, "ec", "-in", "client.key", *encrypted, "-out", "encrypted.key")
    return folder


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def site(tmp_path: Path, certificates: Path) -> Path:
    """A directory with the valid configuration as gateway.toml."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("ca.crt", "client.crt", "client.key", "ca.key", "encrypted.key"):
        (secrets / name).write_bytes((certificates / name).read_bytes())
        (secrets / name).chmod(0o600)
    texts = {"password": "s3cret\n", "open": "s3cret\n", "empty": "", "ledger.key": f"{FIRST.secret.hex()}\n"}
    for name, text in texts.items():
        (secrets / name).write_text(text)
        (secrets / name).chmod(0o644 if name == "open" else 0o600)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "gateway.toml").write_text(CONFIG)
    return tmp_path


def examine_text(site: Path, text: str) -> Examined:
    """Make `text` the site's configuration and check it."""
    (site / "gateway.toml").write_text(text)
    return examine(site / "gateway.toml")
