from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.scripts.test_psessions import place, run
from tests.sealing.site import Site
from tests.stores.conftest import mariadb, memcached, postgresql, redis

__all__ = ["mariadb", "memcached", "place", "postgresql", "redis", "run"]


@pytest.fixture
def make_site(request: pytest.FixtureRequest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A site whose store is ``sql``, ``joined`` or ``cached_sql``."""
    made: list[Site] = []

    def make(kind: str = "sql", **settings: Any) -> Site:
        address = request.getfixturevalue("memcached").address if kind == "cached_sql" else None
        made.append(Site(kind, tmp_path / "sessions.sqlite", address, monkeypatch, settings))
        return made[-1]

    yield make
    for site in made:
        site.close()


Make = Callable[..., Site]
