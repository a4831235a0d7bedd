"""A process that claims every scan whose id it reads, and prints its successful claims.

`python -m tests.support.claimer TARGET OWNER`, where TARGET is a file or a libSQL URL.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from safeurl.adapters.libsql import LibSQLStore
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.ports.store import Store
from tests.support.builders import NOW

_LEASE = timedelta(minutes=5)
_AT_ONCE = 2
#: Eight processes that want one lock all the time: each waits far longer than a worker would.
_TIMEOUT_S = 200


def open_target(target: str) -> Store:
    """Return the store of a file or URL, with retries for many processes on a small machine."""
    if "://" in target:
        return LibSQLStore(target, retry_for_s=_TIMEOUT_S)
    return SQLiteStore(Path(target), retry_for_s=_TIMEOUT_S)


async def _claim(store: Store, scan_ids: Sequence[str], owner: str) -> list[str]:
    return [
        scan_id
        for scan_id in scan_ids
        if await store.claim(scan_id, owner=owner, now=NOW, lease_until=NOW + _LEASE)
    ]


async def main(target: str, owner: str, scan_ids: Sequence[str]) -> list[str]:
    """Claim from several tasks at once, as a worker process with concurrency would."""
    store = open_target(target)
    try:
        shares = [scan_ids[n::_AT_ONCE] for n in range(_AT_ONCE)]
        won = await asyncio.gather(*(_claim(store, share, owner) for share in shares))
    finally:
        await store.close()
    return [scan_id for share in won for scan_id in share]


if __name__ == "__main__":
    for claimed in asyncio.run(main(sys.argv[1], sys.argv[2], sys.stdin.read().split())):
        print(claimed)  # noqa: T201 - a command prints
