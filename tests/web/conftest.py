"""The folder of a small site, and one browser for all tests of a process, on one loop."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.pipeline import configured
from tests.web.browser import shared_chromium

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser belongs to the loop that started it: all tests here share one."""
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def browser() -> AsyncGenerator[None]:
    async with shared_chromium():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the configuration and the policy of tests/support/pipeline.py, in New York."""
    folder = configured(tmp_path)
    file = folder / "gateway.toml"
    file.write_text(file.read_text().replace('mode = "test"', 'mode = "test"\ntime_zone = "America/New_York"'))
    return folder
