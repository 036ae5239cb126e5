"""Eve is logged in and tries everything on every route: what is Ada's stays as it is, and stays hers to see."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from pyramid.interfaces import IRoutesMapper
from pyramid.router import Router
from webtest import TestApp, TestResponse

from pyramid_sessionkit import get_sessions
from tests.functional.browsing import add_to_cart, csrf_header, fill_in, log_in, make_token, sign_up, user_shown
from tests.test_sources import basic, bearer

ADA, EVE = 1, 3
OF_ADA = "nobody-else-reads-this"
PASSWORD = "a long one"
NEVER = 2**31

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

Fields = dict[str, Any]


class Visit(NamedTuple):
    """What is done on a route, as it should be. Values are filled in with what is Eve's own."""

    method: str
    fields: Fields | None = None
    json: bool = False
    status: int = 200


PAGE = Visit("GET")

# A new route has to be added here, and each method that it answers to.
VISITS: dict[str, list[Visit]] = {
    "__static/": [PAGE],
    "home": [PAGE],
    "signup": [PAGE, Visit("POST", {"name": "Mallory", "email": "{new_email}", "password": PASSWORD}, status=303)],
    "login": [
        PAGE,
        Visit("POST", {"email": "eve@example.com", "password": PASSWORD}, status=303),
    ],
    "logout": [Visit("POST", {}, status=303)],
    "confirm": [PAGE, Visit("POST", {"password": PASSWORD}, status=303)],
    "cart": [PAGE],
    "cart_add": [Visit("POST", {"item": "ink", "quantity": "1"}, status=303)],
    "cart_remove": [Visit("POST", {"item": "ink", "quantity": "1"}, status=303)],
    "dashboard": [PAGE],
    "messages": [PAGE, Visit("POST", {"text": "of Eve"}, status=303)],
    "message_delete": [Visit("POST", {}, status=303)],
    "profile": [PAGE, Visit("POST", {"name": "Eve", "location": "Oslo"}, status=303)],
    "reset": [PAGE, Visit("POST", {"email": "eve@example.com"}, status=303)],
    "reset_password": [PAGE, Visit("POST", {"new": PASSWORD}, status=303)],
    "email": [PAGE, Visit("POST", {"email": "{new_email}"}, status=303)],
    "email_confirm": [PAGE, Visit("POST", {}, status=303)],
    "delete_account": [PAGE, Visit("POST", {}, status=303)],
    "password": [PAGE, Visit("POST", {"current": PASSWORD, "new": PASSWORD}, status=303)],
    "devices": [PAGE],
    "devices_log_out_others": [PAGE, Visit("POST", {}, status=303)],
    "device_log_out": [Visit("POST", {}, status=303)],
    "admin": [Visit("GET", status=403)],
    "admin_revoke": [Visit("POST", {}, status=403)],
    "admin_log_out_user": [Visit("POST", {}, status=403)],
    "tokens": [PAGE, Visit("POST", {"name": "of Eve"})],
    "token_revoke": [Visit("POST", {}, status=303)],
    "health": [PAGE],
    "api_description": [PAGE],
    "api_session": [PAGE],
    "api_login": [Visit("POST", {"email": "eve@example.com", "password": PASSWORD}, json=True)],
    "api_logout": [Visit("POST", {})],
    "api_me": [PAGE, Visit("PUT", {"name": "Eve", "location": "Oslo"}, json=True)],
    "api_cart": [PAGE],
    "api_cart_item": [Visit("PUT", {"quantity": 2}, json=True), Visit("DELETE", {}, status=204)],
    "api_devices": [PAGE, Visit("DELETE", {}, status=204)],
    "api_device": [Visit("DELETE", {}, status=204)],
}

GATED = {"dashboard", "messages", "profile", "password", "devices", "admin", "confirm", "tokens"}
GATED |= {"email", "email_confirm", "delete_account", "devices_log_out_others", "admin_revoke", "admin_log_out_user"}
GATED |= {"api_me", "api_devices", "api_device"}

