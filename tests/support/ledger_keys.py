"""Files of ledger keys, whose secrets are chosen so that tests can name their ids."""

from pathlib import Path

from gateway.ledger.key_ring import LedgerKey

FIRST, SECOND = LedgerKey(bytes(range(32))), LedgerKey(bytes(range(32, 64)))
KEY_FILE = "ledger.key"
TABLE = f'[ledger]\nkey_file = "{KEY_FILE}"\n\n'


def write_keys(folder: Path, *keys: LedgerKey) -> Path:
    """The file of these keys, the one in use first."""
    path = folder / KEY_FILE
    path.write_text("".join(f"{key.secret.hex()}  # {key.id}\n" for key in keys))
    path.chmod(0o600)
    return path
