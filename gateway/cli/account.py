"""`capgate account`: who may sign in on the suite's page. It edits the accounts' file; a running gateway notices.

Each change leaves a trace, which the gateway records: a change that would leave none is not made.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from gateway.cli.control_client import give_up
from gateway.cli.gateway_place import GatewayPlace, gateway_place
from gateway.config.roles import Role
from gateway.control.peer import this_user
from gateway.ledger.access import AccessNotRecorded, Took, TookNote, leave
from gateway.runtime.clock import SystemClock
from gateway.web.accounts import (
    MAX_SECRET,
    MIN_PASSWORD,
    MIN_PIN,
    Account,
    Accounts,
    AccountsUnreadable,
    hash_secret,
    read_accounts,
    write_accounts,
)

MAX_NAME = 64

_NAME = click.argument("name")
_EXITS = "Exit codes: 0 done, 1 refused, 2 wrong use or a file that cannot be used."


@click.group(
    "account",
    epilog="Example: capgate account list --config /etc/capgate/gateway.toml. Each command has its own --help.",
)
def command() -> None:
    """Say who may sign in on the suite's page."""


@command.command(
    "add",
    epilog=f"Example: capgate account add m.curie --role nurse --config /etc/capgate/gateway.toml. {_EXITS}",
)
@_NAME
@click.option(
    "--role",
    required=True,
    type=click.Choice([role.value for role in Role]),
    help="viewer looks; nurse tells what happens at the chair; charge decides what is charged too; biomed swaps "
    "machines; admin does all of it.",
)
@gateway_place
def add(name: str, role: str, place: GatewayPlace) -> None:
    """Add the account NAME, which is recorded with each of its acts for good. Asks for its password.

    Where the input is no terminal, the password is its first line.
    """
    if not name.isprintable() or not 0 < len(name.strip()) <= MAX_NAME:
        _refuse(f"not a name, accepted: 1 to {MAX_NAME} printable characters")

    def added(accounts: Accounts) -> Accounts:
        if accounts.named(name) is not None:
            _refuse(f"{name} is there already; remove it first")
        password = _secret("Password", MIN_PASSWORD)
        return accounts.with_account(Account(name=name.strip(), role=Role(role), password=hash_secret(password)))

    _edit(place, added, Took.ACCOUNT_ADDED, f"{name.strip()} {role}")


@command.command(
    "password", epilog=f"Example: capgate account password m.curie --config /etc/capgate/gateway.toml. {_EXITS}"
)
@_NAME
@gateway_place
def password(name: str, place: GatewayPlace) -> None:
    """Give the account NAME another password. Whoever is signed in with the account is signed out."""
    _change(place, name, lambda _: {"password": hash_secret(_secret("Password", MIN_PASSWORD))}, Took.ACCOUNT_PASSWORD)


@command.command("pin", epilog=f"Example: capgate account pin m.curie --config /etc/capgate/gateway.toml. {_EXITS}")
@_NAME
@gateway_place
def pin(name: str, place: GatewayPlace) -> None:
    """Give the account NAME a PIN, for a tablet that several share: the sign-in ends after two minutes."""
    _change(place, name, lambda _: {"pin": hash_secret(_digits(_secret("PIN", MIN_PIN)))}, Took.ACCOUNT_PIN)


@command.command("badge", epilog=f"Example: capgate account badge m.curie --config /etc/capgate/gateway.toml. {_EXITS}")
@_NAME
@gateway_place
def badge(name: str, place: GatewayPlace) -> None:
    """Give the account NAME a badge: scan it when asked. The sign-in by it ends after two minutes."""

    def scanned(accounts: Accounts) -> dict[str, str]:
        text = _secret("Badge", 4)
        holder = accounts.of_badge(text)
        if holder is not None and holder.name.lower() != name.lower():
            _refuse(f"that badge is {holder.name}'s")
        return {"badge": accounts.badge_digest(text)}

    _change(place, name, scanned, Took.ACCOUNT_BADGE)


