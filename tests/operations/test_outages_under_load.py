"""What happens to a database on an ordinary day, while visitors go on: nothing that was answered 200 is missing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.operations.databases import Database, taken
from tests.operations.site import SECONDS, VISITORS, Counting, Site
from tests.servers.proxy import Proxy

# PyMySQL leaves its socket to the garbage collector when it cannot connect.
pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TOO_MANY = re.compile("connection slots|too many", re.IGNORECASE)

OpenSite = Callable[..., Site]


@pytest.fixture
def site(database: Database, open_site: OpenSite) -> Site:
    return open_site(database.url, create_table="true")


def test_connections_that_are_ended(database: Database, site: Site) -> None:
    with Counting(site) as counting:
        for _ in range(5):
            database.end_all()
            counting.go_on()
    print(counting)
    assert counting.missing(site) == 0
    assert set(counting.answers) <= {200, 503}


def test_a_server_that_is_restarted(database: Database, site: Site) -> None:
    with Counting(site) as counting:
        database.server.stop()
        database.server.start()
        counting.go_on()
    print(counting)
    assert counting.missing(site) == 0
    assert set(counting.answers) <= {200, 503}


def test_a_server_whose_connections_others_have_taken(database: Database, site: Site) -> None:
    deadline = time.monotonic() + SECONDS
    with Counting(site) as counting:
        with ExitStack() as stack:
            while not any(TOO_MANY.search(text) for text in list(counting.reasons)):
                assert time.monotonic() < deadline
                # Ours open new ones, of which others may take some.
                stack.enter_context(taken(database))
                database.end_all()
        counting.go_on()
    print(counting)
    assert counting.missing(site) == 0
    assert set(counting.answers) <= {200, 503}


@pytest.fixture
def far_away(database: Database) -> Iterator[Proxy]:
    proxy = Proxy(database.port)
    yield proxy
    proxy.close()


def test_a_server_that_is_far_away(database: Database, far_away: Proxy, site: Site, open_site: OpenSite) -> None:
    far = open_site(database.url.replace(str(database.port), str(far_away.port)), timeout="5")
    cookies = [site.visitor() for _ in range(VISITORS)]
    far_away.delay = 0.2
    with Counting(far, cookies) as counting:
        counting.go_on()
    print(counting)
    assert counting.missing(site) == 0
    # Two requests on one session all the time: each may have to try again until its time is over.
    assert all("was changed by other requests again and again" in text for text in counting.reasons)
