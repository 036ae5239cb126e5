"""How much larger a process becomes by sessions in its memory: ``python -m benchmarks.compare.rss COUNT EXTRA``."""

from __future__ import annotations

import gc
import sys

from benchmarks.compare.filling import fill, open_store


def resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm", encoding="ascii") as numbers:
        return int(numbers.read().split()[1]) * 4096


def main() -> None:
    count, extra = int(sys.argv[1]), int(sys.argv[2])
    store = open_store({"sql": ""}, "memory", "")
    fill(store, 100, extra)
    store.clear()
    gc.collect()
    before = resident()
    fill(store, count, extra)
    gc.collect()
    print((resident() - before) / count)


if __name__ == "__main__":
    main()
