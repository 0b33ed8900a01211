"""The identifiers of a patient, and the merging of two numbers of one person. Pure."""

from typing import Literal

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """The identifiers behind a subject (the salted hash of a visit, by which facts name a patient). None is unknown."""

    subject: str
    visit: str
    mrn: str | None = None
    account: str | None = None
    name: str | None = None  # family^given
    birth_date: str | None = None  # YYYY-MM-DD
    sex: str | None = None  # as the EHR codes it

    def completed(self, older: "Identity | None") -> "Identity":
        """This identity, with what it leaves unknown as `older` has it."""
        if older is None:
            return self
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(older), strict=True)
        return Identity(*(new or old for new, old in pairs))


class Merge(msgspec.Struct, frozen=True):
    """Two record or account numbers of one person became one: who is known under `old` is known under `new` now."""

    kind: Literal["mrn", "account"]
    old: str
    new: str