# How Ada's id may be written, and what may be taken for it.
IDS = ["1", " 1", "1.0", "01", "\u0661", "1 OR 1=1", "-1", str(2**63), "9" * 400, "ada@example.com", "*", ""]
MORE_IDS = ["2", "1 ", "+1", "1e0", "0x1", "1_0", "\uff11", "1\0", "1' OR '1'='1", "1,3", "0", "9" * 9, "%", "null"]
NAMES = ["id", "ID", "user", "user_id", "userid", "user-id", "user.id", "uid", "owner", "owner_id", "message", "key"]
FORGED_FIELDS = [*(dict.fromkeys(NAMES, id_) for id_ in IDS), {"role": "admin"}, {"email": "ada@example.com"}]

USER_HEADERS = ["User-Id", "X-User", "X-Userid", "X-User-Id", "X-Forwarded-User", "Remote-User", "X-Remote-User"]
FORGED_HEADERS = [
    *(dict.fromkeys([*USER_HEADERS, "X-Owner", "From"], id_) for id_ in ("1", "ada@example.com")),
    {"X-Original-URL": "/admin", "X-Rewrite-URL": "/admin", "X-Forwarded-For": "127.0.0.1"},
    basic("demo", "ada@example.com"),
    basic("demo", "1"),
    bearer("1"),
]
OVERRIDES = ("PUT", "DELETE")

# The library reads the cookie before it is known what view there is: one of each sort of view is enough.
BY_COOKIE = {"home", "login", "messages", "profile", "devices", "logout", "admin"}
BY_COOKIE |= {"api_session", "api_me", "api_devices"}


class Attempt(NamedTuple):
    """What is done otherwise than it should be."""

    query: list[tuple[str, Any]] = []
    fields: list[tuple[str, Any]] = []
    headers: dict[str, str] = {}
    path: dict[str, str] = {}
    behind: str = ""


class Eve:
    """She does what a route is for, in her own way. Before each visit all of hers is as it was at the beginning."""

    def __init__(self, app: Router, databases: sqlite3.Connection) -> None:
        self.browser = TestApp(app)
        self._databases = databases
        self._routes = app.registry.getUtility(IRoutesMapper)
        self._numbers = count(1)
        self._left: list[Any] = []
        sign_up(self.browser, name="Eve", email="eve@example.com", password=PASSWORD)
        add_to_cart(self.browser, "ink")
        self.token = csrf_header(self.browser.get("/"))
        self.cookie = self.browser.cookies["session"]
        (self._session,) = databases.execute("SELECT * FROM sessions WHERE userid = '3'")
        (self._user,) = databases.execute("SELECT * FROM users WHERE id = 3")
        self.key = self._session[0]

    def log_out(self) -> None:
        """She keeps her cookie and has the token of nobody in particular."""
        columns = [name for _, name, *_ in self._databases.execute("PRAGMA other.table_info(sessions)")]
        nobody = dict.fromkeys(("userid", "authenticated", "credentials"))
        self._session = tuple({**dict(zip(columns, self._session, strict=True)), **nobody}.values())
        self._begin_anew()
        self.token = csrf_header(self.browser.get("/login"))

    def _begin_anew(self) -> None:
        self.browser.reset()
        self.browser.set_cookie("session", self.cookie.strip('"'))
        # Most attempts write nothing.
        if self._left != [self._session, *self._written()]:
            self._put_back()
            self._left = [self._session, *self._written()]

    def _written(self) -> list[Any]:
        """Another answer each time that the application has written to one of the databases."""
        return [self._databases.execute(f"PRAGMA {name}.data_version").fetchone() for name in ("main", "other")]

    def _put_back(self) -> None:
        with self._databases:
            for table, row in (("sessions", self._session), ("users", self._user)):
                values = ", ".join("?" * len(row))
                self._databases.execute(f"REPLACE INTO {table} VALUES ({values})", row)
            self._databases.execute("DELETE FROM login_attempts")
            self._databases.execute("DELETE FROM mailed_links")
            for purpose in ("reset_password", "email_confirm"):
                link = (sha256(token_of(purpose).encode()).hexdigest(), purpose, self._user[-1], NEVER)
                self._databases.execute("INSERT INTO mailed_links VALUES (?, ?, 3, ?, 'eve@example.com', ?)", link)
            self._databases.execute("DELETE FROM messages WHERE user_id > 2")
            self._databases.execute("INSERT INTO messages VALUES (9, 3, 'of Eve')")
            self._databases.execute("DELETE FROM api_tokens WHERE user_id > 2")
            self._databases.execute(
                "INSERT INTO api_tokens VALUES (9, 3, 'of Eve', 'example_', 'hash of Eve', 1, NULL)"
            )

    def visit(self, route: str, visit: Visit, attempt: Attempt) -> TestResponse:
        self._begin_anew()
        fields = dict(visit.fields or {})
        if "email" in fields:
            fields["email"] = fields["email"].format(new_email=f"mallory{next(self._numbers)}@example.com")
        own = {"id": "9", "key": self.key, "subpath": "site.css", "item": "ink", "token": token_of(route)}
        path = self._routes.get_route(route).generate({**own, **attempt.path}) + attempt.behind
        headers = {**self.token, **attempt.headers}
        body = ""
        if visit.json:
            headers["Content-Type"] = "application/json"
            body = json.dumps({**fields, **dict(attempt.fields)})
        elif visit.fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode([*fields.items(), *attempt.fields, *fields.items()])
        query = f"?{urlencode(attempt.query)}" if attempt.query else ""
        return self.browser.request(path + query, method=visit.method, body=body.encode(), headers=headers, status="*")


