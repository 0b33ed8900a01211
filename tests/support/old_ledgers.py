"""Ledgers as earlier versions left them."""

import sqlite3
from pathlib import Path

LEDGERS = Path(__file__).parents[1] / "data" / "ledgers"


def restored(name: str, path: Path) -> Path:
    """The dump of that name as a file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript((LEDGERS / f"{name}.sql").read_text())
    connection.close()
    return path
