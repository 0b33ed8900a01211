"""The files that are held outside the gateway's box: checkpoints and public keys."""

from pathlib import Path

import click

from gateway.ledger.checkpoint import Checkpoint, read_checkpoint
from gateway.ledger.errors import CheckpointInvalid, KeyUnusable
from gateway.ledger.keys import read_public_keys

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
CHECKPOINTS = click.option(
    "--checkpoints", type=_FILE, help="Checkpoints held outside, one JSON object or message a line."
)
PUBLIC_KEY = click.option(
    "--public-key", type=_FILE, help="Keys in PEM that may have signed; from `capgate ledger key`."
)


def read_checkpoints(path: Path) -> list[Checkpoint]:
    """Those of a file, one a line. Raises CheckpointInvalid."""
    held: list[Checkpoint] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip():
            try:
                held.append(read_checkpoint(line))
            except CheckpointInvalid as error:
                raise CheckpointInvalid(f"{path}:{number}: {error}") from None
    if not held:
        raise CheckpointInvalid(f"{path} holds no checkpoint")
    return held


def read_keys(path: Path) -> frozenset[bytes]:
    """Those of a file in PEM. Raises KeyUnusable."""
    try:
        return read_public_keys(path.read_bytes())
    except KeyUnusable as error:
        raise KeyUnusable(f"{path}: {error}") from None
