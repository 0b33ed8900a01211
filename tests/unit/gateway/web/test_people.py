"""Who is signed in, how, and for how long; and the file of accounts."""

import stat
from pathlib import Path

import msgspec
import pytest

from gateway.config.roles import Role
from gateway.web.accounts import (
    ACCOUNTS_FILE,
    Account,
    AccountsUnreadable,
    hash_secret,
    read_accounts,
    write_accounts,
)
from gateway.web.attempts import FREE_TRIES
from gateway.web.people import LONGEST_S, MAX_PEOPLE, OWN_IDLE_S, SHARED_IDLE_S, People, Person, SignInRefused

PASSWORD, PIN, BADGE = "correct horse", "482913", "0004711;9"
HASHED = Account(name="M.Curie", role=Role.NURSE, password=hash_secret(PASSWORD), pin=hash_secret(PIN))


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(tmp_path: Path, clock: Clock) -> People:
    accounts = read_accounts(tmp_path)
    account = msgspec.structs.replace(HASHED, badge=accounts.badge_digest(BADGE))
    write_accounts(tmp_path, accounts.with_account(account))
    return People(tmp_path, clock)


async def test_by_password_pin_and_badge(people: People) -> None:
    for token, idle_s in (
        (await people.sign_in("10.0.0.1", "m.curie ", PASSWORD), OWN_IDLE_S),
        (await people.sign_in("10.0.0.1", "M.CURIE", PIN), SHARED_IDLE_S),
        (people.sign_in_by_badge("10.0.0.1", f" {BADGE}\n"), SHARED_IDLE_S),
    ):
        found = people.of(token)
        assert found is not None
        assert (found.name, found.idle_s) == ("M.Curie", idle_s)


async def test_who_is_vouched_for_and_has_an_account_is_one_login_from_the_link_on(
    people: People, tmp_path: Path
) -> None:
    token = people.sign_in_vouched(Person(name="Marie", login="sso:mc7", role=Role.CHARGE), "", LONGEST_S)
    for provider_login, login in (("", "sso:mc7"), ("p8", "sso:mc7"), ("mc7", "page:M.Curie")):
        accounts = read_accounts(tmp_path)
        account = msgspec.structs.replace(accounts.by_name["m.curie"], provider_login=provider_login)
        write_accounts(tmp_path, accounts.with_account(account))
        found = people.of(token)
        assert found is not None
        assert (found.name, found.login, found.role) == ("Marie", login, Role.CHARGE)


@pytest.mark.parametrize(
    ("name", "secret"), [("m.curie", "wrong horse"), ("nobody", PASSWORD), ("m.curie", ""), ("", "")]
)
async def test_what_is_wrong_signs_nobody_in(people: People, name: str, secret: str) -> None:
    with pytest.raises(SignInRefused):
        await people.sign_in("10.0.0.1", name, secret)
    with pytest.raises(SignInRefused):
        people.sign_in_by_badge("10.0.0.1", secret)


async def test_an_account_without_pin_or_badge_cannot_be_opened_by_none(tmp_path: Path, clock: Clock) -> None:
    bare = Account(name="bare", role=Role.NURSE, password=HASHED.password)
    write_accounts(tmp_path, read_accounts(tmp_path).with_account(bare))
    people = People(tmp_path, clock)
    with pytest.raises(SignInRefused):
        await people.sign_in("10.0.0.1", "bare", "")
    with pytest.raises(SignInRefused):
        people.sign_in_by_badge("10.0.0.1", "")


@pytest.mark.requirement("REQ-ACCESS-4")
async def test_guessing_is_slowed_down_even_with_the_right_secret(people: People, clock: Clock) -> None:
    for _ in range(FREE_TRIES):
        with pytest.raises(SignInRefused):
            await people.sign_in("10.0.0.1", "m.curie", "guess")
    with pytest.raises(SignInRefused) as refused:
        await people.sign_in("10.0.0.2", "m.curie", PASSWORD)
    assert refused.value.wait_s > 0
    with pytest.raises(SignInRefused):
        people.sign_in_by_badge("10.0.0.1", BADGE)
    clock.now_s += refused.value.wait_s
    assert people.of(await people.sign_in("10.0.0.2", "m.curie", PASSWORD))


