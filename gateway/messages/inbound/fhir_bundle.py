"""Splits FHIR Bundles of any type (search sets, histories, messages, notifications) into single resources. Pure.

Theory of operation. Each MedicationAdministration in a Bundle is read and answered by itself. So it is made
self-contained first: resources that it refers to and that the Bundle has are copied, with their identifiers and codes,
to its contained resources, and the references changed to these. Other references stay, and the reader notes them. A tag
for test data on the Bundle, on its MessageHeader or on a resource that is referred to is copied too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeGuard, cast

from gateway.messages.inbound.answers import Ignored, Rejected

Json = Mapping[str, object]

READ = "MedicationAdministration"
_MAX_DEPTH = 3  # of Bundles in Bundles
_REFERRING = ("context", "encounter", "subject", "request", "medicationReference")
_KEPT = (
    *("resourceType", "identifier", "code", "ingredient", "account", "name", "birthDate", "gender"),
    *("requester", "reasonCode", "reason"),  # of a MedicationRequest
)
_TEST = "HTEST"  # code of v3-ActReason: test health data


def object_of(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return cast(Json, value) if isinstance(value, dict) else {}


def list_of(value: object) -> Sequence[Json]:
    """The objects of a list; a single object is a list of one."""
    found = cast(list[object], value) if isinstance(value, list) else [value]
    return [object_of(each) for each in found if object_of(each)]


def text_of(owner: Json, name: str) -> str:
    """The text of an element, "" if there is none."""
    value = owner.get(name)
    return value.strip() if isinstance(value, str) else ""


def is_test(resource: Json) -> bool:
    """Whether the resource, or one that it contains, is marked as test data."""
    marks = list_of(object_of(resource.get("meta")).get("security"))
    contained = list_of(resource.get("contained"))
    return any(text_of(mark, "code").upper() == _TEST for mark in marks) or any(map(is_test, contained))


def is_bundle(value: object) -> TypeGuard[Json]:
    """Whether the value is a Bundle resource."""
    return object_of(value).get("resourceType") == "Bundle"


def not_used(resource: Json, message_id: str) -> Ignored | Rejected:
    """The answer to a resource of a type that is not read, and to a Bundle without any that is."""
    if not is_bundle(resource):
        return Ignored(message_id, "not-used", f"resourceType: not used here; used is {READ}")
    events = (each for _, status in _entries(resource, _MAX_DEPTH) for each in list_of(status.get("notificationEvent")))
    named = [text_of(object_of(each.get("focus")), "reference") for each in events]
    named += [text_of(entry, "fullUrl") for entry in list_of(resource.get("entry")) if "resource" not in entry]
    if any(f"{READ}/" in reference for reference in named):
        text = f"entry: names a {READ} that the message does not hold; accepted: a notification with full resources"
        return Rejected(message_id, "bad-data", text)
    return Ignored(message_id, "not-used", f"entry: the Bundle holds no {READ}")


def resources_in(bundle: Json) -> tuple[Json, ...]:
    """The Bundle's administrations, each self-contained."""
    entries = tuple(_entries(bundle, _MAX_DEPTH))
    held = _Held(entries)
    is_test_data = is_test(bundle) or any(
        is_test(resource) for _, resource in entries if resource.get("resourceType") == "MessageHeader"
    )
    return tuple(
        _alone(resource, url, held, is_test_data=is_test_data)
        for url, resource in entries
        if resource.get("resourceType") == READ
    )


def _entries(bundle: Json, depth: int) -> Iterator[tuple[str, Json]]:
    """Every resource with its URL, also those of nested Bundles. A deleted one gets status entered-in-error."""
    for entry in list_of(bundle.get("entry")):
        resource, request = object_of(entry.get("resource")), object_of(entry.get("request"))
        if is_bundle(resource) and depth:
            yield from _entries(resource, depth - 1)
        elif resource or text_of(request, "method") == "DELETE":
            made = resource or _deleted(text_of(request, "url"))
            yield text_of(entry, "fullUrl"), _dated(made, object_of(entry.get("response")))


