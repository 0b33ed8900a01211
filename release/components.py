"""What others wrote of what is handed out: what this machine installs of the lock, and the page's vendored files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.wheels import LOCK, ROOT

VENDORED = ROOT / "gateway/web/static/vendor"
_ENTRY = re.compile(r"^[A-Za-z0-9].*", re.MULTILINE)
_LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice)[^/]*$", re.IGNORECASE)


@dataclass(frozen=True)
class Component:
    """One package at one version. `licence` is what it states of itself; `texts` are its files that have it in full."""

    name: str
    version: str
    registry: str  # as package URLs name it: "pypi", "npm", "generic" for none
    licence: str
    texts: tuple[Path, ...]
    needs: frozenset[str]  # names of other components


UPLOT = Component("uplot", "1.6.32", "npm", "MIT", (VENDORED / "uPlot.LICENSE",), frozenset())


def stated_licence(metadata: Message) -> str:
    """The SPDX expression, else the word for it, else what it is classified as; nothing where it states none."""
    classified = [value.rpartition(" :: ")[2] for value in metadata.get_all("Classifier", []) if "License" in value]
    stated = (metadata["License"] or "").partition("\n")[0]
    return metadata["License-Expression"] or stated or ", ".join(classified)


def locked(lock: Path = ROOT / LOCK) -> list[Requirement]:
    """The entries of the lock whose markers hold on this machine."""
    entries = [Requirement(line.removesuffix("\\").strip()) for line in _ENTRY.findall(lock.read_text())]
    return [entry for entry in entries if entry.marker is None or entry.marker.evaluate()]


def components() -> list[Component]:
    """All of them, by name. What they state is read from the environment that runs this, which the lock filled.

    Raises:
        LookupError: another version is installed than the lock says, or none.
    """
    wanted = locked()
    names: set[str] = {canonicalize_name(each.name) for each in wanted}
    return sorted([*(_installed(each, names) for each in wanted), UPLOT], key=lambda each: each.name)


def _installed(wanted: Requirement, names: set[str]) -> Component:
    found = distribution(wanted.name)
    if not wanted.specifier.contains(found.version, prereleases=True):
        raise LookupError(f"installed is {wanted.name} {found.version}, {LOCK} says {wanted.specifier}: make setup")
    texts = tuple(Path(str(file.locate())) for file in found.files or [] if _is_licence(file.as_posix()))
    return Component(
        canonicalize_name(wanted.name),
        found.version,
        "pypi",
        stated_licence(HeaderParser().parsestr(found.read_text("METADATA") or "")),
        texts,
        frozenset(names.intersection(_needed(found))),
    )


def _is_licence(file: str) -> bool:
    return ".dist-info/" in file and _LICENCE_FILE.search(file) is not None


def _needed(of: Distribution) -> Iterator[str]:
    for each in map(Requirement, of.requires or []):
        if each.marker is None or each.marker.evaluate({"extra": ""}):
            yield canonicalize_name(each.name)
