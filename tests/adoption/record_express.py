"""Records what express-session stores, for the tests: ``python -m tests.adoption.record_express``."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.adoption.express_site import SECRET, ExpressSite, versions
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.redis import Redis

RECORDED = Path(__file__).with_name("express_recorded.json")
SERVERS: dict[str, Any] = {"redis": Redis, "postgresql": PostgreSQL, "mariadb": MariaDB}
TABLES = {"postgresql": "session", "mariadb": "sessions"}


def record(store: str, folder: Path) -> dict[str, Any]:
    """The cookie of a visitor who is logged in and has a cart, and what is stored."""
    with ExitStack() as stack:
        server = stack.enter_context(SERVERS[store](folder))
        site = stack.enter_context(ExpressSite(store, server.port, folder, cookie={"maxAge": 86_400_000}))
        cookie = site.visit("/login?id=7", "/put")
        if store == "redis":
            (key,) = server.execute("KEYS", "*")
            return {"cookie": cookie, "key": key, "value": server.execute("GET", key)}
        with sa.create_engine(server.url).connect() as connection:
            row = connection.execute(sa.text(f"SELECT * FROM {TABLES[store]}")).one()._asdict()
        return {
            "cookie": cookie,
            "row": {name: value if isinstance(value, dict) else str(value) for name, value in row.items()},
        }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = {store: record(store, Path(folder)) for store in SERVERS}
    RECORDED.write_text(json.dumps({"versions": versions(), "secret": SECRET, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
