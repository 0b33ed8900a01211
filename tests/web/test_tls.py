"""The page over TLS: a browser keeps its sign-in there, and what is not TLS gets no answer."""

import subprocess
from pathlib import Path

import pytest
from playwright.async_api import expect

from gateway.config.web import PageFiles
from tests.web.browser import screen
from tests.web.people import sign_in, with_account
from tests.web.site import page_of


@pytest.fixture
def files(tmp_path: Path) -> PageFiles:
    cert, key = tmp_path / "page.crt", tmp_path / "page.key"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command = ["openssl", "req", "-x509", *new, "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    return PageFiles(cert, key)


async def test_over_tls_one_signs_in_and_the_page_is_live(folder: Path, files: PageFiles) -> None:
    async with page_of(folder, tls=files) as site, screen() as page:
        with_account(site)
        await page.goto(site.url)
        await sign_in(page)
        await expect(page.locator("#live")).to_have_text("live")
        (cookie,) = [each for each in await page.context.cookies() if each.get("name", "").startswith("__Host-")]
        assert (cookie.get("secure"), cookie.get("httpOnly"), cookie.get("sameSite")) == (True, True, "Strict")
        with pytest.raises(Exception, match=r"socket hang up|ECONNRESET|Parse Error"):
            await page.request.get(site.url.replace("https", "http"))
