"""`capgate account`: accounts are added, changed and removed, and what is not accepted changes nothing."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.account import command
from gateway.ledger.access import LEFT, TookNote, left_in
from gateway.web.accounts import ACCOUNTS_FILE, is_right, read_accounts
from tests.support.pipeline import configured

PASSWORD = "correct horse"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configured(tmp_path)


def account(folder: Path, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(command, [*words, "--config", str(folder / "gateway.toml")], input=typed)


def added(folder: Path) -> Path:
    """The state directory, with one account."""
    result = account(folder, "add", "M.Curie", "--role", "nurse", typed=f"{PASSWORD}\n")
    assert (result.exit_code, result.output) == (0, "")
    return folder / "state"


def test_an_account_from_its_beginning_to_its_end(folder: Path) -> None:
    state = added(folder)
    assert is_right(read_accounts(state).named("m.curie"), PASSWORD) == (True, False)
    assert account(folder, "pin", "m.curie", typed="482913\n").exit_code == 0
    assert account(folder, "badge", "m.curie", typed="0004711\n").exit_code == 0
    assert account(folder, "list").output == "M.Curie\tnurse\tpassword, PIN, badge\n"
    found = read_accounts(state).of_badge("0004711")
    assert found is not None
    assert is_right(found, "482913") == (False, True)
    assert account(folder, "password", "m.curie", typed="another horse\n").exit_code == 0
    assert is_right(read_accounts(state).named("m.curie"), PASSWORD) == (False, False)
    assert account(folder, "remove", "M.CURIE").exit_code == 0
    assert account(folder, "list").output == ""


@pytest.mark.parametrize(
    ("words", "typed", "says"),
    [
        (("add", "m.curie", "--role", "nurse"), PASSWORD, "there already"),
        (("add", "p.curie", "--role", "nurse"), "short", "10 to 256"),
        (("add", "a\nb", "--role", "nurse"), PASSWORD, "not a name"),
        (("add", " ", "--role", "nurse"), PASSWORD, "not a name"),
        (("pin", "m.curie"), "12345", "6 to 256"),
        (("pin", "m.curie"), "12345a", "digits"),
        (("pin", "m.curie"), "111112", "nearly all the same"),
        (("pin", "nobody"), "482913", "accepted: m.curie"),
        (("badge", "m.curie"), "", "4 to 256"),
        (("remove", "nobody"), "", "accepted: m.curie"),
    ],
)
def test_what_is_not_accepted_changes_nothing(folder: Path, words: tuple[str, ...], typed: str, says: str) -> None:
    file = added(folder) / ACCOUNTS_FILE
    before = file.read_bytes()
    result = account(folder, *words, typed=f"{typed}\n")
    assert result.exit_code == 1
    assert says in result.output
    assert file.read_bytes() == before


def test_each_change_leaves_a_trace_and_what_is_refused_leaves_none(folder: Path) -> None:
    state = added(folder)
    account(folder, "pin", "m.curie", typed="482913\n")
    account(folder, "pin", "m.curie", typed="12345\n")
    account(folder, "link", "m.curie", "m.curie@north.example")
    account(folder, "remove", "nobody")
    account(folder, "remove", "m.curie")
    left = [trace for _, trace in left_in(state) if isinstance(trace, TookNote)]
    assert [(each.what.value, each.account) for each in left] == [
        ("account-added", "M.Curie nurse"),
        ("account-pin", "m.curie"),
        ("account-link", "m.curie m.curie@north.example"),
        ("account-removed", "m.curie"),
    ]
    assert all(each.login.startswith("host:") for each in left)


def test_what_would_leave_no_trace_is_not_changed(folder: Path) -> None:
    state = added(folder)
    shutil.rmtree(state / LEFT)
    (state / LEFT).write_text("a file in the way")
    refused = account(folder, "remove", "m.curie")
    assert refused.exit_code == 2
    assert "leaves a trace for the gateway, and cannot" in refused.output
    assert read_accounts(state).named("m.curie") is not None


def test_a_badge_has_one_holder(folder: Path) -> None:
    added(folder)
    account(folder, "add", "p.curie", "--role", "charge", typed=f"{PASSWORD}\n")
    assert account(folder, "badge", "m.curie", typed="0004711\n").exit_code == 0
    result = account(folder, "badge", "p.curie", typed="0004711\n")
    assert (result.exit_code, result.output) == (1, "that badge is M.Curie's\n")


def test_a_provider_s_login_is_one_account_s(folder: Path) -> None:
    added(folder)
    account(folder, "add", "p.curie", "--role", "charge", typed=f"{PASSWORD}\n")
    assert account(folder, "link", "m.curie", "mc7@north.example").exit_code == 0
    assert "M.Curie\tnurse\tpassword, provider's mc7@north.example\n" in account(folder, "list").output
    result = account(folder, "link", "p.curie", "mc7@north.example")
    assert (result.exit_code, result.output) == (1, "mc7@north.example is linked to M.Curie already\n")
    assert account(folder, "link", "m.curie", "").exit_code == 0
    assert account(folder, "link", "p.curie", "mc7@north.example").exit_code == 0


def test_a_file_that_cannot_be_used_is_left_alone(folder: Path) -> None:
    file = added(folder) / ACCOUNTS_FILE
    file.write_text("{")
    result = account(folder, "add", "p.curie", "--role", "nurse", typed=f"{PASSWORD}\n")
    assert (result.exit_code, file.read_text()) == (2, "{")
    assert ACCOUNTS_FILE in result.output


def test_accounts_are_reached_by_the_socket_alone_whatever_the_configuration_has_become(folder: Path) -> None:
    added(folder)
    listed = "M.Curie\tnurse\tpassword\n"
    by_socket = CliRunner().invoke(command, ["list", "--socket", str(folder / "state" / "control.sock")])
    assert (by_socket.exit_code, by_socket.output) == (0, listed)
    broken = (folder / "gateway.toml").read_text().replace("[mqtt]", "[mqqt]").replace("mode =", "modee =")
    (folder / "gateway.toml").write_text(broken)
    assert account(folder, "list").output == listed
