"""The [web] table: the page stays on this machine, or has a certificate and knows its screens."""

from pathlib import Path

import pytest

from gateway.config.load import Examined
from gateway.config.price import Price
from gateway.config.roles import Role
from gateway.config.web import PageFiles, PagePlan
from gateway.session.wording import Language
from tests.unit.gateway.config.config_files import CONFIG, certificates, examine_text, site

__all__ = ["certificates", "site"]

FILES = 'cert_file = "secrets/client.crt"\nkey_file = "secrets/client.key"\n'


def examined(site: Path, web: str) -> Examined:
    return examine_text(site, CONFIG.replace("[[line]]", f"[web]\n{web}\n[[line]]", 1))


def plan(site: Path, web: str) -> PagePlan:
    found = examined(site, web)
    assert found.config is not None, found.errors
    return found.config.page


def test_without_a_table_it_is_for_a_browser_on_this_machine(site: Path) -> None:
    config = examine_text(site, CONFIG).config
    assert config is not None
    assert (config.page.listen, config.page.tls) == (("127.0.0.1", 9480), None)
    assert [config.page.may_look(each) for each in ("127.0.0.1", "::1", "10.20.0.7", "nonsense")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_it_may_be_left_out(site: Path) -> None:
    assert plan(site, 'listen = ""').listen is None


def test_a_page_for_the_suite(site: Path) -> None:
    found = plan(
        site,
        f'listen = "10.20.0.5:9480"\nnames = ["GW-01.north.example"]\n{FILES}screens = ["10.20.0.16/28"]\n'
        'language = "es"\nunit_price = "155.00 USD"\n',
    )
    assert found.price == Price("155.00", "USD")
    assert (found.listen, found.names, found.language) == (
        ("10.20.0.5", 9480), ("gw-01.north.example",), Language.SPANISH,
    )  # fmt: skip
    assert found.tls == PageFiles(site / "secrets/client.crt", site / "secrets/client.key")
    assert found.may_look("10.20.0.17")
    assert not found.may_look("10.20.0.32")
    assert not found.may_look("127.0.0.1")


OIDC = """\
[web.oidc]
issuer = "https://login.north.example/realms/staff"
client_id = "capgate"
client_secret_file = "secrets/password"
"""
NURSES = 'roles = { "suite nurses" = "nurse", deciders = "charge" }\n'


def test_a_provider_by_which_people_sign_in(site: Path) -> None:
    found = plan(site, f"{OIDC}{NURSES}").oidc
    assert found is not None
    assert found.roles.rows == (("suite nurses", Role.NURSE), ("deciders", Role.CHARGE))
    assert found.client_secret == site / "secrets/password"
    assert (found.roles.otherwise, found.max_age_s, found.lasts_s, found.leeway_s) == (None, None, 3600, 60)
    everybody = plan(site, f'{OIDC}otherwise = "viewer"\nmax_age_s = 0\n').oidc
    assert everybody is not None
    assert (everybody.roles.otherwise, everybody.max_age_s) == (Role.VIEWER, 0)


PROXY = """\
[web.proxy]
addresses = ["10.20.0.9"]
origin = "https://capgate.North.example"
login_header = "X-Forwarded-User"
groups_header = "X-Forwarded-Groups"
sign_out = "/oauth2/sign_out"
"""


def test_a_proxy_that_says_who_is_signed_in(site: Path) -> None:
    found = plan(site, f"{PROXY}{NURSES}").proxy
    assert found is not None
    assert (found.scheme, found.host) == ("https", "capgate.north.example")
    assert found.headers == ("x-forwarded-user", "x-forwarded-groups")
    assert [found.is_at(each) for each in ("10.20.0.9", "10.20.0.8", "127.0.0.1", "nonsense")] == [True, *[False] * 3]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1", "every program on this machine can pass for the proxy"),
        ("::1", "every program on this machine"),
        ("10.20.0.0/24", "each of 256 addresses can pass for the proxy"),
    ],
)
def test_who_could_pass_for_the_proxy_is_warned_of(site: Path, address: str, said: str) -> None:
    found = examined(site, f"{PROXY.replace('10.20.0.9', address)}{NURSES}")
    assert [said in each.message for each in found.warnings if each.path.startswith("web.proxy")] == [True]


