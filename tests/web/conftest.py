"""The folder of a small site."""

from pathlib import Path

import pytest

from tests.support.pipeline import configured


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the configuration and the policy of tests/support/pipeline.py, in New York."""
    folder = configured(tmp_path)
    file = folder / "gateway.toml"
    file.write_text(file.read_text().replace('mode = "test"', 'mode = "test"\ntime_zone = "America/New_York"'))
    return folder
