"""Checkpoints: signed heads of the hash chain, to be kept out of reach of anyone who can write the ledger.

Theory of operation. A hash chain shows a change in its middle, but not a truncated tail or a complete rewrite. A
checkpoint held elsewhere shows both: its holder knows the hash that entry `seq` must have, and so all entries before.
The signature proves which gateway made it, so that it may be passed on by anyone.

The signature is Ed25519 over the note's UTF-8 text, six lines, each with a line feed: `capgate-checkpoint/1`, gateway,
epoch, seq, hash, and the instant of signing in RFC 3339.
"""

import base64
import binascii
import re

import msgspec

from gateway.ledger.entry import Head
from gateway.ledger.errors import CheckpointInvalid
from gateway.messages.cloudevents import kind

CHECKPOINT = kind("ledger.checkpoint", "checkpoint")
HEADER = "capgate-checkpoint/1"
_NOTE = re.compile(
    rf"{HEADER}\n(?P<gateway>[^\n]+)\n(?P<epoch>[^\n]+)\n(?P<seq>[1-9][0-9]{{0,17}})\n(?P<hash>[0-9a-f]{{64}})\n"
    r"(?P<at>[^\n]+)\n",
    re.ASCII,
)


class Checkpoint(msgspec.Struct, frozen=True):
    """A signed head. `public_key` is the raw Ed25519 key that it claims to be signed by."""

    note: str
    signature: bytes
    public_key: bytes

    @property
    def head(self) -> Head:
        """The head that the note states."""
        return _read_note(self.note)[0]

    @property
    def at(self) -> str:
        """When it was signed, RFC 3339."""
        return _read_note(self.note)[1]


class CheckpointData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint as JSON: signature and raw public key in Base64."""

    note: str
    signature: str
    key: str


class _Event(msgspec.Struct, frozen=True):
    """A CloudEvent with a checkpoint as its data."""

    data: CheckpointData


def note_of(head: Head, at: str) -> str:
    """The text to sign. Raises CheckpointInvalid for a head without entries."""
    note = f"{HEADER}\n{head.gateway}\n{head.epoch}\n{head.seq}\n{head.hash}\n{at}\n"
    _read_note(note)
    return note


def to_data(checkpoint: Checkpoint) -> CheckpointData:
    """The checkpoint in its JSON form, for messages and files."""
    return CheckpointData(checkpoint.note, _base64(checkpoint.signature), _base64(checkpoint.public_key))


def read_checkpoint(line: bytes | str) -> Checkpoint:
    """Parses one line of JSON, plain or a CloudEvent; the signature is not verified. Raises CheckpointInvalid."""
    try:
        data = msgspec.json.decode(line, type=CheckpointData)
    except msgspec.DecodeError:
        try:
            data = msgspec.json.decode(line, type=_Event).data
        except msgspec.DecodeError as error:
            raise CheckpointInvalid(f"not a checkpoint: {error}") from None
    try:
        signature, key = base64.b64decode(data.signature, validate=True), base64.b64decode(data.key, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointInvalid("not a checkpoint: signature or key is not Base64") from None
    _read_note(data.note)
    return Checkpoint(data.note, signature, key)


def _read_note(note: str) -> tuple[Head, str]:
    match = _NOTE.fullmatch(note)
    if match is None:
        raise CheckpointInvalid("the note is not that of a checkpoint")
    return Head(match["epoch"], int(match["seq"]), match["hash"], match["gateway"]), match["at"]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
