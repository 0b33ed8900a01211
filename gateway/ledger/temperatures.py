"""The history of the units: temperatures and read errors, in a bounded SQLite file beside the ledger, no evidence.

It shows the biomedical engineer how a unit has cooled over weeks, and which line or unit answers badly. It may lose its
last minute in a power failure (synchronous=NORMAL), its oldest days are dropped, and its failures affect nothing else.
"""

import sqlite3
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

HISTORY_FILE = "temperatures.db"
FORM = 1  # schema version, in user_version
READ = "read"  # the kind of a poll with a reading
WHOLE_UNIT = 0  # the cap number of points that belong to no cap

_TABLES = (
    """CREATE TABLE sample (
        unit TEXT NOT NULL, at_us INTEGER NOT NULL, cap INTEGER NOT NULL, point TEXT NOT NULL, value REAL,
        ucum TEXT NOT NULL, quality TEXT NOT NULL, reason TEXT NOT NULL, run_state TEXT NOT NULL,
        PRIMARY KEY (unit, at_us, cap, point)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX sample_by_age ON sample (at_us)",
    """CREATE TABLE calibration (
        unit TEXT NOT NULL, point TEXT NOT NULL, since_us INTEGER NOT NULL, offset_c REAL NOT NULL,
        calibrated_on TEXT NOT NULL, PRIMARY KEY (unit, point, since_us)) STRICT, WITHOUT ROWID""",
)
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)  # the last: without its tables
_LATEST = "SELECT unit, point, max(since_us), offset_c, calibrated_on FROM calibration GROUP BY unit, point"
# Made where it is missing, also in a file of before: what such a version reads and writes stays as it is.
_COUNTS = """CREATE TABLE IF NOT EXISTS poll_count (
    day TEXT NOT NULL, line TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (day, line, unit, kind)) STRICT, WITHOUT ROWID"""


class HistoryUnavailable(Exception):
    """The file cannot be read or written; the text says why."""


class HistoryDamaged(HistoryUnavailable):
    """The file is no history, or not any more."""


class Sample(msgspec.Struct, frozen=True):
    """The measurement of one point of a unit at an instant."""

    unit: str
    at_us: int  # UTC
    cap: int  # WHOLE_UNIT where the point belongs to no cap
    point: str
    value: float | None  # with the site's offset added; None: see `reason`
    ucum: str
    quality: str
    reason: str
    run_state: str  # of the cap; "" for the whole unit


class Calibration(msgspec.Struct, frozen=True):
    """A site's offset of one point, in use since an instant. `calibrated_on` is YYYY-MM-DD, "" for an offset ended."""

    unit: str
    point: str
    since_us: int
    offset_c: float
    calibrated_on: str


class PollCount(msgspec.Struct, frozen=True):
    """How often something happened on a day (YYYY-MM-DD, local): polls of a unit by result, or events of a line."""

    day: str
    line: str
    unit: str  # "": an event of the line
    kind: str  # of a unit READ or a FaultKind
    count: int


class Row(msgspec.Struct, frozen=True):
    """A sample with the offset that was in use; 0 and "" without one."""

    sample: Sample
    offset_c: float
    calibrated_on: str


class TemperatureFile:
    """The file, open to be written by one thread. Every method raises HistoryUnavailable."""

    def __init__(self, path: Path) -> None:
        with _translated(path):
            path.touch(mode=0o600)
            self._path = path
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = wal").fetchall()
            self._connection.execute("PRAGMA synchronous = NORMAL")
            (form,) = self._connection.execute("PRAGMA user_version").fetchone()
            if form == 0:
                self._transaction([(statement, ()) for statement in (*_TABLES, f"PRAGMA user_version = {FORM}")])
            elif form != FORM:
                raise HistoryUnavailable(f"{path} has form {form}, this version writes {FORM}")
            self._transaction([(_COUNTS, ())])

    def append(self, samples: Iterable[Sample]) -> None:
        """Add samples; one that exists already is not changed."""
        statement = "INSERT OR IGNORE INTO sample VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        with _translated(self._path):
            self._transaction([(statement, msgspec.structs.astuple(sample)) for sample in samples])

    def calibrate(self, in_use: Collection[Calibration], now_us: int) -> None:
        """Record the offsets in use from now on that differ from the last recorded ones."""
        with _translated(self._path):
            noted = {(each.unit, each.point): each for each in map(_calibration, self._connection.execute(_LATEST))}
            ended = [
                msgspec.structs.replace(each, since_us=now_us, offset_c=0.0, calibrated_on="")
                for each in noted.values()
                if each.calibrated_on and (each.unit, each.point) not in {(now.unit, now.point) for now in in_use}
            ]
            changed = [each for each in in_use if not _same(noted.get((each.unit, each.point)), each)]
            statement = "INSERT INTO calibration VALUES (?, ?, ?, ?, ?)"
            self._transaction([(statement, msgspec.structs.astuple(each)) for each in (*ended, *changed)])

    def count(self, counts: Iterable[PollCount]) -> None:
        """Add to what was counted before."""
        statement = """
            INSERT INTO poll_count VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (day, line, unit, kind) DO UPDATE SET count = count + excluded.count"""
        with _translated(self._path):
            self._transaction([(statement, msgspec.structs.astuple(each)) for each in counts])

    def forget(self, before_us: int, before_day: str) -> None:
        """Delete samples older than `before_us`, and counts of days before `before_day`."""
        with _translated(self._path):
            self._transaction(
                [
                    ("DELETE FROM sample WHERE at_us < ?", (before_us,)),
                    ("DELETE FROM poll_count WHERE day < ?", (before_day,)),
                ]
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _transaction(self, statements: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in statements:
                self._connection.execute(statement, values)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def units_in(path: Path) -> list[str]:
    """The units that the file has samples of. Raises HistoryUnavailable."""
    with _translated(path), closing(_open_readonly(path)) as connection:
        return [unit for (unit,) in connection.execute("SELECT DISTINCT unit FROM sample ORDER BY unit")]


def read_counts(path: Path) -> list[PollCount]:
    """All that was counted, by day; nothing in a file of before. Raises HistoryUnavailable."""
    there = "SELECT 1 FROM sqlite_schema WHERE name = 'poll_count'"
    with _translated(path), closing(_open_readonly(path)) as connection:
        if connection.execute(there).fetchone() is None:
            return []
        return [
            PollCount(*row) for row in connection.execute("SELECT * FROM poll_count ORDER BY day, line, unit, kind")
        ]


def calibrations_in_use(path: Path) -> list[Calibration]:
    """The offsets that were in use last, by unit and point. Raises HistoryUnavailable."""
    with _translated(path), closing(_open_readonly(path)) as connection:
        latest = map(_calibration, connection.execute(_LATEST))
        return [each for each in latest if each.calibrated_on]


def read_history(path: Path, unit: str, since_us: int, until_us: int) -> Iterator[Row]:
    """A unit's samples from `since_us` to before `until_us`, oldest first. Raises HistoryUnavailable."""
    query = """
        SELECT sample.*, coalesce(offset_c, 0.0), coalesce(calibrated_on, '')
          FROM sample LEFT JOIN calibration AS used
            ON used.unit = sample.unit AND used.point = sample.point
           AND used.since_us = (SELECT max(since_us) FROM calibration AS each
                                 WHERE each.unit = used.unit AND each.point = used.point
                                   AND each.since_us <= sample.at_us)
         WHERE sample.unit = ? AND at_us >= ? AND at_us < ? ORDER BY at_us, cap, sample.point"""
    with _translated(path), closing(_open_readonly(path)) as connection:
        for values in connection.execute(query, (unit, since_us, until_us)):
            yield Row(Sample(*values[:9]), *values[9:])


def _calibration(row: tuple[str, str, int, float, str]) -> Calibration:
    return Calibration(*row)


def _same(noted: Calibration | None, now: Calibration) -> bool:
    return noted is not None and (noted.offset_c, noted.calibrated_on) == (now.offset_c, now.calibrated_on)


def _open_readonly(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


@contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        is_damaged = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in _DAMAGE or path.is_dir()
        raise (HistoryDamaged if is_damaged else HistoryUnavailable)(f"{path}: {error}") from error
