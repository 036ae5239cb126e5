"""Connections that are lost, interrupted or late, and what a database refuses: SQLite, as if it were a server."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.pool import QueuePool

from pyramid_sessionkit.exceptions import StoreError, StoreUnavailable
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.stores import sql_connections, sql_engine, sql_statements
from pyramid_sessionkit.stores.breaker import PAUSE, Breaker
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_connections import Limits
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.stores.sql_errors import Taken
from pyramid_sessionkit.stores.sql_statements import CONFLICT_ATTEMPTS, QUICK
from pyramid_sessionkit.testing.conformance import KEY, OTHER_KEY, in_processes, in_threads, make_record

POOL_SIZE = 2

CREATE_ENGINE = sqlalchemy.create_engine


class Lost(sqlite3.OperationalError):
    """What a driver raises on a connection that the server has closed."""


class Connection(sqlite3.Connection):
    server: Server
    lost = False
    closed = False

    def cursor(self) -> Any:  # type: ignore[override]
        return super().cursor(Cursor)

    def rollback(self) -> None:
        self.server.rollbacks += 1
        super().rollback()

    def close(self) -> None:
        self.closed = True
        super().close()


class Cursor(sqlite3.Cursor):
    connection: Connection

    def execute(self, statement: str, *parameters: Any) -> Any:
        self.connection.server.receive(self.connection)
        return super().execute(statement, *parameters)


class Server:
    """A database whose connections can be lost, and whose statements can be made to fail."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.up = True
        self.refusal = "connection refused"
        self.opened: list[Connection] = []
        self.used: list[Connection] = []
        """The connection of each statement."""
        self.failures: list[BaseException] = []
        """What the next statements raise."""
        self.seconds = 0.0
        """How long a statement takes, and a refusal."""
        self.now = 0.0
        self.rollbacks = 0

    def connect(self) -> Connection:
        if not self.up:
            self.now += self.seconds
            raise sqlite3.OperationalError(self.refusal)
        connection = sqlite3.connect(self.path, factory=Connection, check_same_thread=False)
        connection.server = self
        self.opened.append(connection)
        return connection

    def receive(self, connection: Connection) -> None:
        self.used.append(connection)
        self.now += self.seconds
        if self.failures:
            failure = self.failures.pop(0)
            connection.lost = connection.lost or isinstance(failure, Lost)
            raise failure
        if connection.lost:
            raise Lost("server closed the connection unexpectedly")

    def restart(self) -> None:
        for connection in self.opened:
            connection.lost = True


Open = Callable[..., SQLStore]


def in_use(store: SQLStore) -> int:
    """How many connections were taken and not given back."""
    lifo = store._connections._lifo
    return len(lifo.all) - len(lifo.idle)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "sessions.sqlite")
    yield server
    for connection in server.opened:
        connection.close()


@pytest.fixture
def open_store(server: Server, monkeypatch: pytest.MonkeyPatch) -> Open:
    """The store as it is for a server database; with ``server=False`` as it is for SQLite."""

    def create_engine(url: Any, *, connect_args: Any, **options: Any) -> Any:
        return CREATE_ENGINE("sqlite://", creator=server.connect, **options)

    def open_(is_server: bool = True, **limits: Any) -> SQLStore:
        engine = create_session_engine("postgresql://host/db", timeout=0)
        engine.dialect.is_disconnect = lambda error, connection, cursor: isinstance(error, Lost)
        if is_server:
            engine.dialect.name = "server"
        store = SQLStore(engine, limits=Limits(**{"pool_size": POOL_SIZE, "timeout": 0, **limits}))
        store.create_table()
        store.close()
        return store

    monkeypatch.setattr(sql_engine, "create_engine", create_engine)
    for module in (sql_statements, sql_connections):
        monkeypatch.setattr(module, "monotonic", lambda: server.now)
    return open_


@pytest.fixture
def store(open_store: Open) -> SQLStore:
    return open_store()


