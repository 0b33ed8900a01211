"""What Capgate is made of, for whoever reviews it: a CycloneDX bill of materials, and the licences in full.

    python -m release.sbom [--out dist]

Of run time alone: what the lock installs on this machine, and the page's vendored files.
"""

import argparse
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import msgspec
from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import fixup_id, is_expression
from cyclonedx.validation.json import JsonStrictValidator

from release.components import Component, components
from release.wheels import commit_s

BILL = "capgate.cdx.json"
LICENCES = "third-party-licences.txt"
_RULE = "=" * 80


class _License(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str = ""  # of the SPDX list
    name: str = ""  # the author's own words


class _Licensing(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of both."""

    license: _License | None = None
    expression: str = ""


class _Listed(msgspec.Struct, frozen=True, rename={"bom_ref": "bom-ref"}):
    type: str
    bom_ref: str
    name: str
    version: str
    licenses: list[_Licensing]
    purl: str


class _Needs(msgspec.Struct, frozen=True, rename="camel"):
    ref: str
    depends_on: list[str]


class _Metadata(msgspec.Struct, frozen=True):
    timestamp: datetime
    component: _Listed


class _Bill(msgspec.Struct, frozen=True, rename="camel"):
    """The part of CycloneDX 1.6 that is written."""

    serial_number: str
    metadata: _Metadata
    components: list[_Listed]
    dependencies: list[_Needs]
    bom_format: str = "CycloneDX"
    spec_version: str = "1.6"
    version: int = 1


def bill(parts: list[Component], own_version: str) -> str:
    """The bill of materials as JSON. The same commit and parts make the same bytes.

    Raises:
        ValueError: the format's own validator refuses it.
    """
    own = Component("capgate", own_version, "generic", "Apache-2.0", (), frozenset(part.name for part in parts))
    urls = {part.name: _url(part) for part in parts}
    made = _Bill(
        serial_number=uuid5(NAMESPACE_URL, "\n".join([_url(own), *urls.values()])).urn,
        metadata=_Metadata(datetime.fromtimestamp(commit_s(), UTC), _listed("application", own)),
        components=[_listed("library", part) for part in parts],
        dependencies=[_Needs(_url(part), [urls[name] for name in sorted(part.needs)]) for part in (own, *parts)],
    )
    written = msgspec.json.format(msgspec.json.encode(made), indent=2).decode()
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written):
        raise ValueError(f"{BILL}: {wrong}")
    return written + "\n"


def _url(part: Component) -> str:
    return f"pkg:{part.registry}/{part.name}@{part.version}"


def _listed(kind: str, part: Component) -> _Listed:
    return _Listed(kind, _url(part), part.name, part.version, [_licensing(part.licence)], _url(part))


def _licensing(stated: str) -> _Licensing:
    if known := fixup_id(stated):
        return _Licensing(license=_License(id=known))
    if is_expression(stated):
        return _Licensing(expression=stated)
    return _Licensing(license=_License(name=stated))


def licences(parts: list[Component]) -> str:
    """Each component with the licence that it states, then the texts that it brings."""
    table = "\n".join(f"{part.name} {part.version}: {part.licence}" for part in parts)
    return "\n\n".join(["Written by others, and part of Capgate:", table, *map(_in_full, parts)]) + "\n"


def _in_full(part: Component) -> str:
    texts = [text.read_text().strip() for text in part.texts] or ["It brings no text of it."]
    return "\n\n".join([_RULE, f"{part.name} {part.version}: {part.licence}", *texts])


def write(folder: Path, own_version: str) -> None:
    """Both files, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = components()
    (folder / BILL).write_text(bill(parts, own_version))
    (folder / LICENCES).write_text(licences(parts))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m release.sbom")
    parser.add_argument("--out", default=Path("dist"), type=Path)
    out = parser.parse_args().out
    write(out, version("capgate"))
    sys.stdout.write(f"{out / BILL}\n{out / LICENCES}\n")


if __name__ == "__main__":
    main()
