from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.stores.conftest import postgresql  # noqa: F401
from tests.transactions.application import Site, sqlite_urls

MakeSite = Callable[..., Site]


@pytest.fixture(scope="session")
def _sites() -> Iterator[dict[Any, Site]]:
    sites: dict[Any, Site] = {}
    yield sites
    for site in sites.values():
        site.close()


@pytest.fixture
def make_site(
    _sites: dict[Any, Site], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> MakeSite:
    """An application on ``sqlite`` or ``postgresql``; made once for each combination of settings, clean each time."""

    def make(database: str, mode: str, engine: dict[str, Any] | None = None, **settings: Any) -> Site:
        named = (database, mode, repr(engine), *sorted(settings.items()))
        if named not in _sites:
            if database == "postgresql":
                # What is locked for ever fails a test rather than hanging it.
                urls = (request.getfixturevalue("postgresql").url + "&options=-c%20lock_timeout%3D3s",) * 2
            else:
                urls = sqlite_urls(tmp_path_factory.mktemp("site"), mode)
                engine = {"connect_args": {"timeout": 3}}
            _sites[named] = Site(*urls, mode, engine, **settings)
        site = _sites[named]
        site.clean()
        if engine:
            # Of a test with threads.
            request.addfinalizer(site.disconnect)
        return site

    return make