@pytest.fixture
def record(store: SQLStore, server: Server) -> Record:
    """The one stored session."""
    created = store.create(KEY, make_record(userid="ada"))
    assert created
    server.used.clear()
    return created


AGAIN: dict[str, Callable[[SQLStore, Record], Any]] = {
    "load": lambda store, record: store.load(KEY),
    "create": lambda store, record: store.create(OTHER_KEY, make_record()),
    "delete": lambda store, record: store.delete(KEY),
    "delete of a version": lambda store, record: store.delete(KEY, record),
    "sessions_of": lambda store, record: store.sessions_of("ada"),
    "count": lambda store, record: store.count(),
    "clear": lambda store, record: store.clear(),
}
"""What does no harm when it is done twice, and has something to return."""

ONCE: dict[str, Callable[[SQLStore, Record], Any]] = {
    "update": lambda store, record: store.update(KEY, record),
    "update of a secret": lambda store, record: store.update(KEY, record._replace(verifier="e" * 64)),
}
"""What may have been done though its answer was lost."""

each_again = pytest.mark.parametrize("operation", AGAIN.values(), ids=AGAIN)
each_once = pytest.mark.parametrize("operation", ONCE.values(), ids=ONCE)


class TestLostConnections:
    @each_again
    def test_what_can_be_repeated_is(self, store: SQLStore, record: Record, server: Server, operation: Any) -> None:
        server.restart()
        assert operation(store, record)
        assert len(server.used) == 2

    @each_once
    def test_what_may_have_been_done_is_not(
        self, store: SQLStore, record: Record, server: Server, operation: Any
    ) -> None:
        server.restart()
        with pytest.raises(StoreUnavailable, match="lost before it answered"):
            operation(store, record)
        assert len(server.used) == 1
        assert store.load(KEY) == record

    @each_again
    def test_a_second_one_in_a_row_is_an_outage(
        self, store: SQLStore, record: Record, server: Server, operation: Any
    ) -> None:
        server.failures = [Lost("gone") for _ in range(5)]
        with pytest.raises(StoreUnavailable, match="lost before it answered"):
            operation(store, record)
        assert len(server.used) == 2
        server.failures.clear()
        assert operation(store, record)

    @each_again
    def test_a_server_that_stays_away_is_an_outage(
        self, store: SQLStore, record: Record, server: Server, operation: Any
    ) -> None:
        server.restart()
        server.up = False
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            operation(store, record)
        server.up = True
        assert operation(store, record)

    @each_again
    def test_what_was_noticed_late_is_not_repeated(
        self, store: SQLStore, record: Record, server: Server, operation: Any
    ) -> None:
        server.restart()
        server.seconds = QUICK + 0.1
        with pytest.raises(StoreUnavailable, match="lost before it answered"):
            operation(store, record)
        assert len(server.used) == 1

    @pytest.mark.parametrize("is_server", [True, False])
    def test_they_are_closed_and_never_given_out_again(self, open_store: Open, server: Server, is_server: bool) -> None:
        store = open_store(is_server)
        record = store.create(KEY, make_record())
        assert record
        server.restart()
        lost = server.used[-1]
        with pytest.raises(StoreUnavailable):
            store.update(KEY, record)
        assert lost.closed
        server.used.clear()
        for _ in range(2 * POOL_SIZE):
            assert store.load(KEY)
        assert lost not in server.used
        assert len(server.used) == 2 * POOL_SIZE

    def test_one_takes_all_that_are_idle_with_it(self, store: SQLStore, record: Record, server: Server) -> None:
        connections = store._connections
        for taken in [connections.take(server.now) for _ in range(POOL_SIZE)]:
            connections.give_back(taken)
        server.restart()
        with pytest.raises(StoreUnavailable):
            store.update(KEY, record)
        assert store.update(KEY, record)


