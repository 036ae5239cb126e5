"""Several processes with several threads that change one session at once, on each kind of Redis."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest

from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.state import Presented
from pyramid_sessionkit.stores.redis import from_settings
from tests.conftest import SECRET, SentCookies, cookie_of

pytestmark = pytest.mark.servers

PROCESSES = THREADS = 4
TIMES = 3


@pytest.fixture(params=["redis", "cluster", "servers"])
def url(request: pytest.FixtureRequest) -> str:
    """Of one server, of a Cluster, of a primary that a sentinel names."""
    url: str = request.getfixturevalue(request.param).url
    return url


def open_persistence(url: str) -> Persistence:
    # A time-out that is not met where sixteen threads connect at once on a busy machine.
    settings = parse_settings(
        {"sessionkit.secret": SECRET, "sessionkit.redis.url": url, "sessionkit.redis.timeout": "20"}
    )
    return Persistence(from_settings(settings), settings)


barrier: Barrier
"""In each of the processes: where all threads of all of them meet."""


def take_barrier(given: Barrier) -> None:
    global barrier
    barrier = given


def change_in_threads(url: str, cookie: Presented, process: int) -> None:
    persistence = open_persistence(url)

    def change(number: int) -> None:
        for turn in range(TIMES):
            session = Session(persistence, SentCookies(cookie))
            assert session["made"]
            barrier.wait(30)
            session[f"key {process} {number} {turn}"] = turn
            session["log"].append([process, number, turn])
            session.apply("count", lambda count: count + 1, 0)
            session.save()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(change, range(THREADS)))
    persistence.store.close()


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """For all tests: each process imports for a second before it does anything."""
    context = multiprocessing.get_context("spawn")
    shared: Any = (context.Barrier(PROCESSES * THREADS),)
    with ProcessPoolExecutor(PROCESSES, context, take_barrier, shared) as pool:
        yield pool


def test_all_changes_of_processes_and_threads_are_kept(url: str, processes: ProcessPoolExecutor) -> None:
    persistence = open_persistence(url)
    session = Session(persistence, SentCookies())
    session.update(made=True, log=[])
    session.save()
    cookie = cookie_of(session)
    changes = [[process, number, turn] for process in range(4) for number in range(4) for turn in range(TIMES)]

    for done in [processes.submit(change_in_threads, url, cookie, number) for number in range(PROCESSES)]:
        done.result()

    contents = Session(persistence, SentCookies(cookie)).copy()
    assert sorted(contents["log"]) == changes
    assert contents["count"] == len(changes)
    assert {name for name in contents if name.startswith("key")} == {"key {} {} {}".format(*words) for words in changes}
    persistence.store.close()