@pytest.fixture
def databases(app: Router, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Both, beside the application."""
    connection = sqlite3.connect(tmp_path / "example.sqlite")
    connection.execute("ATTACH ? AS other", (f"{tmp_path}/sessions.sqlite",))
    for name in ("main", "other"):
        connection.execute(f"PRAGMA {name}.synchronous = OFF")
    # The one of example.sqlite, which is empty: development.ini gives the sessions a file of their own.
    connection.execute("DROP TABLE main.sessions")
    yield connection
    connection.close()


def token_of(purpose: str) -> str:
    """That of Eve's link for this."""
    return purpose.ljust(43, "-")


class Ada(NamedTuple):
    cookie: str
    key: str
    secrets: list[bytes]


@pytest.fixture
def ada(app: Router) -> Ada:
    """She has a location, messages, a cart, two devices and an API token."""
    browser = TestApp(app, extra_environ={"REMOTE_ADDR": "192.0.2.77"})
    for device in (TestApp(app), browser):
        log_in(device)
    fill_in(browser.get("/profile"), "profile", {"name": "Ada", "location": OF_ADA}, status=303)
    for text in (f"first {OF_ADA}", f"second {OF_ADA}"):
        fill_in(browser.get("/messages"), "post", {"text": text}, status=303)
    add_to_cart(browser, "pencil", 7)
    api_token = make_token(browser, f"token {OF_ADA}")
    cookie = browser.cookies["session"].strip('"')
    keys = [session.key for session in get_sessions(app.registry).of_user(str(ADA))]
    keys.sort(key=lambda key: not cookie.startswith(key))
    token = csrf_header(browser.get("/"))["X-CSRF-Token"]
    # The first eight characters of a key are what pages show of it.
    _, secret, signature = cookie.split(".")
    secrets = [OF_ADA, "192.0.2.77", secret, signature, token, api_token, *(key[:8] for key in keys)]
    return Ada(cookie, keys[0], [secret.encode() for secret in secrets])


@pytest.fixture
def eve(app: Router, ada: Ada, databases: sqlite3.Connection) -> Eve:
    log_in(TestApp(app), "bob@example.com")
    return Eve(app, databases)


@pytest.fixture
def of_others(databases: sqlite3.Connection) -> Callable[[], Any]:
    """Reads all rows of Ada and Bob, their sessions among them."""

    def read() -> Any:
        tables = {"users": "id", "messages": "user_id", "api_tokens": "user_id", "sessions": "userid"}
        return {
            table: databases.execute(f"SELECT * FROM {table} WHERE CAST({owner} AS INTEGER) < 3").fetchall()
            for table, owner in tables.items()
        }

    return read


def pattern_of(app: Router, route: str) -> str:
    return str(app.registry.getUtility(IRoutesMapper).get_route(route).pattern)


def methods_of(app: Router) -> dict[str, set[str]]:
    """To what each route answers."""
    routes = app.registry.getUtility(IRoutesMapper).get_routes(include_static=True)
    found: dict[str, set[str]] = {route.name: set() for route in routes}
    for view in app.registry.introspector.get_category("views"):
        route, methods = view["introspectable"]["route_name"], view["introspectable"]["request_methods"]
        if route in found:
            found[route] |= {methods} if isinstance(methods, str) else set(methods or METHODS)
    for file in ("__static/", "api_description"):
        found[file] = {"GET"}  # in truth all: whatever is asked, it sends a file
    return found


def test_all_routes_are_visited(app: Router) -> None:
    assert {name: {visit.method for visit in visits} for name, visits in VISITS.items()} == methods_of(app)


def test_eve_may_do_what_is_hers(eve: Eve) -> None:
    """Else the attempts below would fail for another reason than they should."""
    for route, visits in VISITS.items():
        for visit in visits:
            assert eve.visit(route, visit, Attempt()).status_int == visit.status, (route, visit)


def attempts(ada: Ada, eve: Eve, route: str, visit: Visit) -> Iterator[Attempt]:
    for forged in FORGED_FIELDS:
        pairs = list(forged.items())
        yield Attempt(query=pairs)
        if visit.fields is not None:
            yield Attempt(fields=pairs)
    hers, own = [(name, ADA) for name in NAMES], [(name, EVE) for name in NAMES]
    for pairs in (own + hers, hers + own):
        yield Attempt(pairs, pairs)
    yield Attempt(fields=[(name, {"id": ADA}) for name in NAMES])
    for method in OVERRIDES:
        pairs = [("_method", method)]
        yield Attempt(pairs, pairs, {"X-HTTP-Method-Override": method, "X-Method-Override": method})
    for headers in FORGED_HEADERS:
        yield Attempt(headers=headers)
    for cookie in forged_cookies(ada.cookie, ada.key, eve.cookie.strip('"')) if route in BY_COOKIE else []:
        yield Attempt(headers={"Cookie": f"session={cookie}; session={eve.cookie}"})
        yield Attempt(headers={"Cookie": f"session={eve.cookie}; session={cookie}; userid=1; user_id=1"})


def forged_cookies(ada: str, key: str, eve: str) -> list[str]:
    """What Eve could try who knows Ada's key, and what only somebody could who knows Ada's secret."""
    _, secret, signature = ada.split(".")
    _, secret_of_eve, signature_of_eve = eve.split(".")
    session_id = f"{key}.{secret}"
    made_up = [f"{key}.{secret_of_eve}.{signature_of_eve}", f"{key}.{'A' * 43}.{signature_of_eve}"]
    known = [session_id, f"{session_id}.{signature_of_eve}", f"{session_id}.{signature[::-1]}"]
    return ["1", key, f"{key}.{signature_of_eve}", *made_up, *known, f"-.{secret}.{signature}"]


def attempts_by_path(ada: Ada, has_names: bool) -> Iterator[Attempt]:
    keys = [ada.key, ada.key.upper(), ada.key[:8], f"{ada.key} ", ada.cookie, ada.cookie.rpartition(".")[0]]
    places = ["../example.sqlite", "../../example_app/development.ini", "/etc/passwd", "..%2f..%2fdevelopment.ini"]
    for name in [*IDS, *MORE_IDS, *keys, *places] if has_names else []:
        yield Attempt(path={"id": name, "key": name, "subpath": name, "item": name})
    for behind in ("/1", "/ada@example.com", "/..", ";id=1", "%00", "/", ".json", "?id=1#"):
        yield Attempt(behind=behind)


def check(ada: Ada, eve: Eve, route: str, visit: Visit, attempt: Attempt) -> TestResponse:
    answer = eve.visit(route, visit, attempt)
    sent = answer.request.as_bytes()
    answered = f"{answer.headers}".encode() + answer.body
    assert answer.status_int < 500, sent
    assert [secret for secret in ada.secrets if secret in answered and secret not in sent] == [], sent
    return answer


def test_what_is_sent_along_reaches_nobody_else(ada: Ada, eve: Eve, of_others: Callable[[], Any]) -> None:
    before = of_others()
    assert str(before).count(OF_ADA) == 4
    assert [len(rows) for rows in before.values()] == [2, 2, 1, 3]
    for route, visits in VISITS.items():
        for visit in visits:
            for attempt in attempts(ada, eve, route, visit):
                check(ada, eve, route, visit, attempt)
            assert of_others() == before, (route, visit)


def test_no_path_does(app: Router, ada: Ada, eve: Eve, of_others: Callable[[], Any]) -> None:
    before = of_others()
    for route, visits in VISITS.items():
        for visit in visits:
            for attempt in attempts_by_path(ada, "{" in pattern_of(app, route) or route == "__static/"):
                check(ada, eve, route, visit, attempt)
            assert of_others() == before, (route, visit)


def test_no_other_method_does(ada: Ada, eve: Eve, of_others: Callable[[], Any]) -> None:
    before = of_others()
    for route, visits in VISITS.items():
        known = {visit.method for visit in visits}
        known |= {"HEAD"} if "GET" in known else set()
        for method in sorted(METHODS - known):
            visit = Visit(method, None if method in ("GET", "HEAD") else {})
            for path in ({}, {"id": "1", "key": ada.key}):
                answer = check(ada, eve, route, visit, Attempt([("id", ADA)], [("id", ADA)], path=path))
                refused = 405 if route.startswith("api_") else 404
                assert answer.status_int == refused or route in ("__static/", "api_description"), (route, method)
    assert of_others() == before


def test_nobody_gets_in_by_saying_so(ada: Ada, eve: Eve, of_others: Callable[[], Any]) -> None:
    eve.log_out()
    before = of_others()
    for route, visits in VISITS.items():
        for visit in visits:
            for headers in FORGED_HEADERS:
                answer = check(ada, eve, route, visit, Attempt([("user_id", ADA)], headers=headers))
                if route in GATED:
                    assert answer.status_int == 401 or "/login" in answer.location, (route, headers)
            assert of_others() == before, (route, visit)


def test_eve_is_no_administrator_after_all_of_it(eve: Eve) -> None:
    for route in ("signup", "profile", "api_me"):
        for visit in VISITS[route]:
            for place in ("query", "fields"):
                eve.visit(route, visit, Attempt(**{place: [("role", "admin")]}))

    assert eve.browser.get("/admin", status=403).html.h1.text == "No permission"


def test_administrators_see_locations_but_no_messages(app: Router, browser: TestApp, eve: Eve) -> None:
    """That is what the page is for."""
    fill_in(eve.browser.get("/profile"), "profile", {"location": "where Eve is"}, status=303)
    fill_in(eve.browser.get("/messages"), "post", {"text": "what Eve wrote"}, status=303)
    log_in(browser)
    page = browser.get("/admin")

    assert "where Eve is" in page
    assert "what Eve wrote" not in page
    assert "what Eve wrote" not in browser.get("/messages")
    assert user_shown(page) == "Ada"
