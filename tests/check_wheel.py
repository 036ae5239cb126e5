"""Fails unless the wheel in a folder holds the package alone, with its type marker and its fixtures for pytest."""

from __future__ import annotations

import sys
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

OURS = ("pyramid_sessionkit/", "pyramid_sessionkit-", "pytest_pyramid_sessionkit.py")
NEEDED = ("py.typed", "stores/sql.py", "debugtoolbar/templates/session.dbtmako")


def main(folder: str) -> int:
    (path,) = Path(folder).glob("pyramid_sessionkit-*.whl")
    with ZipFile(path) as wheel:
        names = set(wheel.namelist())
        entry_points = ConfigParser()
        entry_points.read_string(wheel.read(next(name for name in names if name.endswith("entry_points.txt"))).decode())
    foreign = sorted(name for name in names if not name.startswith(OURS))
    # Without the entry point nobody would miss the module: pytest would not find the fixtures.
    plugins = {f"{module}.py" for module in dict(entry_points["pytest11"]).values()}
    missing = {*(f"pyramid_sessionkit/{name}" for name in NEEDED), *plugins} - names
    if foreign or missing:
        print(f"{path.name}: should not be in it: {foreign}; is missing: {sorted(missing)}")
    return int(bool(foreign or missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
