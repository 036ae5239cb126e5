"""``psessions import``: visitors who come weeks later find their session."""

from __future__ import annotations

from time import time
from typing import Any

import pytest
from pyramid.interfaces import ISecurityPolicy
from pyramid.request import Request

from pyramid_sessionkit.adoption import Adopted, OldSessions
from tests.adoption.old_site import DictSessions, NewSite
from tests.scripts.test_psessions import SECRET, Place, Run, answer, place, run
from tests.stores.conftest import mariadb, postgresql

__all__ = ["mariadb", "place", "postgresql", "run"]

OLD = DictSessions()
HASHES: dict[str, str] = {}
DAY = 86400


class NeverLists(OldSessions):
    cookie = "old"

    def read(self, request: Any, token: str) -> Adopted | None:
        return None


NEVER_LISTS = NeverLists()


def credentials_hash(request: Any, identity: str) -> str:
    return HASHES[identity]


def key_prefix(request: Any) -> str:
    return "shop-"


@pytest.fixture(autouse=True)
def with_old_sessions(place: Place) -> None:
    OLD.records = {
        "of-ada": Adopted({"cart": ["apples"]}, userid=7, authenticated=time() - DAY),
        "of-bob": Adopted({"n": 1}, userid="bob", expires=time() + 30 * DAY),
        "of-nobody": Adopted({"n": 2}),
    }
    OLD.forgotten = []
    place.configure(sessionkit__adopt=f"{__name__}.OLD")


def site(place: Place, **settings: Any) -> NewSite:
    url = f"sqlite:///{place.database}"
    return NewSite(OLD, {"secret": SECRET, "store": "sql", "sql.url": url, **settings})


def test_it_says_what_it_did(run: Run) -> None:
    assert run("import") == (0, "3 sessions imported\n", "The application starts\n")
    assert run("import")[1] == "0 sessions imported; 3 had been adopted or imported before\n"
    assert answer(run, "import") == {"imported": 0, "known": 3, "refused": 0}


def test_a_dry_run_only_counts(run: Run, place: Place) -> None:
    assert run("import", "--dry-run")[1] == "3 sessions of the old library would be imported\n"
    assert place.store.count() == 0


def test_a_dry_run_leaves_out_what_is_here_already(run: Run) -> None:
    run("import")
    assert run("import", "--dry-run")[1] == "0 sessions of the old library would be imported\n"


