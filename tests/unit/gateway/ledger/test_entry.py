"""The chain of entries: what it binds, and that nothing passes for anything else."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.entry import Entry, EntryKind, Head, append, digest, follow, genesis, subject_of
from gateway.ledger.errors import ChainBroken

SALT = bytes(range(32))
START = genesis("gw-1", "epoch-1", SALT)
texts = st.text(st.characters(exclude_categories=["Cs"]))
row_lists = st.lists(st.tuples(st.integers(0, 2**60), st.sampled_from(EntryKind), texts, texts), min_size=1, max_size=6)


def chain(rows: list[tuple[int, EntryKind, str, str]], head: Head = START) -> tuple[list[Entry], Head]:
    entries: list[Entry] = []
    for recorded_us, kind, session, body in rows:
        entry, head = append(head, recorded_us, kind, session, body)
        entries.append(entry)
    return entries, head


def test_a_hash_is_sha256_over_netstrings_in_the_documented_order() -> None:
    entry, head = append(Head("e", 6, "ab", "gw"), 1_000, EntryKind.FACT, "S1", '{"é":1}')
    body_digest = hashlib.sha256('{"é":1}'.encode()).hexdigest()
    written = f"2:gw,1:e,1:7,4:fact,2:S1,4:1000,64:{body_digest},2:ab,"
    assert entry.hash == hashlib.sha256(written.encode()).hexdigest()
    assert (entry.seq, entry.prev_hash, head) == (7, "ab", Head("e", 7, entry.hash, "gw"))


def test_gateway_epoch_and_salt_each_change_the_genesis() -> None:
    others = [genesis("gw-2", "epoch-1", SALT), genesis("gw-1", "epoch-2", SALT), genesis("gw-1", "epoch-1", SALT[1:])]
    assert len({START.hash, *(other.hash for other in others)}) == 4
    assert START.seq == 0


@given(row_lists)
def test_what_append_makes_follow_accepts_and_counts_without_gaps(
    rows: list[tuple[int, EntryKind, str, str]],
) -> None:
    entries, head = chain(rows)
    assert follow(START, entries) == head
    assert [entry.seq for entry in entries] == list(range(1, len(rows) + 1))
    assert (head.seq, head.hash) == (len(rows), entries[-1].hash)


@pytest.mark.slow
@given(row_lists, st.data())
def test_no_field_of_an_entry_can_change_unseen(
    rows: list[tuple[int, EntryKind, str, str]], data: st.DataObject
) -> None:
    entries, _ = chain(rows)
    at = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(st.sampled_from(Entry.__struct_fields__))
    changed = {
        "seq": entries[at].seq + 1,
        "recorded_us": entries[at].recorded_us + 1,
        "kind": next(kind for kind in EntryKind if kind is not entries[at].kind),
    }.get(field, f"{getattr(entries[at], field)}x")
    entries[at] = msgspec.structs.replace(entries[at], **{field: changed})
    with pytest.raises(ChainBroken, match=f"entry {entries[at].seq} "):
        follow(START, entries)


@pytest.mark.slow
@given(row_lists, st.data())
def test_entries_cannot_be_dropped_repeated_or_swapped(
    rows: list[tuple[int, EntryKind, str, str]], data: st.DataObject
) -> None:
    entries, _ = chain([*rows, (0, EntryKind.STATUS, "", "")])
    at = data.draw(st.integers(0, len(entries) - 2))
    for forged in (
        entries[:at] + entries[at + 1 :],
        [*entries[: at + 1], *entries[at:]],
        [*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]],
    ):
        with pytest.raises(ChainBroken):
            follow(START, forged)


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_only_equal_fields_have_equal_digests(left: list[bytes], right: list[bytes]) -> None:
    assert (digest(*left) == digest(*right)) == (left == right)


def test_a_chain_of_another_gateway_or_epoch_does_not_follow() -> None:
    entries, head = chain([(0, EntryKind.FACT, "", "{}")])
    for other in (genesis("gw-2", "epoch-1", SALT), genesis("gw-1", "epoch-2", SALT)):
        with pytest.raises(ChainBroken):
            follow(other, entries)
    assert follow(head, []) == head


def test_a_subject_depends_on_the_visit_and_the_salt_and_shows_neither() -> None:
    subject = subject_of(SALT, "V-1001")
    assert len(subject) == 16
    assert set(subject) <= set("0123456789abcdef")
    assert subject == subject_of(SALT, "V-1001")
    assert len({subject, subject_of(SALT, "V-1002"), subject_of(SALT[::-1], "V-1001")}) == 3
