"""The identifiers of a patient, and their changes by the EHR (merges). Pure.

A number identifies a person only together with its assigning authority. If a message names the authority, it is kept
with the number as `namespace&universal id` (HL7's HD without its type); FHIR's system is a universal id.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

NumberKind = Literal["visit", "mrn", "account"]


class Number(msgspec.Struct, frozen=True):
    """A number and its assigning authority, "" if not stated."""

    value: str
    authority: str = ""

    @property
    def system(self) -> str:
        """FHIR's name of who assigned it, a URI; "" where none is known."""
        _, oid, universal = _parts(self.authority)
        return f"urn:oid:{oid}" if oid else self.authority.partition("&")[2] if ":" in universal else ""

    def is_same(self, other: "Number") -> bool:
        """Whether both are the same number, of authorities that are not known to differ."""
        return self.value == other.value and not differ(self.authority, other.authority)

    def is_other(self, numbers: Iterable["Number"]) -> bool:
        """Whether `numbers` has a different one of the same authority."""
        comparable = [each for each in numbers if not differ(self.authority, each.authority)]
        return bool(comparable) and not any(map(self.is_same, comparable))


def differ(one: str, other: str) -> bool:
    """Whether two authorities are known to differ: by their namespaces, else by their universal ids."""
    pairs = zip(_parts(one), _parts(other), strict=True)
    both = [(left, right) for left, right in pairs if left and right]
    return bool(both) and both[0][0] != both[0][1]


def _parts(authority: str) -> tuple[str, str, str]:
    """Namespace, OID and URI of an authority, "" for each that is missing."""
    namespace, _, universal = authority.lower().partition("&")
    universal = universal.removeprefix("urn:oid:")
    is_oid = universal.replace(".", "").isdigit()
    return namespace, universal if is_oid else "", "" if is_oid else universal


class Identity(msgspec.Struct, frozen=True):
    """The identifiers of a subject, the pseudonym by which facts name a patient; None is unknown.

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
        """The identity with `number` as its number of that kind."""
        return msgspec.structs.replace(self, **{kind: number.value, f"{kind}_authority": number.authority or None})

    def completed(self, older: "Identity | None") -> "Identity":
        """This identity, with unknown fields taken from `older`.

        A visit's number is changed only by a `Merge`, so that a charge never names a visit that the EHR has closed. A
        number of another authority does not replace the older number.
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
    """An identifier change of the EHR: whoever has `old` as number of kind `by` has `new` as `kind` from now on."""

    kind: NumberKind
    old: Number
    new: Number
    by: NumberKind