class TestConnections:
    def test_those_of_a_store_that_nobody_closes_are_closed_with_it(self, open_store: Open, server: Server) -> None:
        store = open_store()
        assert store.load(KEY) is None
        assert not server.opened[-1].closed
        del store
        gc.collect()
        assert server.opened[-1].closed

    def test_a_list_is_not_kept(self, store: SQLStore, record: Record) -> None:
        store.create(OTHER_KEY, make_record(userid="ada"))
        assert len(store.sessions_of("ada")) == 2
        [kept] = store._connections._idle
        assert store._sessions_of not in kept.cursors

    def test_every_connection_is_given_back(self, store: SQLStore, record: Record, server: Server) -> None:
        opened = len(server.opened)
        for _ in range(50):
            assert store.load(KEY)
            assert store.load(OTHER_KEY) is None
            assert store.create(KEY, make_record()) is None
            assert in_use(store) == 0
        assert len(server.opened) == opened

    @pytest.mark.parametrize(
        "failure",
        [
            Lost("gone"),
            sqlite3.OperationalError("disk I/O error"),
            sqlite3.ProgrammingError("no"),
            OverflowError("no"),
            KeyboardInterrupt(),
        ],
        ids=lambda failure: type(failure).__name__,
    )
    def test_also_after_failures(self, store: SQLStore, record: Record, server: Server, failure: BaseException) -> None:
        for _ in range(50):
            server.failures = [failure]
            with pytest.raises((StoreError, KeyboardInterrupt)):
                store.update(KEY, record)
            assert in_use(store) == 0

    def test_an_operation_is_one_statement_and_no_rollback(
        self, store: SQLStore, record: Record, server: Server
    ) -> None:
        server.rollbacks = 0
        assert store.load(KEY)
        assert store.update(KEY, record)
        assert len(server.used) == 2
        assert server.rollbacks == 0

    def test_where_it_is_empty_that_is_an_outage(self, store: SQLStore, record: Record) -> None:
        connections = store._connections
        taken = [connections.take(0) for _ in range(POOL_SIZE)]
        with pytest.raises(StoreUnavailable, match=r"All 2 connections .* sessionkit\.sql\.pool_size"):
            store.load(KEY)
        for connection in taken:
            connections.give_back(connection)
        assert store.load(KEY) == record

    def test_one_that_is_old_is_renewed(self, open_store: Open, server: Server) -> None:
        store = open_store(max_age=100)
        store.create(KEY, make_record())
        first = server.used[-1]
        server.now += 100 * (1 - sql_connections.JITTER) - 1
        assert store.load(KEY)
        assert server.used[-1] is first
        server.now += 100 * sql_connections.JITTER + 1
        assert store.load(KEY)
        assert server.used[-1] is not first
        assert first.closed

    def test_those_opened_together_are_not_renewed_together(self, open_store: Open) -> None:
        connections = open_store(max_age=100, pool_size=9)._connections
        ends = [connections.take(0).until for _ in range(9)]
        assert len(set(ends)) == 9
        assert all(100 * (1 - sql_connections.JITTER) <= end <= 100 for end in ends)

    def test_without_a_greatest_age_none_is(self, open_store: Open, server: Server) -> None:
        store = open_store(max_age=None)
        store.create(KEY, make_record())
        opened = len(server.opened)
        server.now += 1e9
        assert store.load(KEY)
        assert len(server.opened) == opened

    def test_one_that_cannot_be_opened_leaves_its_place(self, store: SQLStore, record: Record, server: Server) -> None:
        store.close()
        server.up = False
        for _ in range(2 * POOL_SIZE):
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                store.load(KEY)
        server.up = True
        taken = [store._connections.take(0) for _ in range(POOL_SIZE)]
        assert all(kept.raw for kept in taken)

    def test_those_in_use_are_closed_when_they_come_back(self, store: SQLStore, record: Record) -> None:
        connections = store._connections
        kept = connections.take(0)
        raw = kept.raw
        store.close()
        assert not raw.closed
        connections.give_back(kept)
        assert raw.closed
        assert in_use(store) == 0

    def test_threads_take_turns(self, open_store: Open, server: Server) -> None:
        store = open_store(timeout=20)
        store.create(KEY, make_record())
        opened = len(server.opened)

        def work(_: int) -> None:
            for _ in range(20):
                assert store.load(KEY)

        in_threads(work, 4 * POOL_SIZE)
        assert len(server.opened) - opened < POOL_SIZE
        assert in_use(store) == 0

    def test_an_engine_of_the_applications_own_will_do(self, server: Server) -> None:
        """With a pool of its own, which is left alone."""
        engine = CREATE_ENGINE(
            "sqlite://",
            creator=server.connect,
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
        )
        store = SQLStore(engine)
        store.create_table()
        taken = [store._connections.take(0) for _ in range(3)]
        assert len({id(kept.raw) for kept in taken}) == 3
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        for kept in taken:
            store._connections.give_back(kept)
        assert store.create(KEY, make_record())
        store.close()
        assert all(connection.closed for connection in server.opened)

    def test_an_engine_that_does_not_commit_by_itself_will_do(self, tmp_path: Path) -> None:
        """What is answered has to be there for all."""
        path = tmp_path / "s.sqlite"
        for engine in (
            CREATE_ENGINE(f"sqlite:///{path}"),
            CREATE_ENGINE(f"sqlite:///{path}").execution_options(isolation_level="AUTOCOMMIT"),
        ):
            store = SQLStore(engine)
            store.create_table()
            assert store.create(KEY, make_record())
            with closing(sqlite3.connect(path)) as other:
                assert other.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
            assert store.delete(KEY)
            store.close()

    def test_nothing_is_open_for_reading_after_a_read(self, tmp_path: Path) -> None:
        store = SQLStore(create_session_engine(f"sqlite:///{tmp_path}/s.sqlite"))
        store.create_table()
        for key in (KEY, OTHER_KEY):
            store.create(key, make_record(userid="ada"))
        for read in (
            lambda: store.load(KEY),
            lambda: store.sessions_of("ada"),
            store.count,
            lambda: store.live_sessions(9),
        ):
            assert read()
        with closing(sqlite3.connect(tmp_path / "s.sqlite")) as other:
            # Refused while somebody has a snapshot of before the write.
            other.execute("UPDATE sessions SET data = x'00'")
            other.commit()
            busy, *_ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy
        store.close()


