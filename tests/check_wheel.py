"""Fails unless the wheel in a folder holds the package alone, with its type marker."""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

NEEDED = ("py.typed", "stores/sql.py", "debugtoolbar/templates/session.dbtmako")


def main(folder: str) -> int:
    (wheel,) = Path(folder).glob("pyramid_sessionkit-*.whl")
    names = ZipFile(wheel).namelist()
    foreign = [name for name in names if not name.startswith(("pyramid_sessionkit/", "pyramid_sessionkit-"))]
    missing = {f"pyramid_sessionkit/{name}" for name in NEEDED} - set(names)
    if foreign or missing:
        print(f"{wheel.name}: should not be in it: {foreign}; is missing: {sorted(missing)}")
    return int(bool(foreign or missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
