"""The last configuration that was good: all its files, kept in the state directory, to run when the disk's is refused.

A spoilt file must not end the gateway at its next start, whatever crashed it. The texts are kept as they were read, by
their paths; of secrets only that they could be used. What ships with the program is read from the program.
"""

import logging
import os
import re
from contextlib import suppress
from pathlib import Path

import msgspec

from drivers.toml.document import TomlProblems
from drivers.toml.files import Files, reading_from
from drivers.toml.text import read_regular
from gateway.config.load import Examined, GatewayConfig, examine
from gateway.config.loaners import Loaner
from gateway.runtime.replace import replace_file
from gateway.runtime.shipped import shipped_dir

_log = logging.getLogger("capgate")

LAST_GOOD_FILE = "last-good-configuration.json"
_STATE_DIR = re.compile(r"""^\s*state_dir\s*=\s*["']([^"'\n]+)["']""", re.MULTILINE)


class _Kept(msgspec.Struct, frozen=True):
    """The content of the file."""

    file: str  # gateway.toml
    texts: dict[str, str] = {}
    directories: dict[str, tuple[str, ...]] = {}  # with the TOML files that they had
    usable: tuple[str, ...] = ()
    loaners: tuple[Loaner, ...] = ()


class _Noting(Files):
    """The disk's files, all of which are noted."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.directories: dict[str, tuple[str, ...]] = {}
        self.named: set[str] = set()

    def read(self, path: Path) -> bytes:
        content = super().read(path)
        if not path.is_relative_to(shipped_dir()):
            self.texts[str(path)] = content.decode(errors="replace")
        return content

    def toml_in(self, directory: Path) -> list[Path]:
        found = super().toml_in(directory)
        if directory != shipped_dir() / "profiles":
            self.directories[str(directory)] = tuple(map(str, found))
        return found

    def usable(self, path: Path) -> None:
        self.named.add(str(path))


class _Keeping(Files):
    """The files as they were kept, before those of the disk."""

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept

    def read(self, path: Path) -> bytes:
        text = self._kept.texts.get(str(path))
        return super().read(path) if text is None else text.encode()

    def toml_in(self, directory: Path) -> list[Path]:
        found = self._kept.directories.get(str(directory))
        return super().toml_in(directory) if found is None else [Path(each) for each in found]

    def is_directory(self, path: Path) -> bool:
        return str(path) in self._kept.directories or super().is_directory(path)

    def vouches_for(self, path: Path) -> bool:
        return str(path) in self._kept.usable


def load_or_last_good(path: Path) -> GatewayConfig:
    """The configuration at `path`, which is kept; if it is refused the last good one, which has why in `refused`.

    Raises TomlProblems where there is none.
    """
    noting = _Noting()
    with reading_from(noting):
        examined = examine(path)
    if examined.config is not None:
        _keep(examined.config, noting)
        return examined.config
    if (before := last_good(path)) is None:
        raise TomlProblems(examined.errors)
    return _refused(before, examined)


def last_good(path: Path) -> GatewayConfig | None:
    """The last configuration at `path`, an absolute path, that was good and is kept; None where there is none."""
    if (kept := _find(path)) is None:
        return None
    with reading_from(_Keeping(kept)):
        return examine(path, kept.loaners).config


def reloaded(running: GatewayConfig) -> GatewayConfig:
    """The configuration read again; the running one if the file is refused, with why."""
    noting = _Noting()
    with reading_from(noting):
        examined = examine(running.file)
    if examined.config is None:
        return _refused(running, examined)
    _keep(examined.config, noting)
    return examined.config


def _refused(running: GatewayConfig, examined: Examined) -> GatewayConfig:
    for problem in examined.errors:
        _log.error("the configuration is refused, the last good one runs: %s", problem)
    return msgspec.structs.replace(running, refused=examined.errors)


def _keep(config: GatewayConfig, noting: _Noting) -> None:
    """Replace the file whole, if it says anything else; without it the gateway runs all the same."""
    kept = _Kept(str(config.file), noting.texts, noting.directories, tuple(sorted(noting.named)), config.loaners)
    content, path = msgspec.json.encode(kept), config.state_dir / LAST_GOOD_FILE
    try:
        if path.exists() and path.read_bytes() == content:
            return
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        _log.warning("the configuration is not kept", extra={"reason": str(error)})


def _find(path: Path) -> _Kept | None:
    """What was kept of the configuration at `path`, in the state directory that it names or systemd gives."""
    named: list[str] = []
    with suppress(OSError):
        named += _STATE_DIR.findall(read_regular(path).decode(errors="replace"))
    named += filter(None, os.environ.get("STATE_DIRECTORY", "").split(":"))
    for directory in named:
        with suppress(OSError, msgspec.MsgspecError):
            kept = msgspec.json.decode((path.parent / directory / LAST_GOOD_FILE).read_bytes(), type=_Kept)
            if kept.file == str(path):
                return kept
    return None
