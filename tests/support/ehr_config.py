"""A configuration with tables on the EHR, and the errors that it has."""

from pathlib import Path

from gateway.config.load import examine
from tests.support.pipeline import CONFIG, POLICY


def errors(folder: Path, tables: str) -> str:
    return "\n".join(map(str, examine(written(folder, tables)).errors))


def written(folder: Path, tables: str) -> Path:
    (folder / "gateway.toml").write_text(CONFIG.replace("[[line]]", f"{tables}\n[[line]]", 1))
    (folder / "policy.toml").write_text(POLICY)
    return folder / "gateway.toml"
