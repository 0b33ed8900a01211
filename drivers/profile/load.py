"""Loads device profiles: a checked, frozen DeviceProfile, or every error at once. Reference: docs/devices/README.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from drivers.dialects.registry import DialectName
from drivers.profile.build import build
from drivers.profile.check import ABSENT, misfits
from drivers.profile.dialect_shapes import SHAPES
from drivers.profile.types import DeviceProfile as DeviceProfile
from drivers.toml.document import Document, Problem, TomlProblems, each_once, path_text, read_toml, with_value
from drivers.toml.files import files
from drivers.toml.nearest import did_you_mean

OVERRIDABLE = ("dialect", "link.", "timing.")

# Units whose every read also operates them, so that no profile exists, by likely id (ThermoCube 200 manual, p. 23).
LEFT_OUT = {
    "thermocube": "left out on purpose: every command to a ThermoCube, those that read as well, also switches it on or "
    "off and takes it from its panel; docs/devices says more"
}


def load_profile(path: Path, overrides: Mapping[str, object] | None = None) -> DeviceProfile:
    """The profile in a file, with the site's `overrides` of dialect, link and timing by dotted key.

    Raises TomlProblems with every error of the file and of the overrides.
    """
    return _checked(read_toml(path), overrides or {})


def load_profiles(directories: Sequence[Path]) -> dict[str, DeviceProfile]:
    """Every profile in `directories` by its id; of equal ids the later directory's counts. Raises TomlProblems."""
    return {profile.id: profile for profile in map(load_profile, profile_files(directories))}


def find_profile(
    profile_id: str, directories: Sequence[Path], overrides: Mapping[str, object] | None = None
) -> DeviceProfile:
    """The profile with that id, from the later directory if several have it.

    The other files need only be TOML. Raises TomlProblems; where there is no such id, with the ids that there are.
    """
    documents = [read_toml(path) for path in profile_files(directories)]
    by_id = {_id_of(document): document for document in documents}
    if profile_id in by_id:
        return _checked(by_id[profile_id], overrides or {})
    if why := next((why for name, why in LEFT_OUT.items() if name in profile_id.lower().replace("-", "")), None):
        raise TomlProblems((Problem(profile_id, 0, "", why),))
    if nameless := [document for document in documents if _id_of(document) is None]:
        _checked(nameless[0], {})  # raises: it may be the one that is asked for
    known = sorted(filter(None, by_id))
    accepted = ", ".join(known) or f"none in {', '.join(map(str, directories))}"
    message = f"no such profile, accepted: {accepted}{did_you_mean(profile_id, known)}"
    raise TomlProblems((Problem(profile_id, 0, "", message),))


def profile_files(directories: Sequence[Path]) -> list[Path]:
    """The profile files, directory by directory, sorted within each."""
    return [path for directory in directories for path in files().toml_in(directory)]


def _checked(document: Document, overrides: Mapping[str, object]) -> DeviceProfile:
    dialect = document.data.get("dialect")
    model = SHAPES.get(dialect) if isinstance(dialect, str) else None
    if model is None or not isinstance(dialect, str):
        meant = did_you_mean(dialect, SHAPES) if isinstance(dialect, str) else ""
        raise TomlProblems((document.problem(("dialect",), f"accepted: {', '.join(SHAPES)}{meant}"),))
    family = [name for name, shape in SHAPES.items() if shape is model]
    refused = tuple(_refused(document, overrides, family))
    if refused:
        raise TomlProblems(refused)
    try:
        loaded = _overridden(document, overrides).fit(model)
        problems = [loaded.problem(path, message) for path, message in misfits(loaded.model, DialectName(dialect))]
        if problems:
            raise TomlProblems(each_once(problems, _mistake))
        return build(loaded.model)
    except TomlProblems as error:
        cause = _cause(document, overrides) if overrides else None
        raise TomlProblems(tuple(_as_override(each, overrides, cause) for each in error.problems)) from None


def _mistake(problem: Problem) -> str:
    """What is one mistake: a name that nothing has, or what no golden poll can say, wherever it stands."""
    is_repeated = problem.message.startswith(ABSENT) or problem.path.startswith("golden")
    return problem.message if is_repeated else str(problem)


def _cause(document: Document, overrides: Mapping[str, object]) -> str | None:
    """The override without which the profile is sound, if there is such a one."""
    for key in overrides:
        try:
            _checked(document, {name: value for name, value in overrides.items() if name != key})
        except TomlProblems:
            continue
        return key
    return None


def _refused(document: Document, overrides: Mapping[str, object], family: list[str]) -> list[Problem]:
    problems: list[Problem] = []
    for key, value in overrides.items():
        if key == "dialect":
            if value not in family:
                problems.append(Problem(document.file, 0, "override dialect", f"accepted: {', '.join(family)}"))
        elif not key.startswith(OVERRIDABLE[1:]):
            message = "not for a site to change, accepted: dialect, link.serial.*, link.address.*, timing.*"
            problems.append(Problem(document.file, 0, f"override {key}", message))
    return problems


def _overridden(document: Document, overrides: Mapping[str, object]) -> Document:
    data = document.data
    for key, value in overrides.items():
        data = with_value(data, tuple(key.split(".")), value)
    return Document(document.file, data, document.lines)


def _as_override(problem: Problem, overrides: Mapping[str, object], cause: str | None) -> Problem:
    """A problem of an overridden value, or that the override `cause` makes, without a line of the file."""
    if problem.path in {path_text(tuple(key.split("."))) for key in overrides}:
        return Problem(problem.file, 0, f"override {problem.path}", problem.message)
    if cause is not None:
        return Problem(problem.file, 0, f"override {cause}", f"does not fit {problem.path}: {problem.message}")
    return problem


def _id_of(document: Document) -> str | None:
    match document.data.get("identity"):
        case {"id": str(profile_id)}:
            return profile_id
        case _:
            return None