def _deleted(url: str) -> Json:
    """The resource that represents one that a server deleted."""
    kind, _, own = url.rpartition("/")
    return {"resourceType": kind.rpartition("/")[2], "id": own, "status": "entered-in-error"}


def _dated(resource: Json, response: Json) -> Json:
    """The resource; in a history without `meta.lastUpdated`, with that of the entry's response."""
    meta, changed = object_of(resource.get("meta")), text_of(response, "lastModified")
    if not changed or "lastUpdated" in meta:
        return resource
    return {**resource, "meta": {**meta, "lastUpdated": changed}}


class _Held:
    """The resources of a Bundle, by URL and by type and id."""

    def __init__(self, entries: Iterable[tuple[str, Json]]) -> None:
        self._by_url: dict[str, Json] = {}
        self._by_name: dict[str, Json] = {}  # Type/id
        self._unnamed: dict[str, Json] = {}  # of entries without a URL
        for url, resource in entries:
            name = f"{text_of(resource, 'resourceType')}/{text_of(resource, 'id')}"
            self._by_name.setdefault(name, resource)
            if url:
                self._by_url.setdefault(url, resource)
            else:
                self._unnamed.setdefault(name, resource)

    def find(self, reference: str, own_url: str) -> Json | None:
        """The target of a reference in the resource at `own_url`; None if the Bundle lacks it."""
        bare = reference.split("/_history/", maxsplit=1)[0].split("|", maxsplit=1)[0]
        if ":" in bare:
            name = "/".join(bare.rsplit("/", maxsplit=2)[-2:])
            return self._by_url.get(bare) or self._unnamed.get(name)
        base = own_url.rsplit("/", maxsplit=2)[0] if own_url.count("/") > 2 else ""
        return self._by_url.get(f"{base}/{bare}") or self._by_name.get(bare)


def _alone(resource: Json, url: str, held: _Held, *, is_test_data: bool) -> Json:
    """The resource with the resources that it refers to as contained ones, as far as the Bundle has them."""
    contained = list(list_of(resource.get("contained")))
    made = dict(resource)
    for element in _REFERRING:
        if element in made:
            made[element] = _led(object_of(made[element]), url, held, contained)
    medication = object_of(resource.get("medication"))
    if "reference" in medication:  # R5: a CodeableReference
        inner = _led(object_of(medication["reference"]), url, held, contained)
        made["medication"] = {**medication, "reference": inner}
    if is_test_data:
        meta = object_of(resource.get("meta"))
        made["meta"] = {**meta, "security": [*list_of(meta.get("security")), {"code": _TEST}]}
    return made | ({"contained": contained} if contained else {})


def _led(reference: Json, own_url: str, held: _Held, contained: list[Json]) -> Json:
    """The reference, changed to a contained copy of its target if the Bundle has that."""
    named = text_of(reference, "reference")
    found = held.find(named, own_url) if named and not named.startswith("#") else None
    if found is None:
        return reference
    meta = object_of(found.get("meta"))
    copy: dict[str, object] = {name: found[name] for name in _KEPT if name in found}
    if "requester" in copy:
        copy["requester"] = _led(object_of(copy["requester"]), own_url, held, contained)
    own_id = f"held-{len(contained) + 1}"
    copy |= {"id": own_id, "meta": {"security": list_of(meta.get("security"))}}
    if "account" in copy:
        accounts = (held.find(text_of(each, "reference"), own_url) for each in list_of(copy["account"]))
        numbers = [number for each in accounts if each is not None for number in list_of(each.get("identifier"))]
        stated = [object_of(each.get("identifier")) for each in list_of(copy["account"])]
        copy["account"] = [{"identifier": number} for number in (*filter(None, stated), *numbers)]
    contained.append(copy)
    return {**reference, "reference": f"#{own_id}"}
