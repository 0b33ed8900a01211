"""The image of release/Containerfile: built on a clean Debian, run by nobody's root on a disk that nobody writes.

Needs root, podman and buildah, and the distribution's archive for the base.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from release import deb
from tests.scorecard.boxes import ROOT, archive
from tests.scorecard.one_unit import CONTAINER_GATEWAY, SCENARIO
from tests.support.tools import tool

UID = 8970  # of release/Containerfile


def test_the_image_runs_polls_and_is_asked_for_its_health(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "namespaces are made by root alone"
    assert all(map(tool, ("podman", "buildah")))
    for folder in ("dist", "etc", "volume"):
        (tmp_path / folder).mkdir()
    os.chown(tmp_path / "volume", UID, UID)
    deb.make(platform.machine(), tmp_path / "dist", compression="zstd")
    shutil.copy(archive("trixie", "minbase", "ca-certificates"), tmp_path / "base.tar")
    (tmp_path / "units.toml").write_text(SCENARIO)
    (tmp_path / "etc/gateway.toml").write_text(CONTAINER_GATEWAY)
    command = ["unshare", "--mount", "--cgroup", ROOT / "tests/scorecard/container.sh", tmp_path, ROOT]
    done = subprocess.run(
        [*command, Path(sys.executable).with_name("capgate")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    for said in ("its health check passes", f"uid={UID}(capgate)", "ended with 0", "\nsound\n", "all is done"):
        assert said in done.stdout, said
