"""The folder of a small site, which a test changes where it needs another."""

from pathlib import Path

import pytest

from tests.support.pipeline import CONFIG, POLICY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the configuration and the policy of tests/support/pipeline.py."""
    (tmp_path / "gateway.toml").write_text(CONFIG)
    (tmp_path / "policy.toml").write_text(POLICY)
    return tmp_path