@command.command(
    "link",
    epilog=f"Example: capgate account link m.curie m.curie@north.example --config /etc/capgate/gateway.toml. {_EXITS}",
)
@_NAME
@click.argument("login")
@gateway_place
def link(name: str, login: str, place: GatewayPlace) -> None:
    """Say that the account NAME is the person whom the hospital's provider, or its proxy, calls LOGIN.

    Whoever signs in as LOGIN is then known by the account: one person, also where a policy asks for two. An empty
    LOGIN takes the link away.
    """
    if not login.isprintable() or len(login.strip()) > MAX_NAME:
        _refuse(f"not a login, accepted: at most {MAX_NAME} printable characters")

    def linked(accounts: Accounts) -> dict[str, str]:
        holder = accounts.of_provider_login(login.strip())
        if holder is not None and holder.name.lower() != name.strip().lower():
            _refuse(f"{login} is linked to {holder.name} already")
        return {"provider_login": login.strip()}

    _change(place, name, linked, Took.ACCOUNT_LINK, login.strip())


@command.command(
    "remove", epilog=f"Example: capgate account remove m.curie --config /etc/capgate/gateway.toml. {_EXITS}"
)
@_NAME
@gateway_place
def remove(name: str, place: GatewayPlace) -> None:
    """Remove the account NAME. Whoever is signed in with it is signed out; what it told stays."""

    def removed(accounts: Accounts) -> Accounts:
        if accounts.named(name) is None:
            _refuse(_unknown(name, accounts))
        return accounts.without(name)

    _edit(place, removed, Took.ACCOUNT_REMOVED, name.strip())


@command.command("list", epilog=f"Example: capgate account list --config /etc/capgate/gateway.toml. {_EXITS}")
@gateway_place
def list_(place: GatewayPlace) -> None:
    """List the accounts: name, role, by what they may sign in, and what the provider calls them."""
    _, accounts = _read(place)
    for each in accounts.by_name.values():
        ways = ["password", *(["PIN"] if each.pin else []), *(["badge"] if each.badge else [])]
        linked = [f"provider's {each.provider_login}"] if each.provider_login else []
        click.echo(f"{each.name}\t{each.role}\t{', '.join([*ways, *linked])}")


def _change(
    place: GatewayPlace, name: str, changes: Callable[[Accounts], dict[str, str]], what: Took, detail: str = ""
) -> None:
    def changed(accounts: Accounts) -> Accounts:
        account = accounts.named(name)
        if account is None:
            _refuse(_unknown(name, accounts))
        return accounts.with_account(msgspec.structs.replace(account, **changes(accounts)))

    _edit(place, changed, what, f"{name.strip()} {detail}".strip())


def _edit(place: GatewayPlace, change: Callable[[Accounts], Accounts], what: Took, account: str) -> None:
    """Change the accounts, and leave a trace of it: `account` is which, and what it is now."""
    folder, accounts = _read(place)
    changed = change(accounts)
    note = TookNote(what, login=this_user().login, account=account, at_us=SystemClock().now().utc_us)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trace = leave(folder, note)
    except (OSError, AccessNotRecorded) as error:
        give_up(f"a change of the accounts leaves a trace for the gateway, and cannot: {error}")
    try:
        write_accounts(folder, changed)
    except OSError as error:
        trace.unlink(missing_ok=True)  # the gateway may have taken it up
        give_up(f"the accounts cannot be written: {error}")


def _read(place: GatewayPlace) -> tuple[Path, Accounts]:
    try:
        return place.state_dir, read_accounts(place.state_dir)
    except AccountsUnreadable as unreadable:
        give_up(str(unreadable))


def _secret(what: str, shortest: int) -> str:
    """What is typed twice without being shown; the first line of an input that is no terminal."""
    if sys.stdin.isatty():
        text = click.prompt(what, hide_input=True, confirmation_prompt=True, type=str)
    else:
        text = sys.stdin.readline()
    text = text.strip()
    if not shortest <= len(text) <= MAX_SECRET or not text.isprintable():
        _refuse(f"{what}: not accepted, accepted: {shortest} to {MAX_SECRET} printable characters")
    return text


def _digits(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        _refuse("PIN: not accepted, accepted: digits")
    if len(set(text)) < 3:
        _refuse("PIN: not accepted, accepted: digits that are not nearly all the same")
    return text


def _unknown(name: str, accounts: Accounts) -> str:
    return f"no account {name}, accepted: {', '.join(sorted(accounts.by_name)) or 'none is there'}"


def _refuse(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(1)
