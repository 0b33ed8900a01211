"""Checkpoints and the key that signs them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.ledger.batch import Batch
from gateway.ledger.checkpoint import note_of, read_checkpoint, to_data
from gateway.ledger.checkpointer import PERIOD_US, Checkpointer
from gateway.ledger.entry import EntryKind, Head, append
from gateway.ledger.errors import CheckpointInvalid, KeyUnusable
from gateway.ledger.keys import SigningKey, load_key, load_or_make_key, public_pem, read_public_keys, signed
from tests.unit.gateway.ledger.ledger_story import ORIGIN, TOPICS

HEAD = Head("e1", 7, "ab" * 32, "gw-01")
AT_US = 1_773_144_000_000_000


@pytest.fixture
def checkpointer() -> Checkpointer:
    return Checkpointer(SigningKey(Ed25519PrivateKey.generate()), ORIGIN, TOPICS.checkpoint)


def batch_of(kind: EntryKind, head: Head = HEAD) -> Batch:
    entry, after = append(head, AT_US, kind, "S1", "{}")
    return Batch((entry,), (), (), after)


def test_the_note_has_the_documented_lines(checkpointer: Checkpointer) -> None:
    checkpoint = checkpointer.sign(HEAD, AT_US)
    assert checkpoint.note == f"capgate-checkpoint/1\ngw-01\ne1\n7\n{HEAD.hash}\n2026-03-10T12:00:00.000Z\n"
    assert (checkpoint.head, checkpoint.at) == (HEAD, "2026-03-10T12:00:00.000Z")
    assert signed(checkpoint.public_key, checkpoint.signature, checkpoint.note.encode())
    assert not signed(checkpoint.public_key, checkpoint.signature, checkpoint.note.encode() + b" ")
    assert not signed(b"no key", checkpoint.signature, checkpoint.note.encode())


def test_openssl_agrees_with_the_signature(tmp_path: Path, checkpointer: Checkpointer) -> None:
    """As README.txt of a bundle tells a receiver to check it."""
    assert shutil.which("openssl"), "not installed: openssl"
    checkpoint = checkpointer.sign(HEAD, AT_US)
    (tmp_path / "key.pem").write_text(public_pem(checkpoint.public_key))
    (tmp_path / "signature.bin").write_bytes(checkpoint.signature)
    command = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in note.txt -sigfile signature.bin"
    for note, good in ((checkpoint.note, True), (checkpoint.note.replace("gw-01", "gw-02"), False)):
        (tmp_path / "note.txt").write_text(note)
        run = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False)
        assert (run.returncode == 0) is good


def test_a_checkpoint_is_read_as_it_was_written_plain_or_in_its_message(checkpointer: Checkpointer) -> None:
    sealed = checkpointer.with_checkpoint(batch_of(EntryKind.INCREMENT), AT_US)
    assert sealed.checkpoint is not None
    data = to_data(sealed.checkpoint)
    plain = json.dumps({"note": data.note, "signature": data.signature, "key": data.key})
    assert read_checkpoint(plain) == sealed.checkpoint
    assert read_checkpoint(sealed.outbox[-1].payload) == sealed.checkpoint


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"note":"x","signature":"","key":""}', '{"data":{}}', "\xff"])
def test_what_is_no_checkpoint_is_refused(line: str) -> None:
    with pytest.raises(CheckpointInvalid):
        read_checkpoint(line)


def test_a_signature_that_is_no_base64_is_refused() -> None:
    note = note_of(HEAD, "now")
    with pytest.raises(CheckpointInvalid, match="Base64"):
        read_checkpoint(json.dumps({"note": note, "signature": "*", "key": ""}))


def test_a_chain_without_entries_is_not_signed(checkpointer: Checkpointer) -> None:
    with pytest.raises(CheckpointInvalid):
        checkpointer.sign(Head("e1", 0, "ab" * 32, "gw-01"), AT_US)


@pytest.mark.parametrize("kind", [EntryKind.INCREMENT, EntryKind.SESSION, EntryKind.CHARGE])
def test_what_tells_of_a_session_travels_with_a_retained_checkpoint_of_its_head(
    checkpointer: Checkpointer, kind: EntryKind
) -> None:
    checkpointer.with_checkpoint(batch_of(EntryKind.FACT, Head("e1", 3, "cd" * 32, "gw-01")), AT_US)
    batch = batch_of(kind)
    sealed = checkpointer.with_checkpoint(batch, AT_US + 1)
    assert sealed.checkpoint is not None
    assert sealed.checkpoint.head == batch.head
    (message,) = sealed.outbox
    assert (message.topic, message.retain, message.seq) == (TOPICS.checkpoint.topic, True, batch.head.seq)


def test_facts_alone_are_signed_once_an_hour_and_at_the_end_never_twice(checkpointer: Checkpointer) -> None:
    first = batch_of(EntryKind.FACT)
    assert checkpointer.with_checkpoint(first, AT_US).checkpoint is not None, "the first after a start"
    second = batch_of(EntryKind.FACT, first.head)
    assert checkpointer.with_checkpoint(second, AT_US + PERIOD_US - 1) is second
    assert checkpointer.with_checkpoint(second, AT_US + PERIOD_US).checkpoint is not None
    idle = Batch((), (), (), second.head)
    assert checkpointer.with_checkpoint(idle, AT_US + 9 * PERIOD_US, closing=True) is idle, "it has this head already"
    third = batch_of(EntryKind.FACT, second.head)
    assert checkpointer.with_checkpoint(third, AT_US + PERIOD_US + 1) is third
    closing = Batch((), (), (), third.head)
    assert closing.empty
    sealed = checkpointer.with_checkpoint(closing, AT_US + PERIOD_US + 2, closing=True)
    assert sealed.checkpoint is not None
    assert not sealed.empty


def test_a_new_life_does_not_sign_what_the_last_one_did() -> None:
    key = SigningKey(Ed25519PrivateKey.generate())
    idle = Batch((), (), (), HEAD)
    assert Checkpointer(key, ORIGIN, TOPICS.checkpoint, HEAD.seq).with_checkpoint(idle, AT_US, closing=True) is idle
    empty = Batch((), (), (), Head("e1", 0, "ab" * 32, "gw-01"))
    assert Checkpointer(key, ORIGIN, TOPICS.checkpoint).with_checkpoint(empty, AT_US, closing=True) is empty


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.key"
    made = load_or_make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make_key(path).public_raw == made.public_raw
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "checkpoint.key"
    load_or_make_key(path)
    path.chmod(mode)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        load_or_make_key(path)


def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.key"
    path.touch(0o600)
    path.write_text("secret stuff")
    with pytest.raises(KeyUnusable) as refused:
        load_key(path)
    assert "secret" not in str(refused.value)
    with pytest.raises(KeyUnusable, match="No such file"):
        load_key(tmp_path / "absent")


def test_public_keys_are_read_one_or_several() -> None:
    raws = {SigningKey(Ed25519PrivateKey.generate()).public_raw for _ in range(2)}
    assert read_public_keys("".join(map(public_pem, raws)).encode()) == raws
    for text in (b"", b"-----BEGIN PUBLIC KEY-----\nxx\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(KeyUnusable):
            read_public_keys(text)