class TestTimeouts:
    """A server that gives no answer, and one that says itself that it took too long."""

    def silent(self, server: Server) -> None:
        server.failures = [Lost("no answer")]
        server.seconds = QUICK + 0.1

    def test_after_two_in_a_row_nobody_waits(self, store: SQLStore, record: Record, server: Server) -> None:
        for _ in range(2):
            self.silent(server)
            with pytest.raises(StoreUnavailable, match="lost before it answered"):
                store.load(KEY)
        asked = len(server.used)
        with pytest.raises(StoreUnavailable, match="did not answer 2 times in a row"):
            store.load(KEY)
        assert len(server.used) == asked

    @pytest.mark.parametrize(("seconds", "says"), [(1.9, "cannot be reached"), (2.1, "did not answer 2 times")])
    def test_a_refusal_is_no_time_out_unless_it_takes_half_of_it(
        self, open_store: Open, server: Server, seconds: float, says: str
    ) -> None:
        store = open_store(timeout=4)
        server.up, server.seconds = False, seconds
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                store.load(KEY)
        with pytest.raises(StoreUnavailable, match=says):
            store.load(KEY)

    def test_an_answer_lets_all_ask_again(self, store: SQLStore, record: Record, server: Server) -> None:
        store._connections.breaker = Breaker(lambda: server.now)
        for _ in range(2):
            self.silent(server)
            with pytest.raises(StoreUnavailable):
                store.load(KEY)
        server.now += PAUSE
        server.seconds = 0
        assert store.load(KEY) == record
        assert store._connections.breaker.timeouts == 0

    @pytest.mark.parametrize(
        "failure",
        [sqlite3.IntegrityError("taken"), sqlite3.InternalError("permission denied")],
        ids=lambda failure: type(failure).__name__,
    )
    def test_a_refusal_is_an_answer_too(
        self, store: SQLStore, record: Record, server: Server, failure: Exception
    ) -> None:
        store._connections.breaker.timeouts = 1
        server.failures = [failure]
        with pytest.raises((StoreError, Taken)):
            store.update(KEY, record)
        assert store._connections.breaker.timeouts == 0

    @pytest.mark.parametrize("refused", [False, True])
    def test_a_slow_answer_does_not_undo_what_a_later_one_proved(
        self, store: SQLStore, record: Record, server: Server, refused: bool
    ) -> None:
        """A count takes long and a row is locked, while others are answered at once."""
        receive, breaker = server.receive, store._connections.breaker

        def slowly(connection: Connection) -> None:
            server.receive = receive  # type: ignore[method-assign]
            server.now = 5
            assert store.load(KEY)
            server.now = 6
            if refused:
                raise sqlite3.InternalError("permission denied")

        server.now, server.receive = 1, slowly  # type: ignore[method-assign]
        if refused:
            with pytest.raises(StoreError, match="permission denied"):
                store.count()
        else:
            assert store.count()
        assert breaker.answered_at == 5

    def test_what_waits_for_a_connection_in_vain_counts(self, store: SQLStore, record: Record) -> None:
        taken = [store._connections.take(0) for _ in range(POOL_SIZE)]
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="in use"):
                store.load(KEY)
        store._connections.give_back(taken[0])
        with pytest.raises(StoreUnavailable, match="in a row"):
            store.load(KEY)

    def test_a_server_that_is_down_is_asked_each_time(self, store: SQLStore, record: Record, server: Server) -> None:
        store.close()
        server.up = False
        for _ in range(5):
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                store.load(KEY)

    def test_a_process_that_was_forked_asks_for_itself(self, tmp_path: Path) -> None:
        store = SQLStore(create_session_engine(f"sqlite:///{tmp_path}/s.sqlite"))
        store.create_table()
        for _ in range(2):
            store._connections.breaker.timed_out(0)
        with pytest.raises(StoreUnavailable, match="in a row"):
            store.load(KEY)
        in_processes(lambda _: store.load(KEY), 1)
        store.close()


