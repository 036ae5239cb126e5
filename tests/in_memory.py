"""Run a command with its temporary files in memory, if there is room: tests make thousands of small databases.

A disk would have to write each of them, which takes longer than the tests themselves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

MEMORY = Path("/dev/shm")
# What all tests need at the same time is less than half of it.
ROOM = 2 * 1024**3


def main(command: Sequence[str]) -> int:
    if "TMPDIR" in os.environ or not has_room(MEMORY):
        return subprocess.call(command)
    with tempfile.TemporaryDirectory(prefix="sessionkit-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        # PostgreSQL is another user, and has a folder of its own in this one.
        os.chmod(folder, 0o755)
        return subprocess.call(command, env={**os.environ, "TMPDIR": folder})


def has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= ROOM


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
