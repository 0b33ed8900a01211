"""An OpenID provider that others wrote, as a program, and a person who signs in at it without a browser."""

import json
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urljoin, urlsplit

import msgspec
from httpx2 import AsyncClient

from gateway.config.roles import Role
from gateway.config.single_sign_on import OidcPlan, RoleMap
from tests.unit.gateway.web.page_app import PROVIDER

PROGRAM = Path(__file__).parents[1] / "node" / "openid_provider.mjs"
SECRET = "a secret of the tests"
CURIE = {"name": "Marie Curie", "preferred_username": "m.curie", "groups": ["staff", "suite-nurses"]}
ROLES = (("suite-charge", Role.CHARGE), ("suite-nurses", Role.NURSE))
HERE = "http://localhost/sign-in/sso/return"  # what a test's own client calls the page


class OpenId(NamedTuple):
    """The provider that runs, the file of what it says, and the address of its client's page."""

    issuer: str
    state: Path
    page_port: int

    def says(self, curie: Mapping[str, object] = CURIE, spoil: Mapping[str, object] | None = None) -> None:
        """From now on m.curie has these claims, and `spoil` replaces claims of each id token."""
        self.state.write_text(json.dumps({"people": {"m.curie": curie}, "spoil": spoil}))

    def plan(self, *, issuer: str = "", otherwise: Role | None = None, max_age_s: int | None = None) -> OidcPlan:
        """The gateway's configuration of it."""
        secret = self.state.with_name("secret")
        secret.write_text(f"{SECRET}\n")
        return msgspec.structs.replace(
            PROVIDER,
            issuer=issuer or self.issuer,
            client_secret=secret,
            roles=RoleMap(ROLES, otherwise),
            max_age_s=max_age_s,
        )


@contextmanager
def provider(page_port: int) -> Generator[OpenId]:
    """The provider; `page_port` is that of the page that a browser comes back to."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state.json"
        command = ["node", str(PROGRAM), str(state), HERE, f"http://127.0.0.1:{page_port}/sign-in/sso/return"]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert program.stdout is not None
        try:
            yield OpenId(f"http://127.0.0.1:{int(program.stdout.readline())}", state, page_port)
        finally:
            program.kill()
            program.communicate()


async def signs_in(address: str, login: str = "m.curie") -> str:
    """Follow the provider from `address` on, as a browser does; the path and query that it comes back with."""
    async with AsyncClient() as browser:
        answer = await browser.get(address)
        while True:
            if "location" not in answer.headers:
                form = {"prompt": "login", "login": login, "password": "any"}
                answer = await browser.post(str(answer.url), data=form)
            onward = urljoin(str(answer.url), answer.headers["location"])
            if onward.startswith(HERE):
                return onward.removeprefix("http://localhost")
            answer = await browser.get(onward)


def asked_of(address: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
