from __future__ import annotations

import builtins
import io
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.config import Configurator
from rich.console import Console
from sqlalchemy import create_engine, text

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.saving import CSRF_KEY
from pyramid_sessionkit.scripts import checks, commands, output
from pyramid_sessionkit.scripts.psessions import main
from pyramid_sessionkit.settings import parse_settings
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.user_sessions import Sessions

SECRET = "f7Kq-Zt0bN3xVw8LmR2sYc5HdJ9gPa1E"
ADA, ADAS_OTHER, BOB, OLD = "Ad1" + "0" * 19, "Ad2" + "0" * 19, "shop-7_" + "b" * 57, "c" * 22
NONCE = "the-nonce-of-ada"
VERIFIER = "0123456789abcdef" * 4

Run = Callable[..., tuple[int, str, str]]


class BareStore:
    """Offers none of the optional interfaces."""

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> None:
        return None

    def create(self, key: str, record: Record) -> Record:
        return record

    def update(self, key: str, record: Record) -> None:
        return None

    def delete(self, key: str, record: Record | None = None) -> bool:
        return False


def bare_store(settings: dict[str, Any]) -> BareStore:
    return BareStore()


def app(global_config: dict[str, str], **settings: Any) -> Any:
    print("The application starts")
    with Configurator(settings=settings) as config:
        if "without" not in settings:
            config.include("pyramid_sessionkit")
    return config.make_wsgi_app()


def record(userid: str | None = None, data: bytes = b"{}", age: int = 60, **changes: Any) -> Record:
    created = int(time()) - age
    authenticated = None if userid is None else created * 1_000_000
    limits = (created, created, 1200, created + 43200, False)
    return Record(data, VERIFIER, "", None, userid, authenticated, None, *limits)._replace(**changes)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Place:
    """An ini file and its database."""

    def __init__(self, folder: Path) -> None:
        self.ini, self.database = folder / "app.ini", folder / "sessions.sqlite"
        self.configure()
        self.store = SQLStore(create_session_engine(f"sqlite:///{self.database}"))

    def configure(self, **changes: str | None) -> None:
        """With dots in the place of double underscores."""
        settings: dict[str, str | None] = {
            "sessionkit.secret": SECRET,
            "sessionkit.store": "sql",
            "sessionkit.sql.url": f"sqlite:///{self.database}",
            "sessionkit.sql.create_table": "true",
        }
        settings.update({name.replace("__", "."): value for name, value in changes.items()})
        lines = [f"{name} = {value}" for name, value in settings.items() if value is not None]
        head = ["[app:main]", "use = call:tests.scripts.test_psessions:app"]
        self.ini.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")

    def fill(self) -> None:
        self.store.create_table()
        contents = json.dumps({"cart": ["tea", "\x1b[2J"], CSRF_KEY: NONCE}).encode()
        for key, stored in {
            ADA: record("ada", contents, age=300),
            ADAS_OTHER: record("ada", age=200),
            BOB: record("bob[red]\x1b[1m", timeout=None, deadline=None),
            OLD: record("ada", age=99999),
        }.items():
            self.store.create(key, stored)

    def expire(self, number: int) -> None:
        for index in range(number):
            self.store.create(f"e{index:063x}", record(age=99999))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.store.close()


@pytest.fixture
def filled(place: Place) -> Place:
    place.fill()
    return place


