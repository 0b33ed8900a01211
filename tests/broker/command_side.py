"""A small configuration, and commands as people type them."""

import asyncio
import sys
from pathlib import Path

CONFIG = """
[gateway]
site = "ward"
id = "gw-01"
mode = "test"
state_dir = "state"

[mqtt]
url = "mqtt://127.0.0.1:{broker}"

[health]
listen = "127.0.0.1:0"

[receipts]
expected = "json"

[[line]]
id = "net-1"
url = "socket://127.0.0.1:{unit}"

[[line.unit]]
id = "cap-01"
profile = "reference-cap-unit"
unit_id = 1
simulated = true
"""


async def capgate(*arguments: str | Path) -> tuple[int, str]:
    """Exit code, and all that was said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()
