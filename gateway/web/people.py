"""Who is signed in at which browser. In memory alone: after a restart everybody signs in anew.

A browser holds a random token that it got when it signed in; what it sent before is never taken over. Of the token a
digest is kept. A sign-in ends after some time without a touch: soon for a badge or a PIN, which serve a shared tablet.
"""

import asyncio
import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.config.roles import Role
from gateway.ledger.access import Actor
from gateway.web.accounts import (
    Account,
    Accounts,
    AccountsUnreadable,
    accounts_state,
    is_right,
    no_accounts,
    read_accounts,
)
from gateway.web.attempts import MAX_REMEMBERED, Attempts
from gateway.web.roles import may_do

_log = logging.getLogger("capgate.web")

SHARED_IDLE_S = 120.0
OWN_IDLE_S = 900.0
LONGEST_S = 12 * 3600.0
MAX_PEOPLE = 200


class SignInRefused(Exception):
    """Nobody is signed in; `wait_s` is how long to wait before the next try.

    `tried` is the account whose secret was wrong, "" where there is none of that name; None: nothing was compared.
    """

    def __init__(self, wait_s: float = 0.0, tried: str | None = None) -> None:
        super().__init__("not signed in")
        self.wait_s = wait_s
        self.tried = tried


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who somebody is. `name` is recorded with each act, and `login` says by what it is known, both for good."""

    name: str
    login: str  # as in `gateway.ledger.access.Actor`
    role: Role

    @property
    def actor(self) -> Actor:
        """As what this person is recorded."""
        return Actor(self.login, self.role)

    @property
    def may(self) -> frozenset[str]:
        """The acts that this person may do."""
        return may_do(self.role)


class SignedIn(Person, frozen=True, kw_only=True):
    """A person at a browser."""

    account: Account | None = None  # of the accounts' file; None: others vouch for this person
    id_token: str = ""  # by which the provider vouched
    form_token: str  # stands in every form that the browser was given
    idle_s: float
    lasts_s: float = LONGEST_S
    since_s: float
    touched_s: float


class People:
    """Everybody who is signed in. `now_s` is a steady clock, `folder` has the accounts' file."""

    def __init__(self, folder: Path, now_s: Callable[[], float]) -> None:
        self._folder = folder
        self._now_s = now_s
        self._attempts = Attempts()
        self._known: OrderedDict[str, None] = OrderedDict()  # names, each with an address where it signed in
        self._people: dict[str, SignedIn] = {}
        self._one_at_a_time = asyncio.Lock()  # a hash takes 19 MiB and much of a core
        self._read: tuple[object, Accounts] | None = None

    async def sign_in(self, address: str, name: str, secret: str) -> str:
        """Sign a person in by name and password or PIN; the browser's token. Raises SignInRefused."""
        account = self._accounts().named(name)
        named = f"name {name.strip().lower()[:64]}"
        at = f"{named} at {address}"
        # Where a name signed in before, failures elsewhere do not count: who knows the name locks nobody out.
        who = (at if at in self._known else named, f"address {address}")
        async with self._one_at_a_time:
            self._check(*who)
            by_password, by_pin = await asyncio.to_thread(is_right, account, secret)
            if account is None or not (by_password or by_pin):
                self._attempts.failed(self._now_s(), *who)
                raise SignInRefused(self._attempts.wait_s(self._now_s(), *who), "" if account is None else account.name)
        self._attempts.succeeded(who[0])
        self._remember(at)
        return self._begin_with(account, OWN_IDLE_S if by_password else SHARED_IDLE_S)

    def sign_in_by_badge(self, address: str, badge: str) -> str:
        """Sign the badge's holder in; the browser's token. Raises SignInRefused."""
        who = f"address {address}"
        self._check(who)
        account = self._accounts().of_badge(badge)
        if account is None:
            self._attempts.failed(self._now_s(), who)
            raise SignInRefused(self._attempts.wait_s(self._now_s(), who), "")
        return self._begin_with(account, SHARED_IDLE_S)

    def sign_in_vouched(self, person: Person, id_token: str, lasts_s: float) -> str:
        """Sign in whom the provider vouches for; the browser's token. Its sign-ins with another role end."""
        others = [key for key, each in self._people.items() if each.login == person.login and each.role != person.role]
        for key in others:
            del self._people[key]
        return self._begin(person, OWN_IDLE_S, id_token=id_token, lasts_s=lasts_s)

    def of(self, token: str) -> SignedIn | None:
        """Who is signed in with that token. An account that was changed or removed is signed out by that."""
        key = _digest(token)
        found, now_s = self._people.get(key), self._now_s()
        if found is None:
            return None
        if now_s - found.touched_s > found.idle_s or now_s - found.since_s > found.lasts_s:
            del self._people[key]
            return None
        if found.account is None:
            return self.linked(found)
        return found if self._accounts().named(found.name) == found.account else None

    def linked(self, vouched: SignedIn) -> SignedIn:
        """Whom others vouch for, by the login of the account that is linked: so one person is one login."""
        account = self._accounts().of_provider_login(vouched.login.partition(":")[2])
        return vouched if account is None else msgspec.structs.replace(vouched, login=_login_of(account))

    def touch(self, token: str) -> None:
        """The person did something: the time without a touch begins anew."""
        if (found := self.of(token)) is not None:
            self._people[_digest(token)] = msgspec.structs.replace(found, touched_s=self._now_s())

    def sign_out(self, token: str) -> None:
        """Forget the browser's token."""
        self._people.pop(_digest(token), None)

    def _check(self, *who: str) -> None:
        if wait_s := self._attempts.wait_s(self._now_s(), *who):
            raise SignInRefused(wait_s)

    def _remember(self, at: str) -> None:
        self._known[at] = None
        self._known.move_to_end(at)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    def _begin_with(self, account: Account, idle_s: float) -> str:
        person = Person(name=account.name, login=_login_of(account), role=account.role)
        return self._begin(person, idle_s, account=account)

    def _begin(
        self,
        person: Person,
        idle_s: float,
        *,
        account: Account | None = None,
        id_token: str = "",
        lasts_s: float = LONGEST_S,
    ) -> str:
        token, now_s = secrets.token_urlsafe(32), self._now_s()
        while len(self._people) >= MAX_PEOPLE:
            del self._people[min(self._people, key=lambda key: self._people[key].touched_s)]
        self._people[_digest(token)] = SignedIn(
            name=person.name,
            login=person.login,
            role=person.role,
            account=account,
            id_token=id_token,
            form_token=secrets.token_urlsafe(32),
            idle_s=idle_s,
            lasts_s=lasts_s,
            since_s=now_s,
            touched_s=now_s,
        )
        return token

    def _accounts(self) -> Accounts:
        """The file's accounts, read again only after it was replaced; none while it cannot be read."""
        state = accounts_state(self._folder)
        if self._read is None or self._read[0] != state:
            try:
                self._read = (state, read_accounts(self._folder))
            except AccountsUnreadable as unreadable:
                _log.error("nobody can sign in", extra={"reason": str(unreadable)})
                self._read = (state, no_accounts())
        return self._read[1]


def _login_of(account: Account) -> str:
    return f"page:{account.name}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
