"""Programs that the tests need and pip cannot bring."""

import shutil


def tool(name: str) -> str:
    """The program's path; daemons are not on an ordinary user's PATH. Its absence fails the test."""
    found = shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin:/bin:/sbin")
    assert found, f"{name} is missing: run tests/install-tools"
    return found