@pytest.mark.requirement("REQ-NETWORK-4")
@pytest.mark.parametrize(
    ("web", "path", "message"),
    [
        (PROXY, "web.proxy", "nobody could sign in"),
        (f"{PROXY.replace('10.20.0.9', '10.20.0.0/16')}{NURSES}", "web.proxy.addresses[0]", "could be anybody"),
        (f"{PROXY.replace('10.20.0.9', 'proxy')}{NURSES}", "web.proxy.addresses[0]", "not an address"),
        (f"{PROXY.replace('https', 'http')}{NURSES}", "web.proxy.origin", "http:// on this machine"),
        (f"{PROXY.replace('.North.example', '.example/page')}{NURSES}", "web.proxy.origin", "not an origin"),
        (f"{PROXY.replace('X-Forwarded-User', 'X_Forwarded_User')}{NURSES}", "web.proxy.login_header", "not a header"),
        (f"{PROXY.replace('X-Forwarded-User', 'Cookie')}{NURSES}", "web.proxy.login_header", "not a header"),
        (f"{PROXY.replace('Forwarded-User', 'forwarded-groups')}{NURSES}", "web.proxy", "two headers have one name"),
        (f"{PROXY.replace('/oauth2', 'javascript:')}{NURSES}", "web.proxy.sign_out", ""),
        (OIDC, "web.oidc", "nobody could sign in"),
        (f"{OIDC.replace('password', 'open')}{NURSES}", "web.oidc.client_secret_file", "open to everybody"),
        (f"{OIDC.replace('https', 'http')}{NURSES}", "web.oidc.issuer", "http:// on this machine"),
        (f"{OIDC.replace('login.', 'me:secret@login.')}{NURSES}", "web.oidc.issuer", "password stands in the URL"),
        (f'{OIDC}roles = {{ nurses = "Nurse" }}', "web.oidc.roles.nurses", "accepted: viewer, nurse"),
        (f'{OIDC}{NURSES}otherwise = "nurse"', "web.oidc.otherwise", "accepted: viewer"),
        (f"{OIDC}{NURSES}lasts_s = 60", "web.oidc.lasts_s", "300"),
        ('listen = "10.20.0.5:9480"', "web.listen", "in clear, accepted: 127.0.0.1:port, or cert_file and key_file"),
        ('listen = "0.0.0.0:9480"', "web.listen", "in clear"),
        ('listen = "9480"', "web.listen", "not an address"),
        ('listen = "127.0.0.1:9464"', "web.listen", "the port of [health] as well (line 24), accepted: another one"),
        ('names = ["a b"]', "web.names[0]", "not a host's name"),
        ('cert_file = "secrets/client.crt"', "web", "key_file is missing"),
        ('key_file = "secrets/client.key"', "web", "cert_file is missing"),
        ('cert_file = "secrets/client.crt"\nkey_file = "secrets/ca.key"', "web.key_file", "is not the key of"),
        ('cert_file = "secrets/client.crt"\nkey_file = "secrets/encrypted.key"', "web.key_file", "without password"),
        ('cert_file = "secrets/client.crt"\nkey_file = "secrets/open"', "web.key_file", "open to everybody"),
        ('screens = ["10.20.0.17/28"]', "web.screens[0]", "not an address"),
        ('screens = ["0.0.0.0/0"]', "web.screens[0]", "networks from /16 on"),
        ('screens = ["::/0"]', "web.screens[0]", "networks from /48 on"),
        ('unit_price = "$155"', "web.unit_price", "accepted: an amount and a currency of ISO 4217"),
        ('language = "fr"', "web.language", "accepted: en, de, es"),
        ("port = 9480", "web.port", "unknown key"),
    ],
)
def test_what_would_show_the_suite_to_others_is_refused(site: Path, web: str, path: str, message: str) -> None:
    (problem,) = examined(site, web).errors
    assert problem.path == path
    assert message in problem.message
