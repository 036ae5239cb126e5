"""Ten users count on real servers, whose processes are forked after the application was made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import pytest

from tests.conftest import SECRET
from tests.forks import application
from tests.forks.load import REQUESTS, USERS, Load
from tests.servers.wsgi import UWSGI, Gunicorn, WSGIServer

pytestmark = [pytest.mark.servers, pytest.mark.exhaustive]

STORES = ("sqlite", "postgresql", "mariadb", "memcached", "cached_sql")


class Setup(NamedTuple):
    """How a server is started; ``used``: whether the application uses its store already when it is made.

    Where it does not, it makes its tables all the same. What each worker makes for itself is never used before: there
    nothing is inherited.
    """

    kind: type[WSGIServer]
    used: bool
    options: dict[str, Any] = {}


SETUPS = {
    "uwsgi": Setup(UWSGI, False),
    "uwsgi used": Setup(UWSGI, True),
    **{
        f"{worker} preload used": Setup(Gunicorn, True, {"worker": worker, "preload": True})
        for worker in ("sync", "gthread", "gevent")
    },
    # gevent patches after the application was made.
    "gevent preload": Setup(Gunicorn, False, {"worker": "gevent", "preload": True}),
    **{
        worker: Setup(Gunicorn, False, {"worker": worker, "preload": False}) for worker in ("sync", "gthread", "gevent")
    },
}

_tables = count()


@pytest.fixture(scope="module")
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The settings for each store but the name of its table."""
    folder = tmp_path_factory.mktemp("sqlite")
    urls = {"sqlite": f"sqlite:///{folder}/s.sqlite"}
    urls |= {name: request.getfixturevalue(name).url for name in ("postgresql", "mariadb")}
    sql = {name: {"store": "sql", "sql.url": url, "sql.create_table": "true"} for name, url in urls.items()}
    memcached = {"memcached.servers": request.getfixturevalue("memcached").address}
    return {
        **sql,
        "memcached": {"store": "memcached", **memcached},
        "cached_sql": {**sql["postgresql"], "store": "cached_sql", "memcached.prefix": "cached:", **memcached},
    }


@pytest.fixture(scope="module", params=SETUPS)
def server(
    request: pytest.FixtureRequest, stores: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WSGIServer]:
    setup = SETUPS[request.param]
    settings = {
        store: {f"sessionkit.{name}": value for name, value in own.items()}
        | {"sessionkit.secret": SECRET, "sessionkit.sql.table": f"forks_{next(_tables)}"}
        for store, own in stores.items()
    }
    environment = {application.SETTINGS: json.dumps(settings), **({application.USED: "1"} if setup.used else {})}
    server = setup.kind(application.NAME, environment, tmp_path_factory.mktemp("server"), **setup.options)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("store", STORES)
def test_ten_users_count_each_for_themselves(server: WSGIServer, store: str) -> None:
    load = Load(server, store)
    load.run()
    outcome = f"{load.report()}\n{server.log()[-2000:]}"
    assert not load.of_others, outcome
    assert not load.failed, outcome
    assert not load.lost, outcome
    assert sum(load.counted.values()) == len(USERS) * REQUESTS
    assert len(load.processes) > 1, f"one process answered everything\n{outcome}"