async def test_who_guesses_elsewhere_locks_nobody_out_where_they_signed_in_before(people: People) -> None:
    await people.sign_in("10.0.0.2", "m.curie", PASSWORD)
    for _ in range(FREE_TRIES):
        with pytest.raises(SignInRefused):
            await people.sign_in("10.0.0.1", "m.curie", "guess")
    assert people.of(await people.sign_in("10.0.0.2", "M.Curie", PASSWORD))
    with pytest.raises(SignInRefused):
        await people.sign_in("10.0.0.3", "m.curie", PASSWORD)


async def test_guessing_where_somebody_signed_in_before_is_slowed_down_as_well(people: People) -> None:
    await people.sign_in("10.0.0.2", "m.curie", PASSWORD)
    for _ in range(FREE_TRIES):
        with pytest.raises(SignInRefused):
            await people.sign_in("10.0.0.2", "m.curie", "guess")
    with pytest.raises(SignInRefused):
        await people.sign_in("10.0.0.2", "m.curie", PASSWORD)


@pytest.mark.requirement("REQ-ACCESS-5")
async def test_a_shared_sign_in_ends_after_two_minutes_without_a_touch(people: People, clock: Clock) -> None:
    token = await people.sign_in("10.0.0.1", "m.curie", PIN)
    for _ in range(3):
        clock.now_s += SHARED_IDLE_S - 1
        assert people.of(token) is not None
        people.touch(token)
    clock.now_s += SHARED_IDLE_S + 1
    people.touch(token)
    assert people.of(token) is None, "too late"


@pytest.mark.requirement("REQ-ACCESS-5")
async def test_no_sign_in_lasts_longer_than_a_shift(people: People, clock: Clock) -> None:
    token = await people.sign_in("10.0.0.1", "m.curie", PASSWORD)
    for _ in range(round(LONGEST_S / 600) + 1):
        clock.now_s += 600
        people.touch(token)
    assert people.of(token) is None


async def test_who_signs_out_or_loses_the_account_is_out(people: People, tmp_path: Path) -> None:
    first, second = await people.sign_in("10.0.0.1", "m.curie", PIN), await people.sign_in("10.0.0.1", "m.curie", PIN)
    assert first != second
    people.sign_out(first)
    assert people.of(first) is None
    assert people.of(second) is not None
    accounts = read_accounts(tmp_path)
    write_accounts(tmp_path, accounts.with_account(Account(name="M.Curie", role=Role.VIEWER, password="-")))
    assert people.of(second) is None


async def test_a_token_that_a_browser_made_up_is_nobody_s(people: People) -> None:
    await people.sign_in("10.0.0.1", "m.curie", PIN)
    assert people.of("made-up") is None
    people.touch("made-up")
    assert people.of("made-up") is None


async def test_the_number_of_sign_ins_is_bounded(people: People, clock: Clock) -> None:
    first = people.sign_in_by_badge("10.0.0.1", BADGE)
    for _ in range(MAX_PEOPLE):
        clock.now_s += 0.1
        people.sign_in_by_badge("10.0.0.1", BADGE)
    assert people.of(first) is None


@pytest.mark.requirement("REQ-ACCESS-6")
def test_the_file_is_closed_to_others_and_holds_no_secret(people: People, tmp_path: Path) -> None:
    file = tmp_path / ACCOUNTS_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert all(secret not in text for secret in (PASSWORD, PIN, BADGE))
    assert [each.name for each in tmp_path.iterdir()] == [ACCOUNTS_FILE]


@pytest.mark.parametrize("written", [b"{", b'{"badge_key":"no hex"}', b'{"badge_key":"\xff"}', b"\xff"])
async def test_a_file_that_cannot_be_read_signs_nobody_in(
    people: People, tmp_path: Path, caplog: pytest.LogCaptureFixture, written: bytes
) -> None:
    token = await people.sign_in("10.0.0.1", "m.curie", PIN)
    (tmp_path / ACCOUNTS_FILE).write_bytes(written)
    with pytest.raises(AccountsUnreadable, match=ACCOUNTS_FILE):
        read_accounts(tmp_path)
    assert people.of(token) is None
    with pytest.raises(SignInRefused):
        await people.sign_in("10.0.0.1", "m.curie", PIN)
    with pytest.raises(SignInRefused):
        people.sign_in_by_badge("10.0.0.1", BADGE)
    assert caplog.text.count("nobody can sign in") == 1
