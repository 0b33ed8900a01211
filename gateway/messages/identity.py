"""The identifiers of a patient, and what becomes of them when the EHR changes numbers. Pure.

A number is one person's only together with who assigned it. Where a message names the assigning authority it is kept
with the number, as `namespace&universal id` (HL7's HD without its type); FHIR's system is a universal id.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

NumberKind = Literal["visit", "mrn", "account"]


class Number(msgspec.Struct, frozen=True):
    """A number and who assigned it, "" where that is not said."""

    value: str
    authority: str = ""

    def is_same(self, other: "Number") -> bool:
        """Whether both are one, as far as they say who assigned them."""
        return self.value == other.value and not differ(self.authority, other.authority)

    def is_other(self, numbers: Iterable["Number"]) -> bool:
        """Whether `numbers` have another one of the same authority in its place."""
        comparable = [each for each in numbers if not differ(self.authority, each.authority)]
        return bool(comparable) and not any(map(self.is_same, comparable))


def differ(one: str, other: str) -> bool:
    """Whether two authorities are known to be different ones: by their namespaces, else by their universal ids."""
    pairs = zip(_parts(one), _parts(other), strict=True)
    both = [(left, right) for left, right in pairs if left and right]
    return bool(both) and both[0][0] != both[0][1]


def _parts(authority: str) -> tuple[str, str, str]:
    """Namespace, OID and URI, as far as there are any."""
    namespace, _, universal = authority.lower().partition("&")
    universal = universal.removeprefix("urn:oid:")
    is_oid = universal.replace(".", "").isdigit()
    return namespace, universal if is_oid else "", "" if is_oid else universal


class Identity(msgspec.Struct, frozen=True):
    """The identifiers behind a subject, by which facts name a patient; None is unknown.

    The subject is the salted hash of the visit's first number, and stays when the EHR gives the visit another one.
    """

    subject: str
    visit: str
    mrn: str | None = None
    account: str | None = None
    name: str | None = None  # family^given
    birth_date: str | None = None  # YYYY-MM-DD
    sex: str | None = None  # as the EHR codes it
    visit_authority: str | None = None
    mrn_authority: str | None = None
    account_authority: str | None = None

    def number(self, kind: NumberKind) -> Number | None:
        """The number of that kind."""
        match kind:
            case "visit":
                return Number(self.visit, self.visit_authority or "")
            case "mrn":
                return Number(self.mrn, self.mrn_authority or "") if self.mrn else None
            case "account":
                return Number(self.account, self.account_authority or "") if self.account else None

    def with_number(self, kind: NumberKind, number: Number) -> "Identity":
        """The identity under another number."""
        return msgspec.structs.replace(self, **{kind: number.value, f"{kind}_authority": number.authority or None})

    def completed(self, older: "Identity | None") -> "Identity":
        """This identity, with what it leaves unknown as `older` has it.

        A visit's number is changed by a `Merge` alone: what is charged never names a visit that the EHR has closed. A
        number that another authority assigned takes no number's place.
        """
        if older is None:
            return self
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(older), strict=True)
        whole = Identity(*(new or old for new, old in pairs))
        for kind in ("visit", "mrn", "account"):
            now, before = self.number(kind), older.number(kind)
            if now is None or before is None:
                continue
            stays = kind == "visit" and now.value != before.value
            if stays or differ(now.authority, before.authority):
                whole = whole.with_number(kind, before)
            elif now.value != before.value:
                whole = whole.with_number(kind, now)
        return whole


class Merge(msgspec.Struct, frozen=True):
    """The EHR gave another number: who is known under `old`, a number of kind `by`, has `new` as `kind` from now on."""

    kind: NumberKind
    old: Number
    new: Number
    by: NumberKind
