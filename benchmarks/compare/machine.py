"""Where and when a part was measured, and with which versions."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.compare import servers
from benchmarks.compare.catalogue import App

ALWAYS = ("pyramid", "SQLAlchemy", "orjson", "psycopg", "PyMySQL", "pymemcache", "waitress", "gunicorn")


def describe(command: str, apps: Iterable[App], started: Iterable[str]) -> dict[str, object]:
    packages = sorted({*ALWAYS, *(package for app in apps for package in app.packages)}, key=str.lower)
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "command": command,
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: found for name in packages if (found := _version(name))},
        "servers": {name: servers.version(name) for name in started},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"
