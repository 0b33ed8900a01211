"""What is encrypted opens with its key in its place, and nowhere else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.codec import CLEAR, Cipher, Locked, found_by, number_of
from gateway.ledger.errors import LedgerDamaged, LedgerLocked
from gateway.ledger.key_ring import read_ring
from gateway.ledger.locked_rows import SHAPES, Row, lock_row, open_row
from tests.support.ledger_keys import FIRST, SECOND, write_keys

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PARTS = st.lists(TEXTS, min_size=1, max_size=4)
CIPHER = Cipher(FIRST, "epoch")


@given(st.binary(), PARTS)
def test_bytes_open_where_they_were_locked(plain: bytes, bound: list[str]) -> None:
    assert CIPHER.open(CIPHER.lock(plain, *bound), *bound) == plain


@given(TEXTS, PARTS, PARTS)
def test_a_text_opens_in_its_own_place_alone(plain: str, bound: list[str], other: list[str]) -> None:
    stored = CIPHER.lock_text(plain, *bound)
    assert CIPHER.open_text(stored, *bound) == plain
    if other != bound:
        with pytest.raises(LedgerDamaged):
            CIPHER.open_text(stored, *other)


@pytest.mark.parametrize(
    ("one", "other"), [(("a", ""), ("a",)), (("", "a"), ("a", "")), (("a", "b"), ("ab",)), (("a,1:b",), ("a", "b"))]
)
def test_an_empty_part_is_a_part(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    with pytest.raises(LedgerDamaged):
        CIPHER.open(CIPHER.lock(b"", *one), *other)


@pytest.mark.parametrize("other", [Cipher(SECOND, "epoch"), Cipher(FIRST, "another")])
def test_it_opens_with_no_other_key_and_in_no_other_ledger(other: Cipher) -> None:
    with pytest.raises(LedgerDamaged):
        other.open(CIPHER.lock(b"V-1", "salt"), "salt")


@pytest.mark.parametrize("stored", ["", "A", "AAAA", "Ä", "a b", "=" * 24, "A" * 21 + "="])
def test_what_is_no_ciphertext_is_damage(stored: str) -> None:
    with pytest.raises(LedgerDamaged):
        CIPHER.open_text(stored, "salt")


def test_a_number_is_found_by_its_kind_and_its_digits() -> None:
    stored = found_by(CIPHER, "mrn", "7001")
    assert stored == found_by(CIPHER, "mrn", "7001")
    assert len({stored, found_by(CIPHER, "visit", "7001"), found_by(CIPHER, "mrn", "7002"), "7001"}) == 4
    assert number_of(CIPHER, "mrn", stored) == "7001"
    assert found_by(CIPHER, "mrn", "") == number_of(CIPHER, "mrn", "") == ""


def _row(table: str, key: str, text: str) -> Row:
    shape = SHAPES[table]
    return {**dict.fromkeys(shape.keys, key), **dict.fromkeys((*shape.numbers, *shape.bound), text)}


@pytest.mark.parametrize("table", SHAPES)
def test_no_cell_of_a_row_can_be_taken_from_another(table: str) -> None:
    one, other = (lock_row(CIPHER, table, _row(table, key, text)) for key, text in (("k", "one"), ("l", "two")))
    assert open_row(CIPHER, table, one) == _row(table, "k", "one")
    for name in one:
        with pytest.raises(LedgerDamaged):
            open_row(CIPHER, table, {**one, name: other[name]})


def test_in_clear_everything_stays_as_it_is() -> None:
    row = _row("identity", "k", "one")
    assert lock_row(CLEAR, "identity", row) == open_row(CLEAR, "identity", row) == row


def test_without_the_key_nothing_is_read_or_written() -> None:
    locked = Locked(FIRST.id)
    for deed in (locked.lock, locked.open):
        with pytest.raises(LedgerLocked, match=FIRST.id):
            deed(b"", "salt")
    for deed in (locked.lock_text, locked.open_text):
        with pytest.raises(LedgerLocked, match=FIRST.id):
            deed("", "salt")


def test_the_first_key_is_in_use_and_no_secret_is_shown(tmp_path: Path) -> None:
    ring = read_ring(write_keys(tmp_path, SECOND, FIRST))
    assert (ring.first, ring.find(FIRST.id), ring.find("00000000")) == (SECOND, FIRST, None)
    assert SECOND.secret.hex() not in repr(ring)
    assert repr(SECOND.secret) not in repr(ring)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has none"),
        ("# nothing\n", "has none"),
        ("\n00ff\n", ":2 is no key"),
        ("x" * 64, ":1 is no key"),
        (b"\xff", "no text"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_has_no_key_is_refused_with_what_is_accepted(
    tmp_path: Path, text: str | bytes | None, said: str
) -> None:
    path = tmp_path / "ledger.key"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
    with pytest.raises(LedgerLocked, match=said):
        read_ring(path)


def test_a_file_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    path = write_keys(tmp_path, FIRST)
    path.chmod(0o604)
    with pytest.raises(LedgerLocked, match="chmod 600"):
        read_ring(path)
