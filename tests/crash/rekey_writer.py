"""A process that opens a ledger with a key, to be killed while it brings the file to that key.

`python rekey_writer.py PATH KEY_FILE`.
"""

import asyncio
import sys
from pathlib import Path

from gateway.ledger.key_ring import read_ring
from gateway.ledger.store import open_ledger
from gateway.runtime.clock import SystemClock


async def main(path: Path, key_file: Path) -> None:
    """Opens the ledger of the tests at `path`, and closes it."""
    async with open_ledger(path, "gw-01", SystemClock().now, ring=read_ring(key_file)):
        pass


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
