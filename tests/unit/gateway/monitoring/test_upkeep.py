"""What has to be kept up: read from the files as they lie there, and what cannot be read is left out."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.ledger.temperatures import PollCount, TemperatureFile
from gateway.monitoring.error_history import ErrorHistory
from gateway.monitoring.upkeep import Upkeep, UpkeepState

SOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATE = datetime(2031, 5, 1, tzinfo=UTC)


def certificate(until: datetime) -> bytes:
    name, key = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gw-01")]), Ed25519PrivateKey.generate()
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    draft = draft.serial_number(1).not_valid_before(until - timedelta(days=30)).not_valid_after(until)
    return draft.sign(key, None).public_bytes(Encoding.PEM)


def test_the_first_certificate_of_a_file_to_expire_counts(tmp_path: Path) -> None:
    chain, broken = tmp_path / "page.crt", tmp_path / "client.crt"
    chain.write_bytes(certificate(LATE) + certificate(SOON))
    broken.write_text("no certificate")
    files = {"page": chain, "broker-client": broken, "broker-authority": tmp_path / "missing"}
    found = Upkeep(tmp_path / "ledger.db", ErrorHistory(tmp_path / "temperatures.db"), files).look()
    assert found == UpkeepState(None, {"page": SOON.timestamp()}, None)


def test_the_ledger_is_as_large_as_both_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(bytes(4096))
    (tmp_path / "ledger.db-wal").write_bytes(bytes(100))
    assert Upkeep(tmp_path / "ledger.db", ErrorHistory(tmp_path / "temperatures.db"), {}).look().ledger_bytes == 4196


def test_read_errors_of_before_the_start_are_there(tmp_path: Path) -> None:
    with closing(TemperatureFile(tmp_path / "temperatures.db")) as file:
        file.count([PollCount("2026-03-10", "bay-a", "cap-07", "timeout", 12)])
    lines = Upkeep(tmp_path / "ledger.db", ErrorHistory(tmp_path / "temperatures.db"), {}).look().lines
    assert lines is not None
    ((unit,),) = (line.units for line in lines.lines)
    assert (unit.unit, unit.errors[0].days_30, unit.alarming) == ("cap-07", 12, True)