def test_those_who_come_weeks_later_are_still_logged_in(
    run: Run, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("import")
    OLD.records = {}
    later = time() + 20 * DAY
    monkeypatch.setattr("time.time", lambda: later)
    for module in ("adoption.adopting", "adoption.new_records", "persistence", "stores.sql", "unit_of_work"):
        monkeypatch.setattr(f"pyramid_sessionkit.{module}.time", lambda: later)
    new = site(place)
    browser = new.browser(old="of-ada")
    record = new.store.load(browser.key("/show"))
    assert browser.get("/show").json == {"contents": {"cart": ["apples"]}, "userid": "7"}
    assert (record.timeout, record.deadline) == (1200, int(later) + 43200)
    bobs = new.store.load(new.browser(old="of-bob").key("/show"))
    assert bobs.deadline == pytest.approx(later + 10 * DAY, abs=5)
    assert new.browser(old="of-nobody").get("/show").json == {"contents": {"n": 2}, "userid": None}


def test_a_logout_ends_an_imported_session_for_good(run: Run, place: Place) -> None:
    run("import")
    new = site(place)
    browser = new.browser(old="of-ada")
    browser.get("/logout")
    assert new.browser(old="of-ada").get("/show").json["userid"] is None


def test_a_password_that_was_changed_since_ends_it(run: Run, place: Place) -> None:
    HASHES.update({"7": "first", "bob": "first"})
    place.configure(sessionkit__adopt=f"{__name__}.OLD", sessionkit__credentials_hash=f"{__name__}.credentials_hash")
    run("import")
    HASHES["bob"] = "second"
    new = site(place, credentials_hash=credentials_hash)
    assert new.browser(old="of-ada").get("/show").json["userid"] == "7"
    assert new.browser(old="of-bob").get("/show").json["userid"] is None


def test_what_cannot_be_imported_is_counted(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    OLD.records["bad"] = Adopted({}, userid=object())
    assert run("import")[1] == "3 sessions imported; 1 could not be (the log says why)\n"
    assert "An old session was not imported: ValueError: The old session has object" in caplog.text


def test_revoking_all_does_not_let_the_old_cookies_in(run: Run, place: Place) -> None:
    run("import")
    assert run("revoke", "--all", "--yes")[1] == "3 sessions revoked\n"
    assert site(place).browser(old="of-ada").get("/show").json["userid"] is None


@pytest.mark.parametrize(("page", "userid"), [("/logout", None), ("/login?name=7", None), ("/put", "7")])
def test_a_first_visit_beside_another_request_fits_it(run: Run, place: Place, page: str, userid: str | None) -> None:
    """Between its look at the session and the moment when the limits begin to count, the other comes."""
    run("import")
    new = site(place)
    persistence, other = new.factory.persistence, new.browser(old="of-ada")
    replace = persistence.replace

    def after_the_other(*args: Any) -> Any:
        persistence.replace = replace
        assert other.get(page).status_int == 200
        return replace(*args)

    persistence.replace = after_the_other
    browser = new.browser(old="of-ada")
    assert browser.get("/show").json["userid"] == userid
    assert browser.cookies.get("session") == (other.cookies["session"] if userid else None)


def test_a_list_has_sessions_and_no_marks(run: Run) -> None:
    run("import")
    for limit in ("1", "3", "100"):
        listed = [session["key"] for session in answer(run, "list", "--limit", limit)]
        assert len(listed) == min(3, int(limit))
        assert not [key for key in listed if key.startswith("adopted-")]


@pytest.mark.parametrize("command", ["show", "revoke"])
def test_marks_cannot_be_revoked(run: Run, place: Place, command: str) -> None:
    run("import")
    mark = next(key for key in place.store.find_keys("adopted-", 1))
    assert "No session that is alive has a key" in run(command, mark)[2]
    assert len(list(place.store.find_keys("adopted-", 9))) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "There is nothing to import from: set sessionkit.adopt"),
        ({"sessionkit__adopt": f"{__name__}.NEVER_LISTS"}, "NeverLists cannot list its sessions"),
        (
            {"sessionkit__adopt": f"{__name__}.OLD", "sessionkit__key_prefix": f"{__name__}.key_prefix"},
            "With sessionkit.key_prefix nobody knows",
        ),
    ],
)
def test_it_says_why_it_cannot(run: Run, place: Place, settings: dict[str, str], message: str) -> None:
    place.configure(**settings)
    code, out, err = run("import")
    assert (code, out) == (1, "")
    assert message in err


def test_what_a_visitor_adopts_meanwhile_is_not_imported(
    run: Run, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = site(place, **{"sql.create_table": "true"})
    adoption = new.factory.adoption
    stored = adoption._stored

    def overtaken(token: str, *args: Any, **kw: Any) -> Any:
        monkeypatch.undo()
        new.browser(old=token).get("/put")
        return stored(token, *args, **kw)

    monkeypatch.setattr(adoption, "_stored", overtaken)
    assert adoption.import_one("of-ada", OLD.records["of-ada"], None) is False
    assert [key for key, _ in place.store.live_sessions(9) if not key.startswith("adopted-")] == [
        key for key, _ in place.store.sessions_of("7")
    ]
    assert len(list(place.store.sessions_of("7"))) == 1


def test_a_replaced_secret_imports_nothing_twice(run: Run, place: Place) -> None:
    run("import")
    place.configure(sessionkit__adopt=f"{__name__}.OLD", sessionkit__secret=f"{'n' * 40} {SECRET}")
    assert run("import")[1] == "0 sessions imported; 3 had been adopted or imported before\n"


def test_users_see_imported_sessions_among_theirs(run: Run, place: Place) -> None:
    HASHES.update({"7": "first", "bob": "first"})
    run("import")
    new = site(place, credentials_hash=credentials_hash)
    browser = new.browser()
    browser.get("/login?name=7")
    assert len(browser.get("/devices").json["keys"]) == 2


@pytest.mark.servers
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_databases_take_what_is_imported(database: str, request: pytest.FixtureRequest) -> None:
    """SQLite does not look how long text is."""
    settings = {"store": "sql", "sql.url": request.getfixturevalue(database).url, "sql.create_table": "true"}
    new = NewSite(OLD, {**settings, "sql.table": "imported", "credentials_hash": credentials_hash})
    HASHES.update({"7": "first"})
    hashed = new.app.registry.getUtility(ISecurityPolicy).credentials_of(Request.blank("/"), "7")
    assert new.factory.adoption.import_one("of-ada", OLD.records["of-ada"], hashed) is True
    assert new.browser(old="of-ada").get("/show").json["userid"] == "7"
    HASHES["7"] = "second"
    assert new.browser(old="of-ada").get("/show").json["userid"] is None
