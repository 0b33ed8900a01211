"""The report of a ledger verification: its problems, by area."""

from enum import StrEnum

import msgspec


class Area(StrEnum):
    """The part of the ledger that a problem concerns."""

    FILE = "file"
    CHAIN = "chain"
    INDEX = "index"
    MESSAGE = "message"
    BESIDE = "beside"  # what lies beside the chain, and is sealed in it
    CHECKPOINT = "checkpoint"
    INCREMENT = "increment"
    CHARGE = "charge"


class AuditProblem(msgspec.Struct, frozen=True):
    """One problem. `seq` is the entry that it concerns; 0 for the ledger as a whole."""

    area: Area
    seq: int
    text: str

    def __str__(self) -> str:
        return f"entry {self.seq}: {self.area}: {self.text}" if self.seq else f"{self.area}: {self.text}"


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was verified, and every problem found. `notes` say what the verification does not cover."""

    gateway: str
    epoch: str
    entries: int
    head_hash: str
    messages: int
    increments: int  # entries of increments that were re-derived
    charges: int
    checkpoints_inside: int
    checkpoints_outside: int  # of this ledger, held by the receiver
    attested_seq: int  # the last entry that a checkpoint from outside proves; 0 for none
    problems: tuple[AuditProblem, ...]
    notes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether there is no problem."""
        return not self.problems