class TestInterruptions:
    @pytest.mark.parametrize("is_server", [True, False])
    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_a_connection_that_may_still_answer_is_used_no_more(
        self, open_store: Open, server: Server, is_server: bool, interruption: type[BaseException]
    ) -> None:
        store = open_store(is_server)
        store.create(KEY, make_record())
        server.failures = [interruption()]
        with pytest.raises(interruption):
            store.load(KEY)
        interrupted = server.used[-1]
        assert interrupted.closed
        assert store.load(KEY)
        assert server.used[-1] is not interrupted

    def test_an_error_that_is_not_the_drivers_is_named(self, store: SQLStore, record: Record, server: Server) -> None:
        server.failures = [OverflowError("int too large")]
        with pytest.raises(StoreError, match="OverflowError: int too large") as caught:
            store.load(KEY)
        assert not isinstance(caught.value, StoreUnavailable)
        assert server.used[-1].closed
        assert store.load(KEY) == record


def refusal(kind: type[sqlite3.Error], *arguments: Any, **codes: Any) -> sqlite3.Error:
    """An error with its code where a driver puts it."""
    error = kind(*arguments)
    error.__dict__.update(codes)
    return error


AS_DRIVERS_SAY_IT: list[tuple[str, Callable[[type[sqlite3.Error], Any], sqlite3.Error]]] = [
    ("sqlstate", lambda kind, code: refusal(kind, "refused", sqlstate=code)),
    ("pgcode", lambda kind, code: refusal(kind, "refused", pgcode=code)),
    ("both", lambda kind, code: refusal(kind, "refused", sqlstate=None, pgcode=code)),
]


