"""The how-tos for installing, upgrading, rolling back and restoring, performed on a clean Debian without a network.

Every command is one of the pages; the test only edits what the pages tell their reader to edit, and says in CHANGES
which names of theirs are others here.
"""

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from release import deb, wheelhouse
from release.wheels import Target
from tests.scorecard.boxes import ROOT, Box, booted, commands
from tests.scorecard.one_unit import LINE, SCENARIO, UNIT

HOW_TO = ROOT / "docs" / "how-to"
INSTALL, BROKER, UPGRADE, RESTORE = (
    HOW_TO / name for name in ("install.md", "secure-the-broker.md", "upgrade.md", "restore.md")
)
PYTHON = {"bookworm": "3.11", "trixie": "3.13"}
LATER = "99.0"
EDITOR = f"""#!/usr/bin/python3
import pathlib, sys
file = pathlib.Path(sys.argv[-1])
text = file.read_text().partition("[[line]]")[0].replace('mode = "live"', 'mode = "test"').replace("cap-07", "cap-01")
file.write_text(text + '''{LINE}''')
"""
MIGRATION = '''

@MIGRATIONS()
def m9999_of_a_later_version(db: Database) -> None:
    """A table."""
    db.conn.execute("CREATE TABLE later (seq INTEGER) STRICT")
'''
SUBSCRIBED = (
    "mosquitto_sub --cafile ca.crt --cert gw-01-commands.crt --key gw-01-commands.key -h broker.north.example -p 8883"
    " -t 'capgate-test/v1/north/dev/gw-01/unit/+/cap/+/temperature' -C 1 -W 60"
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package for this machine, with its libraries."""
    return deb.make(platform.machine(), tmp_path_factory.mktemp("package"), compression="zstd")


@pytest.fixture(scope="module")
def later(package: Path) -> Path:
    """A later version of it, which brings the ledger to a form that the present one does not know."""
    tree, made = package.with_name("later"), package.with_name("later.deb")
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    version = version_of(package)
    for file in [tree / "DEBIAN/control", *tree.rglob(f"capgate-{version}.dist-info/METADATA")]:
        once = file.read_text().replace(f"\nVersion: {version}\n", f"\nVersion: {LATER}\n")
        file.write_text(once)
    for file in tree.rglob("gateway/ledger/schema.py"):
        if MIGRATION not in file.read_text():  # the Pythons share it
            file.write_text(file.read_text() + MIGRATION)
    deb.build(tree, made, compression="none")
    return made


def version_of(package: Path) -> str:
    return package.name.split("_")[1]


class Reader:
    """Who reads the pages and does what they say, on a box."""

    def __init__(self, box: Box, package: Path) -> None:
        self.box = box
        target = Target(PYTHON[box.release], platform.machine())
        self.changes = {
            "capgate_0.1.0_amd64": package.stem,
            "capgate_0.2.0_amd64": "later",
            "capgate-0.1.0-cp311-x86_64": f"capgate-{version_of(package)}-{target}",
            "/dev/serial/by-path/... --profile julabo-cf": f"{UNIT} --profile reference-cap-unit --unit-id 1",
            "capgate ports\n": "capgate ports || test $? = 1\n",  # a box has none
            "'capgate/v1/": "'capgate-test/v1/",  # the gateway is in mode test
            "capgate health\n": "until capgate health; do sleep 0.5; done\n",  # as a person looks again
        }  # fmt: skip

    def does(self, page: Path, heading: str = "", blocks: slice = slice(None)) -> str:
        """Perform what stands under that heading; what it printed."""
        said = ""
        for block in commands(page, heading)[blocks]:
            for name, here in self.changes.items():
                block = block.replace(name, here)
            said += self.box.run(block).stdout
        return said

    def sessions(self) -> list[str]:
        """The tokens of the sessions that are not done."""
        listed = self.box.run("sudo -u capgate capgate session list --json").stdout
        return [each["token"] for each in json.loads(listed)["sessions"]]

    def ledger(self, question: str) -> str:
        """What SQLite says of the ledger."""
        asked = f"""sudo python3 - <<'END'
import sqlite3
print(sqlite3.connect("/var/lib/capgate/ledger.db").execute({question!r}).fetchone()[0])
END"""
        return self.box.run(asked).stdout.strip()


@pytest.fixture(params=PYTHON)
def reader(request: pytest.FixtureRequest, tmp_path: Path, package: Path, later: Path) -> Generator[Reader]:
    """On a box that has the broker, a unit that cools in a minute, and in its home what the pages say is needed."""
    with booted(str(request.param), tmp_path) as box:
        for file in (package, later, *(ROOT / "config/deploy").glob("mosquitto.*")):
            shutil.copy(file, box.home)
        (box.home / "units.toml").write_text(SCENARIO)
        editor = box.home / "editor"
        editor.write_text(EDITOR)
        editor.chmod(0o755)
        (box.home / ".profile").write_text("export SUDO_EDITOR=$HOME/editor LANG=C.UTF-8\n")
        reader = Reader(box, package)
        reader.does(BROKER, "1. The files", slice(1))
        reader.does(BROKER, "2. The certificates")
        box.run("cp gw-01.crt client.crt; cp gw-01.key client.key")
        yield reader


def test_the_pages_lead_from_a_clean_box_through_every_change(reader: Reader) -> None:
    box = reader.box
    reader.does(INSTALL, "1. The program")
    serve_unit(box)
    for step in ("2. Secrets", "3. The lines", "4. The configuration", "5. The service"):
        reader.does(INSTALL, step)
    box.run("sudo systemctl reload capgate")
    box.run("until sudo -u capgate capgate session list | grep -q cap-01; do sleep 0.5; done")
    began = reader.sessions()
    assert len(began) == 1
    reader.does(BROKER, "3. Try it")
    first_temperature(box)

    configuration = (box.root / "etc/capgate/gateway.toml").read_text()
    reader.does(UPGRADE, "Upgrade")
    assert LATER in box.run("capgate --version").stdout
    assert reader.ledger("SELECT count(*) FROM later") == "0", "migrated"
    assert reader.sessions() == began
    epoch = reader.ledger("SELECT epoch FROM origin")

    refused = box.run(
        commands(UPGRADE, "Roll back")[0].replace("capgate_0.1.0_amd64", reader.changes["capgate_0.1.0_amd64"]),
        check=False,
    )
    assert refused.returncode != 0, "no gateway answers"
    assert "capgate ledger roll-back" in box.run("sudo journalctl -u capgate -o cat -n 30").stdout
    said = reader.does(UPGRADE, "Roll back", slice(1, None))
    assert "sound" in said
    assert reader.sessions() == began
    assert reader.ledger("SELECT epoch FROM origin") != epoch
    assert (box.root / "etc/capgate/gateway.toml").read_text() == configuration

    reader.does(RESTORE, "Back up")
    box.run("sudo apt purge capgate")
    (copy,) = (box.root / "var/lib/capgate").glob("backup-*.db")
    shutil.copy(copy, box.home / "backup.db")
    assert (box.root / "var/lib/capgate/ledger.db").exists()
    assert (box.root / "etc/capgate/gateway.toml").read_text() == configuration
    shutil.rmtree(box.root / "var/lib/capgate")
    reader.does(INSTALL, "1. The program")
    restored = reader.does(RESTORE, "A box that is lost")
    assert "lost" in restored
    assert "entries_lost" in restored
    assert reader.sessions() == began
    lost = """SELECT count(*) FROM entry WHERE body = '{"lost":true}'"""
    assert int(reader.ledger(lost)) > 0


def serve_unit(box: Box) -> None:
    """The unit of the site answers, simulated."""
    box.run("sudo systemd-run --quiet --unit=units capgate simulate $HOME/units.toml")
    box.run("until (exec 3<>/dev/tcp/127.0.0.1/1502) 2>/dev/null; do sleep 0.1; done")


def first_temperature(box: Box) -> None:
    """Start the service, and say after how long the first temperature is published."""
    said = box.run(f"""
        sudo systemctl stop capgate
        ({SUBSCRIBED} >/dev/null; date +%s.%N) & sleep 1
        date +%s.%N
        sudo systemctl start capgate
        wait
    """).stdout.split()
    sys.stdout.write(f"{box.release}: first temperature {float(said[1]) - float(said[0]):.1f} s after the start\n")


def test_without_the_package_the_wheels_are_enough(reader: Reader, tmp_path: Path) -> None:
    box = reader.box
    shutil.copy(wheelhouse.make(Target(PYTHON[box.release], platform.machine()), tmp_path), box.home)
    reader.does(INSTALL, "Without the package", slice(2))
    serve_unit(box)
    for step in ("2. Secrets", "4. The configuration", "5. The service"):
        reader.does(INSTALL, step)
    installed = box.run("/opt/capgate/bin/pip list").stdout
    assert "tabulate" not in installed
