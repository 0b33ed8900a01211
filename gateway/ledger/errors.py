"""What can go wrong with the ledger, by what the gateway must do about it."""

from pathlib import Path


class LedgerError(Exception):
    """Base of every error of the ledger."""


class StateLocked(LedgerError):
    """Another gateway already uses this state directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory} is in use by another gateway")


class LedgerUnavailable(LedgerError):
    """The ledger cannot be opened, though nothing says that it is damaged: a person must decide."""


class LedgerDamaged(LedgerError):
    """The file is no ledger any more, or its content contradicts itself."""


class LedgerBroken(LedgerError):
    """A read or write failed; whether a failed commit is on disk is unknown. Restart and read what is there."""


class ChainBroken(LedgerError):
    """Entries do not follow on from the head they were offered to."""


class DuplicateEvent(LedgerError):
    """This event is already in the outbox, byte for byte. Nothing of the batch was written."""


class ConflictingEvent(LedgerError):
    """Another message with this event's id is already in the outbox. Nothing of the batch was written."""


class KeyUnusable(LedgerError):
    """The key that signs or verifies checkpoints cannot be used; the text says what to mend."""


class CheckpointInvalid(LedgerError):
    """What was given is no checkpoint."""


class UnknownSession(LedgerError):
    """No session of the ledger has this token."""


class TargetExists(LedgerError):
    """Where something is to be written there is something already."""
