"""A switch to the standby, whose old primary stays up and takes no writes, as with most tools for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.operations.databases import MOST_CONNECTIONS, url_of, with_roles
from tests.operations.site import SECONDS, Counting, Site
from tests.servers.haproxy import HAProxy
from tests.servers.postgresql import PostgreSQL

pytestmark = pytest.mark.servers

QUIET = 0.3
"""Seconds without a write, after which the old primary is taken to have finished the last one."""

MAX_AGE = 1


class Cluster:
    """A primary and its standby."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        settings = {"max_connections": MOST_CONNECTIONS}
        self.primary = with_roles(PostgreSQL(folders.mktemp("primary"), **settings).__enter__())
        self.standby = PostgreSQL(folders.mktemp("standby"), self.primary, **settings).__enter__()

    def switch_over(self) -> None:
        """The standby takes over once it has everything; the old primary lives on, and is read-only."""
        self.primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        self.primary.execute("SELECT pg_reload_conf()")
        quiet_since, written = time.monotonic(), ""
        while time.monotonic() - quiet_since < QUIET:
            [(position,)] = self.primary.execute("SELECT pg_current_wal_lsn()::text")
            [(caught_up,)] = self.standby.execute(f"SELECT pg_last_wal_replay_lsn() >= '{position}'")
            if position != written or not caught_up:
                quiet_since, written = time.monotonic(), str(position)
            time.sleep(0.02)
        self.standby.execute("SELECT pg_promote()")

    def stop(self) -> None:
        self.standby.kill()
        self.primary.kill()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory)
    yield cluster
    cluster.stop()


@pytest.fixture(params=["haproxy", "multi-host URL"])
def front(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Callable[[], object]]]:
    """What the application connects to, and what tells it of the new primary."""
    ports = cluster.primary.port, cluster.standby.port
    if request.param == "haproxy":
        with HAProxy(tmp_path_factory.mktemp("haproxy"), *ports) as haproxy:
            yield url_of(haproxy.port), lambda: haproxy.use(cluster.standby.port)
    else:
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in ports)
        url = url_of(ports[0]).replace(f"127.0.0.1:{ports[0]}", "")
        yield f"{url}?{hosts}&target_session_attrs=read-write", lambda: None


def test_a_switch_to_the_standby(
    cluster: Cluster, front: tuple[str, Callable[[], object]], open_site: Callable[..., Site]
) -> None:
    url, use_the_new_primary = front
    site = open_site(url, create_table="true", max_age=str(MAX_AGE))
    reader = open_site(url, max_age=str(MAX_AGE))
    with Counting(site) as counting:
        counting.go_on()
        read_all(reader, counting)  # so that it has connections to the old primary
        cluster.switch_over()
        use_the_new_primary()
        switched = time.monotonic()
        counting.go_on(300)
        refused = time.monotonic() - switched
    direct = open_site(url_of(cluster.standby.port))
    missing = counting.missing(direct)
    behind = read_all(direct, counting) - read_all(reader, counting)
    while read_all(direct, counting) > read_all(reader, counting) and time.monotonic() - switched < SECONDS / 2:
        time.sleep(0.05)
    stale = time.monotonic() - switched
    print(f"300 answers after {refused:.2f} s, reader {behind} behind then, right after {stale:.2f} s; {counting}")
    assert missing == 0
    assert set(counting.answers) <= {200, 503}
    assert read_all(direct, counting) == read_all(reader, counting)


def read_all(site: Site, counting: Counting) -> int:
    return sum(int(site.ask("/read", cookie).text) for cookie in counting.visitors)
