"""Brings the file of a gateway that is stopped to a key, or to clear, however large it is."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway.ledger import purging, reads, rekeying, schema
from gateway.ledger.codec import bind, codec_of
from gateway.ledger.errors import LedgerLocked, LedgerUnavailable, NothingToDo
from gateway.ledger.key_ring import NO_KEYS, KeyRing
from gateway.ledger.opening import configure, connect_file, translated
from gateway.ledger.succession import alone


def rekey_file(path: Path, ring: KeyRing, progress: Callable[[int, int], None], *, clear: bool) -> str:
    """Write what the ledger has of patients anew, with the ring's first key or, with `clear`, without; the key's id.

    Killed meanwhile it leaves the file as it was, or as it is to be. Raises StateLocked while a gateway runs,
    NothingToDo, LedgerLocked if the ring lacks the key that the file has now, LedgerUnavailable, LedgerDamaged.
    """
    to = NO_KEYS if clear else ring
    with alone(path), translated(path):
        if not path.exists():
            raise LedgerUnavailable(f"{path} is not there")
        with closing(connect_file(path)) as connection:
            configure(connection)
            schema.require_current(connection, path)
            bind(connection, rekeying.codec_for(connection, ring))
            codec = codec_of(connection)
            if not codec.reads:
                raise LedgerLocked(f"{path} {ring.lacking(codec.key_id)}")
            origin = reads.origin(connection)
            if origin is None:
                raise LedgerUnavailable(f"{path} is a ledger that no gateway has begun")
            wanted = "" if to.first is None else to.first.id
            if codec.key_id == wanted and schema.is_swept(connection):
                raise NothingToDo(f"{path} {f'has key {wanted}' if wanted else 'is in clear'} already")
            if codec.key_id != wanted:
                rekeying.rekey(connection, origin, to, progress)
            schema.sweep(connection)
            purging.empty_log(connection)
    return wanted
