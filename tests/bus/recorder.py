"""Everything that our lines write to any transport, recorded where it leaves and judged by rules of the tests' own.

Theory of operation. Bytes leave through `ByteLink.write` and nowhere else. While a recorder is installed every link
is made with that method recorded, and every `Line` tells its links which dialect it speaks. What writes to a link
without being a `Line` is named by its module: only a test may. In other processes `recorded_capgate` does the same:
a script that stands for the installed command and leaves its record in a folder, also when it is killed.
"""

import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from inspect import currentframe
from pathlib import Path
from types import FrameType
from typing import NamedTuple
from unittest.mock import patch

from drivers.dialects.base import Dialect
from drivers.dialects.registry import DialectName, dialect
from drivers.line import Line, LineTiming
from drivers.transport.base import ByteLink, Connector
from tests.bus.reads import is_read

ROOT = Path(__file__).parents[2]
NO_LINE = "-"
OTHER = "other"  # a dialect that no registry knows: a test's own


class Sent(NamedTuple):
    """One write: the dialect of its line, the module that wrote, the bytes."""

    dialect: str
    module: str
    data: bytes

    @property
    def is_allowed(self) -> bool:
        """Whether it is a request that reads, or a test's own bytes on a bare link."""
        if self.dialect == NO_LINE:
            return self.module.startswith("tests.")
        if self.dialect == OTHER:
            return any(is_read(name, self.data) for name in DialectName)
        return is_read(self.dialect, self.data)

    def __str__(self) -> str:
        return f"{self.dialect} {self.module} {self.data.hex()}"


WRITTEN: list[Sent] = []
"""What this process wrote since the test before."""


@contextmanager
def installed(record: Callable[[Sent], None]) -> Generator[None]:
    """Every link that is made inside is recorded."""
    names = {type(dialect(name)): name for name in DialectName}
    spoken_on: weakref.WeakKeyDictionary[ByteLink, str] = weakref.WeakKeyDictionary()
    link_init, line_init = ByteLink.__init__, Line.__init__

    def make_link(link: ByteLink) -> None:
        kept = weakref.ref(link)  # no cycle: a link must go when its owner lets go of it

        def recorded(data: bytes) -> None:
            written = kept()
            if written is not None:
                record(Sent(spoken_on.get(written, NO_LINE), _module(currentframe()), bytes(data)))
                type(written).write(written, data)

        link.write = recorded
        link_init(link)

    def make_line(
        line: Line, name: str, connector: Connector, dialect: Dialect, timing: LineTiming, baud: int | None = None
    ) -> None:
        async def connect() -> ByteLink:
            link = await connector()
            spoken_on[link] = names.get(type(dialect), OTHER)
            return link

        line_init(line, name, connect, dialect, timing, baud)

    with patch.object(ByteLink, "__init__", make_link), patch.object(Line, "__init__", make_line):
        yield


def _module(frame: FrameType | None) -> str:
    caller = frame.f_back if frame else None
    return str(caller.f_globals.get("__name__")) if caller else ""


SCRIPT = """#!{python}
import sys
sys.path.insert(0, {root!r})
from tests.bus.recorder import recorded_into
from gateway.cli import main
with recorded_into({folder!r}):
    main(prog_name="capgate")
"""


@cache
def folder() -> Path:
    """Where this process's children leave their records."""
    return Path(tempfile.mkdtemp(prefix="capgate-bus-"))


def recorded_capgate() -> Path:
    """The installed command, recorded: a program to run in its place."""
    script = folder() / "capgate"
    if not script.exists():
        script.write_text(SCRIPT.format(python=sys.executable, root=str(ROOT), folder=str(folder())))
        script.chmod(0o755)
    return script


@contextmanager
def recorded_into(into: str) -> Generator[None]:
    """Records this process. Each write is in the file before it is on the line."""
    descriptor = os.open(Path(into) / f"{os.getpid()}.sent", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def record(sent: Sent) -> None:
        os.write(descriptor, f"{sent}\n".encode())

    with installed(record):
        yield


def children_sent() -> list[Sent]:
    """What this process's children wrote since the last look; a record of one that still runs is looked at again."""
    found: list[Sent] = []
    for path in folder().glob("*.sent"):
        done = _READ.get(path, 0)
        with path.open("rb") as file:
            file.seek(done)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        _READ[path] = done + len(whole)
        for line in whole.decode().splitlines():
            spoken, module, data = line.split(" ")
            found.append(Sent(spoken, module, bytes.fromhex(data)))
    return found


_READ: dict[Path, int] = {}


def forget_children() -> None:
    """Removes the records."""
    if folder.cache_info().currsize:
        shutil.rmtree(folder(), ignore_errors=True)
        folder.cache_clear()
        _READ.clear()
