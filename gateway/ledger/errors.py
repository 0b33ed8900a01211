"""The ledger's errors, by what the gateway must do about them."""

from pathlib import Path


class LedgerError(Exception):
    """Base of every error of the ledger."""


class StateLocked(LedgerError):
    """Another gateway already uses this state directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory} is in use by another gateway")


class LedgerUnavailable(LedgerError):
    """The ledger cannot be opened, though it is not known to be damaged: a person must decide."""


class LedgerLocked(LedgerError):
    """The key that opens the ledger is missing or cannot be used; nothing was changed. The text says where it was."""


class LedgerDamaged(LedgerError):
    """The file is not a ledger any more, or its content is inconsistent."""


class LedgerBehind(LedgerDamaged):
    """The file has lost its last entries, or an older image took its place."""


class LedgerBroken(LedgerError):
    """A read or write failed; whether a failed commit is on disk is unknown. The gateway must restart and read it."""


class ChainBroken(LedgerError):
    """Entries do not continue the chain at the given head."""


class DuplicateEvent(LedgerError):
    """This event is already in the outbox, byte for byte. Nothing of the batch was written."""


class ConflictingEvent(LedgerError):
    """Another message with this event's id is already in the outbox. Nothing of the batch was written."""


class KeyUnusable(LedgerError):
    """The key that signs or verifies checkpoints cannot be used; the text says what to correct."""


class CheckpointInvalid(LedgerError):
    """The text is not a checkpoint."""


class UnknownSession(LedgerError):
    """The ledger has no session with this token."""


class TargetExists(LedgerError):
    """The file to be written exists already."""


class NothingToDo(LedgerError):
    """The ledger is already as it was to be made."""
