"""A process that opens a ledger and says that it did, to be killed while it brings an older one to the present form.

`python upgrade_writer.py PATH`.
"""

import asyncio
import sys
from pathlib import Path

from gateway.ledger.store import open_ledger
from gateway.runtime.clock import SystemClock


async def main(path: Path) -> None:
    """Opens the ledger of the tests at `path`, and closes it."""
    async with open_ledger(path, "gw-01", SystemClock().now) as ledger:
        sys.stdout.write(f"{ledger.head.seq}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
