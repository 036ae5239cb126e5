"""A site with express-session, as npm has it today, on a store that the test started."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.servers.process import Server, free_port, program

SCRIPT = Path(__file__).with_name("express_site.js")
PACKAGES = ["express", "express-session", "passport", "connect-redis", "redis", "connect-pg-simple"]
PACKAGES += ["express-mysql-session"]
SECRET = "the-secret-of-the-old-site"
OPTIONS = {"secret": SECRET}


@functools.cache
def installed() -> Path | str:
    """The folder with express and its libraries, once for a run of the tests; or why there is none."""
    folder = Path(tempfile.mkdtemp(prefix="express-"))
    command = [program("npm", "npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    command += ["--fetch-retries=1", "--fetch-timeout=20000", "--prefix", str(folder), *PACKAGES]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "npm took more than a minute"
    if done.returncode != 0:
        return next(iter(done.stderr.strip().splitlines()), "npm failed")
    shutil.copy(SCRIPT, folder)
    return folder


def folder_of_express() -> Path:
    """Skips the test where npm cannot install."""
    found = installed()
    if isinstance(found, str):
        pytest.skip(f"express cannot be installed: {found}")
    return found


def versions() -> dict[str, str]:
    modules = folder_of_express() / "node_modules"
    return {name: json.loads((modules / name / "package.json").read_text())["version"] for name in PACKAGES}


class ExpressSite(Server):
    """``store``: redis, postgresql or mariadb, which is on ``store_port``."""

    def __init__(self, store: str, store_port: int, log_folder: Path, **options: Any) -> None:
        folder = folder_of_express()
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        environment = {"STORE": store, "STORE_PORT": str(store_port), "PORT": str(port)}
        environment["OPTIONS"] = json.dumps({**OPTIONS, **options})
        command = [program("node", "nodejs"), str(folder / SCRIPT.name)]
        super().__init__(command, lambda: self.get("/ready"), log_folder / "express.log", environment)

    def visit(self, *paths: str) -> str:
        """The cookie of a browser that has asked for these pages."""
        cookie = ""
        for path in paths:
            _, cookie = self._ask(path, cookie)
        return cookie

    def get(self, path: str, cookie: str = "") -> Any:
        return self._ask(path, cookie)[0]

    def _ask(self, path: str, cookie: str) -> tuple[Any, str]:
        request = Request(self.url + path, headers={"Cookie": f"connect.sid={cookie}"} if cookie else {})
        with urlopen(request, timeout=20) as response:
            sent = response.headers.get("Set-Cookie")
            return json.load(response), sent.partition("=")[2].partition(";")[0] if sent else cookie