@pytest.fixture
def run(place: Place, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*argv: str) -> tuple[int, str, str]:
        code = main([str(place.ini), *argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def answer(run: Run, *argv: str) -> Any:
    code, out, _ = run(*argv, "--json")
    assert code == 0
    return json.loads(out)


def statuses(run: Run) -> dict[str, str]:
    return {result["check"]: result["status"] for result in json.loads(run("check", "--json")[1])}


class TestList:
    def test_table(self, filled: Place, run: Run) -> None:
        code, out, err = run("list")
        assert code == 0
        rows = [line.split() for line in out.splitlines() if line.strip()][2:]
        assert [row[0] for row in rows] == [BOB[:12], ADAS_OTHER[:12], ADA[:12]]
        assert [row[1] for row in rows] == ["bob[red]\\x1b[1m", "ada", "ada"]
        assert rows[0][-1] == "never"
        assert "(5m ago)" in out
        assert "(in 1" in out
        assert "The application starts" not in out
        assert "The application starts" in err

    def test_of_user_newest_first_and_limited(self, filled: Place, run: Run) -> None:
        assert [found["key"] for found in answer(run, "list", "--user", "ada")] == [ADAS_OTHER, ADA]
        assert [found["key"] for found in answer(run, "list", "--user", "ada", "--limit", "1")] == [ADAS_OTHER]
        assert [found["key"] for found in answer(run, "list", "--limit", "1")] == [BOB]

    def test_limit_is_told(self, filled: Place, run: Run) -> None:
        assert "The first 1;" in run("list", "--limit", "1")[2]
        assert "The first" not in run("list", "--limit", "1", "--json")[2]

    def test_json(self, filled: Place, run: Run) -> None:
        bob = answer(run, "list")[0]
        assert set(bob) == {"key", "userid", "created", "renewed", "expires"}
        assert (bob["userid"], bob["expires"]) == ("bob[red]\x1b[1m", None)
        assert isinstance(bob["created"], int)

    def test_json_before_the_subcommand(self, filled: Place, run: Run) -> None:
        assert len(json.loads(run("--json", "list")[1])) == 3

    def test_none(self, place: Place, run: Run) -> None:
        assert run("list")[:2] == (0, "No sessions\n")
        assert answer(run, "list") == []


class TestShow:
    def test_contents(self, filled: Place, run: Run) -> None:
        code, out, _ = run("show", ADA)
        assert code == 0
        assert ADA in out
        assert '"tea"' in out
        assert "\x1b" not in out

    def test_what_cannot_be_read_is_not_shown_as_a_session(self, filled: Place, run: Run) -> None:
        stored = filled.store.load(ADA)
        assert stored is not None
        filled.store.update(ADA, stored._replace(authenticated=None))
        code, _, err = run("show", ADA)
        assert code == 1
        assert "cannot be read" in err

    def test_the_nonce_of_the_csrf_token_is_hidden(self, filled: Place, run: Run) -> None:
        assert NONCE not in run("show", ADA)[1]
        assert answer(run, "show", ADA)["contents"] == {"cart": ["tea", "\x1b[2J"], CSRF_KEY: "(hidden)"}

    def test_the_verifier_is_not_shown(self, filled: Place, run: Run) -> None:
        for argv in (["show", ADA], ["list"], ["show", ADA, "--json"], ["list", "--json"]):
            assert VERIFIER not in run(*argv)[1]

    @pytest.mark.parametrize("key", ["Ad1", ADA])
    def test_abbreviated(self, filled: Place, run: Run, key: str) -> None:
        assert answer(run, "show", key)["key"] == ADA

    def test_ambiguous(self, filled: Place, run: Run) -> None:
        code, out, err = run("show", "Ad")
        assert (code, out) == (1, "")
        assert "Several sessions have keys that begin with Ad" in err

    @pytest.mark.parametrize("key", ["f", "f" * 22, "f" * 64, OLD, "c", "AD1", ADA.lower()])
    def test_unknown_or_expired(self, filled: Place, run: Run, key: str) -> None:
        code, out, err = run("show", key)
        assert (code, out) == (1, "")
        assert "No session that is alive" in err

    @pytest.mark.parametrize("key", ["a.secret", f"{ADA}.{'s' * 43}.{'t' * 43}", "", "a" * 65, "é"])
    def test_what_is_not_a_key_is_not_repeated(self, filled: Place, run: Run, key: str) -> None:
        code, _, err = run("show", key)
        assert code == 1
        assert "up to 64 letters, digits, - and _" in err
        assert not key or key not in err

    def test_anonymous(self, filled: Place, run: Run) -> None:
        filled.store.create("d" * 22, record())
        assert "User     -" in run("show", "d")[1]


class TestRevoke:
    def test_one(self, filled: Place, run: Run) -> None:
        assert run("revoke", "Ad1")[:2] == (0, "1 session revoked\n")
        assert filled.store.load(ADA) is None
        assert filled.store.load(ADAS_OTHER) is not None

    def test_unknown(self, filled: Place, run: Run) -> None:
        assert run("revoke", "f")[0] == 1

    def test_user(self, filled: Place, run: Run) -> None:
        assert answer(run, "revoke", "--user", "ada") == {"revoked": 2}
        assert filled.store.count() == 1

    def test_user_without_sessions(self, filled: Place, run: Run) -> None:
        assert run("revoke", "--user", "eve") == (1, "", "The application starts\nThis user has no sessions\n")

    def test_all_refused_without_a_terminal(self, filled: Place, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
        code, _, err = run("revoke", "--all")
        assert code == 1
        assert "give --yes" in err
        assert filled.store.count() == 3

    @pytest.mark.parametrize("said", ["\n", "n\n", "", "yeah\n"])
    def test_all_not_confirmed(self, filled: Place, run: Run, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal(said))
        code, out, err = run("revoke", "--all")
        assert (code, out) == (1, "")
        assert "Revoke all 3 sessions? [y/N]" in err
        assert filled.store.count() == 3

    @pytest.mark.parametrize("said", ["y\n", "YES\n"])
    def test_all_confirmed(self, filled: Place, run: Run, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal(said))
        assert run("revoke", "--all")[:2] == (0, "3 sessions revoked\n")
        assert filled.store.count() == 0

    def test_all_yes(self, filled: Place, run: Run) -> None:
        assert answer(run, "revoke", "--all", "--yes") == {"revoked": 3}
        assert answer(run, "revoke", "--all", "--yes") == {"revoked": 0}

    def test_all_in_batches(self, filled: Place, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(commands, "BATCH", 2)
        found = []
        for key in (ADA + "0", ADA + "01", ADA[:21] + "-"):
            filled.store.create(key, record())

        def keys_beginning_with(sessions: Sessions, prefix: str, limit: int = 2) -> list[str]:
            found.append(list(sessions.store.find_keys(prefix, limit)))
            return found[-1]

        monkeypatch.setattr(Sessions, "keys_beginning_with", keys_beginning_with)
        assert answer(run, "revoke", "--all", "--yes") == {"revoked": 6}
        assert filled.store.count() == 0
        assert max(map(len, found)) == 2


class TestCountAndPurge:
    def test_count(self, filled: Place, run: Run) -> None:
        assert run("count")[:2] == (0, "3 alive, 1 expired and not purged yet\n")
        assert answer(run, "count") == {"alive": 3, "expired": 1}

    def test_dry_run(self, filled: Place, run: Run) -> None:
        assert run("purge", "--dry-run")[:2] == (0, "1 session would be removed\n")
        assert answer(run, "purge", "--dry-run") == {"expired": 1}
        assert filled.store.count(True) == 1

    @pytest.mark.parametrize("batch", ["1", "2", "3", "6", "1000"])
    def test_purge_in_batches(self, filled: Place, run: Run, batch: str) -> None:
        filled.expire(5)
        assert answer(run, "purge", "--batch", batch) == {"purged": 6}
        assert (filled.store.count(), filled.store.count(True)) == (3, 0)

    def test_purge(self, filled: Place, run: Run) -> None:
        assert run("purge")[:2] == (0, "1 session removed\n")

    @pytest.mark.parametrize("is_terminal", [True, False])
    def test_progress_on_a_terminal_only(
        self, filled: Place, run: Run, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
    ) -> None:
        filled.expire(5)
        monkeypatch.setattr(Console, "is_terminal", is_terminal)
        code, out, err = run("purge", "--batch", "2")
        assert (code, out) == (0, "6 sessions removed\n")
        assert ("Purging" in err) is is_terminal


class TestCreateTable:
    def test_made_once(self, place: Place, run: Run) -> None:
        place.configure(sessionkit__sql__create_table="false")
        assert run("create-table")[:2] == (0, "The table sessions is made\n")
        assert run("create-table")[:2] == (0, "The table sessions was there already\n")
        assert answer(run, "create-table") == {"table": "sessions", "created": False}

    def test_store_without_table(self, place: Place, run: Run) -> None:
        place.configure(sessionkit__store="memory")
        assert run("create-table")[0] == 1


class TestCheck:
    def test_all_well(self, filled: Place, run: Run) -> None:
        code, out, _ = run("check")
        assert code == 0
        assert [line.split()[:2] for line in out.splitlines()] == [
            ["ok", name] for name in ("settings", "store", "table", "clock", "secret", "cookie")
        ]
        assert SECRET not in out

    def test_no_table(self, place: Place, run: Run) -> None:
        place.configure(sessionkit__sql__create_table="false")
        code, out, _ = run("check")
        assert code == 1
        assert "psessions create-table" in out

    @pytest.mark.parametrize(
        ("statement", "status", "word"),
        [
            ("CREATE TABLE sessions (session_key TEXT PRIMARY KEY, data BLOB)", "failed", "authenticated"),
            ("ALTER TABLE sessions DROP COLUMN credentials", "failed", "lacks credentials"),
            ("ALTER TABLE sessions ADD COLUMN site INT NOT NULL DEFAULT 1", "ok", "all columns"),
            ("DROP INDEX ix_sessions_userid", "warning", "no index on userid"),
        ],
    )
    def test_columns(self, place: Place, run: Run, statement: str, status: str, word: str) -> None:
        if not statement.startswith("CREATE"):
            place.store.create_table()
        if "DROP COLUMN" in statement and sqlite3.sqlite_version_info < (3, 35):
            pytest.skip("this SQLite cannot drop columns")
        self._execute(place, statement)
        place.configure(sessionkit__sql__create_table="false")
        code, out, _ = run("check", "--json")
        table = next(result for result in json.loads(out) if result["check"] == "table")
        assert (table["status"], code) == (status, int(status == "failed"))
        assert word in table["message"]

    def test_a_table_of_an_older_version_is_named_with_the_cure(self, place: Place, run: Run) -> None:
        self._execute(place, "CREATE TABLE sessions (session_key TEXT PRIMARY KEY, data BLOB)")
        code, out, err = run("list")
        assert (code, out) == (1, "")
        assert "DROP TABLE sessions" in err
        assert "Traceback" not in err

    @pytest.mark.parametrize(
        ("before", "after", "word"),
        [
            ("version BIGINT NOT NULL", "version BIGINT NOT NULL, site INTEGER NOT NULL", "site"),
            ("PRIMARY KEY (session_key)", "UNIQUE (session_key)", "primary key"),
        ],
    )
    def test_table_that_is_not_ours(self, place: Place, run: Run, before: str, after: str, word: str) -> None:
        place.store.create_table()
        with sqlite3.connect(place.database) as connection:
            (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'sessions'").fetchone()
        connection.close()
        assert before in made
        self._execute(place, "DROP TABLE sessions")
        self._execute(place, made.replace(before, after))
        code, out, _ = run("check")
        assert code == 1
        assert word in out

    @pytest.mark.parametrize(("ahead", "status"), [(0, "ok"), (4, "ok"), (7, "failed"), (-7, "failed"), (None, "ok")])
    def test_clock(
        self, filled: Place, run: Run, monkeypatch: pytest.MonkeyPatch, ahead: int | None, status: str
    ) -> None:
        monkeypatch.setattr(SQLStore, "clock", lambda self: None if ahead is None else time() + ahead)
        code, out, _ = run("check")
        assert code == int(status == "failed")
        assert f"{status:8}clock" in out

    @pytest.mark.parametrize(
        ("secret", "status"),
        [
            ("abcabcab" * 4, "warning"),
            (f"{SECRET} {'x' * 32}", "warning"),
            ("for-development-only-and-known-to-everyone", "warning"),
            (f"{SECRET} {SECRET[::-1]}", "ok"),
        ],
    )
    def test_secret(self, place: Place, run: Run, secret: str, status: str) -> None:
        place.configure(sessionkit__secret=secret)
        assert statuses(run)["secret"] == status
        _, out, err = run("check")
        assert secret.split()[-1] not in out + err

    @pytest.mark.parametrize(
        ("name", "value", "status"),
        [
            ("secure", "false", "warning"),
            ("httponly", "false", "warning"),
            ("samesite", "None", "warning"),
            ("secure", "true", "ok"),
        ],
    )
    def test_cookie(self, place: Place, run: Run, name: str, value: str, status: str) -> None:
        place.configure(**{f"sessionkit__cookie_{name}": value})
        assert statuses(run)["cookie"] == status
        assert run("check")[0] == 0

    def test_other_stores(self, place: Place, run: Run) -> None:
        place.configure(sessionkit__store="memory")
        assert statuses(run) == {"settings": "ok", "store": "warning", "secret": "ok", "cookie": "ok"}
        place.configure(sessionkit__store="tests.scripts.test_psessions.bare_store")
        assert statuses(run)["store"] == "ok"

    def test_unreachable(self, place: Place, run: Run) -> None:
        place.configure(
            sessionkit__sql__url="sqlite:////no/such/folder/s.sqlite", sessionkit__sql__create_table="false"
        )
        code, out, _ = run("check")
        assert code == 3
        assert "failed  store" in out
        assert "ok      secret" in out

    @pytest.mark.parametrize(("up", "status"), [(True, "ok"), (False, "warning")])
    def test_cache(self, filled: Place, up: bool, status: str) -> None:
        asked = []

        def call(key: str, command: Callable[[Any], Any], again: bool) -> None:
            asked.append(key)
            if not up:
                raise StoreUnavailable("memcached at one cannot be reached")
            command(SimpleNamespace(version=lambda: b"1"))

        nodes = SimpleNamespace(servers=("one", "two"), node_of=lambda key: int(key, 16) % 2, call=call)
        store = SimpleNamespace(sql=filled.store, cache=SimpleNamespace(nodes=nodes))
        results, reachable = checks.all_checks(parse_settings({"sessionkit.secret": SECRET}), store)
        assert reachable
        assert {result.check: result.status for result in results}["cache"] == status
        assert len(asked) == (2 if up else 1)

    def test_table_that_cannot_be_inspected(self, tmp_path: Path) -> None:
        engine = create_engine(f"sqlite:///{tmp_path}/missing/s.sqlite")
        assert checks._table("sessions", engine).status == "failed"
        engine.dispose()

    def _execute(self, place: Place, statement: str) -> None:
        with place.store.engine.connect() as connection:
            connection.execute(text(statement))


class TestRefusals:
    @pytest.mark.parametrize(
        "argv", [["list"], ["show", ADA], ["revoke", ADA], ["count"], ["purge"], ["create-table"], ["check"]]
    )
    @pytest.mark.parametrize("create_table", ["true", "false"])
    def test_outage(self, place: Place, run: Run, argv: list[str], create_table: str) -> None:
        place.configure(
            sessionkit__sql__url="sqlite:////no/such/folder/s.sqlite", sessionkit__sql__create_table=create_table
        )
        code, out, err = run(*argv)
        assert code == 3
        assert not out or argv == ["check"]
        assert "cannot be reached" in out + err

    def test_missing_table(self, place: Place, run: Run) -> None:
        place.configure(sessionkit__sql__create_table="false")
        code, out, err = run("list")
        assert (code, out) == (1, "")
        assert "sessions is missing" in err

    @pytest.mark.parametrize("argv", [["list"], ["count"], ["purge"], ["show", "Ad1"], ["create-table"]])
    def test_not_supported(self, place: Place, run: Run, argv: list[str]) -> None:
        place.configure(sessionkit__store="tests.scripts.test_psessions.bare_store")
        code, out, err = run(*argv)
        assert (code, out) == (1, "")
        assert "This store" in err

    def test_whole_key_needs_no_index(self, place: Place, run: Run) -> None:
        place.configure(sessionkit__store="tests.scripts.test_psessions.bare_store")
        assert "No session that is alive" in run("show", ADA)[2]

    def test_memory_is_told(self, place: Place, run: Run) -> None:
        place.configure(sessionkit__store="memory")
        code, out, err = run("list")
        assert (code, out) == (0, "No sessions\n")
        assert "memory of the server's process" in err

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"sessionkit__secret": "short"}, "sessionkit.secret"),
            ({"sessionkit__secret": None}, "sessionkit.secret is missing"),
            ({"sessionkit__tmeout": "5m"}, "did you mean sessionkit.timeout?"),
            ({"without": "1"}, "config.include"),
        ],
    )
    def test_bad_settings(self, place: Place, run: Run, changes: dict[str, str | None], word: str) -> None:
        place.configure(**changes)
        code, out, err = run("check")
        assert (code, out) == (2, "")
        assert word in err.splitlines()[-1]
        assert "Traceback" not in err

    def test_bad_ini_files(self, place: Place, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([f"{place.ini}#other", "list"]) == 2
        assert main([str(place.ini.with_name("missing.ini")), "list"]) == 2
        assert main(["what:ever", "list"]) == 2
        place.ini.write_text("no section\n")
        assert main([str(place.ini), "list"]) == 2
        assert "Traceback" not in capsys.readouterr().err

    def test_variables(self, filled: Place, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        filled.configure(sessionkit__sql__url="sqlite:///%(DATABASE)s")
        code, _, err = run("count")
        assert code == 2
        assert "sessionkit.sql.url in the ini file needs a variable: give --var DATABASE=VALUE" in err
        assert main([str(filled.ini), "--var", f"DATABASE={filled.database}", "count"]) == 0
        assert "3 alive" in capsys.readouterr().out
        with pytest.raises(SystemExit):
            run("--var", "DATABASE", "count")

    @pytest.mark.parametrize("line", ["sessionkit.secret = 100%of-my-secret", "of-my-secret", "[of-my-secret"])
    def test_bad_lines_are_not_repeated(self, place: Place, run: Run, line: str) -> None:
        with place.ini.open("a") as file:
            file.write(f"{line}\n")
        if line.startswith("sessionkit"):
            place.configure(sessionkit__secret="100%of-my-secret")
        code, out, err = run("list")
        assert (code, out) == (2, "")
        assert "cannot be read" in err
        assert "of-my-secret" not in err

    def test_errors_of_the_application_are_its_own(self, place: Place) -> None:
        place.ini.write_text("[app:main]\nuse = call:tests.scripts.test_psessions:failing_app\n")
        with pytest.raises(KeyError):
            main([str(place.ini), "list"])

    @pytest.mark.parametrize(
        "argv",
        [
            [],
            ["dance"],
            ["show"],
            ["revoke"],
            ["revoke", ADA, "--all"],
            ["revoke", "--user", "ada", "--all"],
            ["list", "--limit", "0"],
            ["purge", "--batch", "many"],
        ],
    )
    def test_wrong_usage(self, place: Place, run: Run, argv: list[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            run(*argv)
        assert stopped.value.code == 2

    def test_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        for argv, word in (["--help"], "examples:"), (["app.ini", "show", "--help"], "private"):
            with pytest.raises(SystemExit) as stopped:
                main(argv)
            assert stopped.value.code == 0
            assert word in capsys.readouterr().out

    @pytest.mark.parametrize("missing", ["rich", "something_else"])
    def test_missing_rich(self, place: Place, run: Run, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
        def refuse(name: str, *args: Any) -> Any:
            if name.startswith("rich") or name.endswith("scripts.output"):
                raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
            return real(name, *args)

        real = builtins.__import__
        monkeypatch.setattr(builtins, "__import__", refuse)
        if missing == "rich":
            assert run("list") == (2, "", 'psessions needs rich: pip install "pyramid_sessionkit[scripts]"\n')
        else:
            with pytest.raises(ModuleNotFoundError):
                run("list")


def failing_app(global_config: dict[str, str], **settings: Any) -> Any:
    raise KeyError("something of the application")


@pytest.mark.parametrize(
    ("seconds", "hint"),
    [(0, "now"), (59, "in 59s"), (60, "in 1m"), (-3599, "59m ago"), (-7200, "2h ago"), (86400 * 400, "in 400d")],
)
def test_relative_times(seconds: int, hint: str) -> None:
    assert output.relative(seconds) == hint
