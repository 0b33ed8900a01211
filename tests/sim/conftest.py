"""The folder of a small site, which a test changes where it needs another."""

from pathlib import Path

import pytest

from tests.support.pipeline import configured


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the configuration and the policy of tests/support/pipeline.py."""
    return configured(tmp_path)