def refusals(kind: type[sqlite3.Error], states: list[str], numbers: list[int]) -> Any:
    """A parameter: a function that makes the error, for each of the codes as each driver says it."""
    cases = [
        pytest.param(lambda say=say, code=code: say(kind, code), id=f"{code} as {name}")
        for code in states
        for name, say in AS_DRIVERS_SAY_IT
    ]
    cases += [
        pytest.param(lambda number=number, state=state: refusal(kind, number, "refused", **state), id=f"{number}{name}")
        for number in numbers
        for name, state in [("", {}), (" as PyMySQL", {"sqlstate": "HY000"})]
    ]
    return pytest.mark.parametrize("refuse", cases)


ALL: dict[str, Callable[[SQLStore, Record], Any]] = {
    **ONCE,
    **{name: AGAIN[name] for name in ("load", "create", "delete", "delete of a version")},
}


class TestConflicts:
    """Deadlocks and serialization failures: the database undid the statement."""

    @pytest.fixture(autouse=True)
    def pauses(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        slept: list[float] = []
        monkeypatch.setattr(sql_statements, "sleep", slept.append)
        return slept

    @refusals(sqlite3.OperationalError, ["40001", "40P01"], [1213, 1020])
    @pytest.mark.parametrize("operation", ALL.values(), ids=ALL)
    def test_it_is_run_again_whatever_it_is(
        self, store: SQLStore, record: Record, server: Server, refuse: Any, operation: Any
    ) -> None:
        server.failures = [refuse(), refuse()]
        assert operation(store, record)
        assert len(server.used) == 3
        assert in_use(store) == 0

    @pytest.mark.parametrize("operation", ALL.values(), ids=ALL)
    def test_but_not_for_ever(
        self, store: SQLStore, record: Record, server: Server, operation: Any, pauses: list[float]
    ) -> None:
        server.failures = [refusal(sqlite3.OperationalError, 1213, "Deadlock found") for _ in range(99)]
        with pytest.raises(StoreUnavailable, match=r"conflicts again and again.*Deadlock found"):
            operation(store, record)
        assert len(server.used) == CONFLICT_ATTEMPTS
        assert 0 < sum(pauses) < 2
        server.failures.clear()
        assert store.load(KEY) == record

    def test_a_connection_that_is_lost_after_one_is_no_reason_to_run_an_update_again(
        self, store: SQLStore, record: Record, server: Server
    ) -> None:
        server.failures = [refusal(sqlite3.OperationalError, 1213, "Deadlock found"), Lost("gone")]
        with pytest.raises(StoreUnavailable, match="lost before it answered"):
            store.update(KEY, record)
        assert len(server.used) == 2


class TestRefusals:
    @refusals(sqlite3.OperationalError, ["57014", "55P03"], [1969, 3024, 1205])
    @pytest.mark.parametrize("operation", ALL.values(), ids=ALL)
    def test_a_server_that_gives_up_is_a_timeout_and_keeps_the_connection(
        self, store: SQLStore, record: Record, server: Server, refuse: Any, operation: Any
    ) -> None:
        server.failures = [refuse()]
        with pytest.raises(StoreUnavailable, match="gave up a statement"):
            operation(store, record)
        assert len(server.used) == 1
        assert not server.used[0].closed
        assert store._connections.breaker.timeouts == 1

    @refusals(sqlite3.OperationalError, ["57P01", "57P02", "57P03"], [1053])
    def test_a_server_that_shuts_down_has_closed_all(
        self, store: SQLStore, record: Record, server: Server, refuse: Any
    ) -> None:
        server.failures = [refuse()]
        assert store.load(KEY) == record
        assert server.used[0].closed
        assert server.used[1] is not server.used[0]
        server.failures = [refuse()]
        with pytest.raises(StoreUnavailable, match="lost before it answered"):
            store.update(KEY, record)

    @refusals(sqlite3.InternalError, ["25006"], [1290, 1792, 1836])
    def test_one_that_became_a_standby_is_left_with_all_idle_connections(
        self, store: SQLStore, record: Record, server: Server, refuse: Any
    ) -> None:
        connections = store._connections
        for taken in [connections.take(0) for _ in range(POOL_SIZE)]:
            connections.give_back(taken)
        opened = len(server.opened)
        server.failures = [refuse()]
        with pytest.raises(StoreUnavailable):
            store.update(KEY, record)
        assert all(connection.closed for connection in server.opened)
        assert store.update(KEY, record)
        assert len(server.opened) == opened + 1

    @refusals(sqlite3.ProgrammingError, ["26000", "42P05"], [])
    @pytest.mark.parametrize("operation", ALL.values(), ids=ALL)
    def test_a_pooler_that_lends_for_a_transaction_is_named(
        self, store: SQLStore, record: Record, server: Server, refuse: Any, operation: Any
    ) -> None:
        server.failures = [refuse()]
        with pytest.raises(StoreError, match=r"pooler .* sessionkit\.sql\.prepare = false"):
            operation(store, record)
        assert server.used[0].closed

    def test_also_when_it_refuses_the_connection(self, store: SQLStore, server: Server) -> None:
        store.close()
        server.up, server.refusal = False, "FATAL:  unsupported startup parameter: options"
        for operation in (lambda: store.load(KEY), store.has_table):
            with pytest.raises(StoreError, match=r"pooler .* sessionkit\.sql\.prepare = false"):
                operation()

    @pytest.mark.parametrize("operation", ALL.values(), ids=ALL)
    def test_a_plan_of_before_a_migration_is_made_again(
        self, store: SQLStore, record: Record, server: Server, operation: Any
    ) -> None:
        server.failures = [refusal(sqlite3.NotSupportedError, "cached plan must not change result type")]
        assert operation(store, record)
        assert server.used[0].closed
        assert len(server.used) == 2

    def test_all_idle_connections_have_plans_of_before_a_migration(self, open_store: Open, server: Server) -> None:
        """There may be more of them than a statement has attempts."""
        count = CONFLICT_ATTEMPTS + 1
        store = open_store(pool_size=count)
        assert store.create(KEY, make_record())
        connections = store._connections
        for taken in [connections.take(0) for _ in range(count)]:
            connections.give_back(taken)
        stale = set(server.opened)
        receive = server.receive

        def refuse(connection: Connection) -> None:
            receive(connection)
            if connection in stale:
                raise sqlite3.NotSupportedError("cached plan must not change result type")

        server.receive = refuse  # type: ignore[method-assign]
        assert store.load(KEY)

    def test_a_constraint_that_an_update_does_not_meet_is_named(
        self, store: SQLStore, record: Record, server: Server
    ) -> None:
        for update in (store.update, store.update_contents):
            server.failures = [sqlite3.IntegrityError("no such user")]
            with pytest.raises(StoreError, match="no such user"):
                update(KEY, record)

    # An InternalError, as psycopg has it: an OperationalError is an outage anyway.
    @refusals(sqlite3.InternalError, ["25006"], [1290, 1792, 1836])
    @pytest.mark.parametrize("operation", ALL.values(), ids=ALL)
    def test_a_database_that_is_read_only_for_the_moment_is_an_outage(
        self, store: SQLStore, record: Record, server: Server, refuse: Any, operation: Any
    ) -> None:
        server.failures = [refuse()]
        with pytest.raises(StoreUnavailable, match="takes no writes for the moment"):
            operation(store, record)
        assert len(server.used) == 1

    @pytest.mark.parametrize("operation", ALL.values(), ids=ALL)
    def test_any_other_is_an_error_and_keeps_the_connection(
        self, store: SQLStore, record: Record, server: Server, operation: Any
    ) -> None:
        server.failures = [refusal(sqlite3.InternalError, "permission denied", sqlstate="42501")]
        with pytest.raises(StoreError, match="refused a statement: permission denied") as caught:
            operation(store, record)
        assert not isinstance(caught.value, StoreUnavailable)
        assert len(server.used) == 1
        assert not server.used[0].closed

    def test_an_integrity_error_without_a_taken_key_is_named(
        self, store: SQLStore, record: Record, server: Server
    ) -> None:
        server.failures = [sqlite3.IntegrityError("tenant may not be null")]
        with pytest.raises(StoreError, match="refused a new session: tenant may not be null"):
            store.create(OTHER_KEY, make_record())
