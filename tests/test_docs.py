"""The samples of the documentation, run as they are shown there."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from time import time
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.paster import get_appsettings
from pyramid.request import Request
from pyramid.security import remember
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
from webtest import TestApp

import pyramid_sessionkit
from pyramid_sessionkit import get_sessions
from pyramid_sessionkit.contents.merge import merge
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.settings import PREFIX, options, parse_settings
from pyramid_sessionkit.stores.sql import sessions_table
from pyramid_sessionkit.testing import make_session
from pyramid_sessionkit.testing.conformance import make_record
from tests.conftest import SECRET
from tests.cookie_age import lasts
from tests.sealing.site import KEY, OTHER_KEY
from tests.test_sources import basic, bearer

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PRODUCTION = ROOT / "example_app" / "production.ini"


class Block(NamedTuple):
    """A block of code of a page; ``line`` is that of its first line, ``caption`` the file that it belongs into."""

    language: str
    name: str
    caption: str
    line: int
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        directive = re.fullmatch(r"( *)\.\. code-block:: (\w+)", line)
        if directive is None:
            continue
        indent, language = directive[1] + "   ", directive[2]
        inside = list(takewhile(lambda text: not text or text.startswith(indent), lines[number + 1 :]))  # noqa: B023
        head = list(takewhile(bool, inside))
        options = dict(line.strip().removeprefix(":").split(": ", 1) for line in head)
        text = dedent("\n".join(inside[len(head) :])).strip("\n") + "\n"
        yield Block(language, options.get("name", ""), options.get("caption", ""), number + 3 + len(head), text)


def named_blocks(page: str) -> dict[str, Block]:
    """The blocks of a page that have a name, in the order of the page."""
    return {block.name: block for block in blocks_of(DOCS / page) if block.name}


def module_of(page: str, *names: str, **given: Any) -> ModuleType:
    """A module with these blocks of a page, which finds in it what an application is supposed to have."""
    module = ModuleType("_".join(["sample", *names]).replace("-", "_"))
    sys.modules[module.__name__] = module  # where config.scan looks
    vars(module).update(given)
    blocks = named_blocks(page)
    for name in names:
        # As if it were in the page, which tracebacks then show.
        code = compile("\n" * (blocks[name].line - 1) + blocks[name].text, str(DOCS / page), "exec")
        exec(code, vars(module))
    return module


PAGES = [*sorted(DOCS.glob("**/*.rst")), ROOT / "README.rst"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_all_samples_are_python(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            ast.parse(block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_block_says_what_it_is(page: Path) -> None:
    """What only ends in two colons would be highlighted as whatever is the default where it is shown."""
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.endswith("::") and not line.lstrip().startswith("..")] == []


def test_readme_shows_the_example_application() -> None:
    readme = (ROOT / "README.rst").read_text(encoding="utf-8")
    picture, alt = re.search(r"\.\. image:: (\S+)\n +:alt: (.+)", readme).groups()
    assert (ROOT / picture).read_bytes().startswith(b"\x89PNG")
    assert len(alt) > 30
    assert readme.index(picture) < readme.index("Try it\n---")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_all_settings_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    of_postgresql = {"sessionkit.userid", "sessionkit.unowned"}
    known = {name for name, _ in options()} | of_postgresql
    named = set(re.findall(r"\bsessionkit\.[a-z_]+(?:\.[a-z_]+)*[a-z]\b(?![_.(])", text))
    assert {name for name in named - known if not name.startswith("sessionkit.custom")} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_in_samples_are_taken(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SESSION_SECRET", "OLD_SESSION_SECRET"):
        monkeypatch.setenv(name, SECRET)
    for name, seal_key in (("SEAL_KEY", KEY), ("OLD_SEAL_KEY", OTHER_KEY)):
        monkeypatch.setenv(name, seal_key)
    for block in blocks_of(page):
        if block.language == "ini":
            lines = [line.partition(" = ") for line in block.text.splitlines() if line.startswith(PREFIX)]
            parse_settings({PREFIX + "secret": SECRET, **{name: value for name, _, value in lines}})


def shown_functions(name: str) -> dict[str, str]:
    """What a function does wherever the docs or the example show it, without types, docstring and guard."""
    sources = {
        f"{page.name}:{block.line}": block.text
        for page in PAGES
        for block in blocks_of(page)
        if block.language == "python"
    }
    sources["example_app"] = (ROOT / "example_app" / "models" / "__init__.py").read_text(encoding="utf-8")
    return {
        place: re.sub(r"guard\((\w+), request(, policies=True)?\)", r"\1", ast.unparse(without_docstring(node)))
        for place, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == name
    }


def without_docstring(function: ast.FunctionDef) -> Any:
    return function.body[1:] if ast.get_docstring(function) else function.body


@pytest.mark.parametrize(
    ("function", "places"),
    [
        ("dbsession", {"README.rst", "tutorial.rst", "owned.rst", "joined.rst", "example_app"}),
        ("get_tm_session", {"tutorial.rst", "joined.rst", "example_app"}),
    ],
)
def test_the_database_session_is_the_same_everywhere(function: str, places: set[str]) -> None:
    found = shown_functions(function)
    assert places <= {place.partition(":")[0] for place in found}
    assert len(set(found.values())) == 1, found


class Tutorial:
    """The file that readers of the tutorial have at its end, or after one of its steps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.blocks = named_blocks("tutorial.rst")
        self.steps = sorted({name.split("-")[1] for name in self.blocks})
        self.modules: list[ModuleType] = []

    def text(self, last_step: str) -> str:
        """``main`` stays at the end, and a later one takes its place; all else is put above it."""
        parts, main, ending = [], "", ""
        for name, block in self.blocks.items():
            if name.split("-")[1] > last_step:
                break
            if name.endswith("-main"):
                main, _, rest = block.text.partition("\n\nif __name__")
                ending = ending or f"if __name__{rest}"
            else:
                parts.append(block.text)
        return "\n\n".join([*parts, main, ending])

    def start(self, last_step: str | None = None) -> TestApp:
        """Start it as it is after that step, or at the end."""
        step = last_step or self.steps[-1]
        name = f"tutorial_app_{step}_{len(self.modules)}"
        (self._folder / f"{name}.py").write_text(self.text(step), encoding="utf-8")
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        self.modules.append(module)
        return TestApp(module.main())


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tutorial]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    tutorial = Tutorial(tmp_path)
    yield tutorial
    for module in tutorial.modules:
        del sys.modules[module.__name__]
        if hasattr(module, "engine"):
            module.engine.dispose()


def send_credentials(browser: TestApp, address: str, email: str, status: int = 303) -> Any:
    form = browser.get(address).forms["credentials"]
    form["email"], form["password"] = email, "correct horse"
    return form.submit(status=status)


def log_out(browser: TestApp) -> None:
    assert browser.get("/cart").forms[0].submit(status=303).location == "http://localhost/"


def test_the_tutorial_works_after_each_step(tutorial: Tutorial) -> None:
    assert tutorial.steps == list("1234567")
    for step in tutorial.steps:
        assert tutorial.start(step).get("/").text == "You were here 1 times."


class TestTutorial:
    @pytest.fixture
    def browser(self, tutorial: Tutorial) -> TestApp:
        return tutorial.start()

    def test_sign_up(self, browser: TestApp) -> None:
        answer = send_credentials(browser, "/signup", "ada@example.com")
        assert answer.location == "http://localhost/dashboard"
        assert "<b>ada@example.com</b>" in answer.follow().text
        assert "There is an account" in send_credentials(browser, "/signup", "ada@example.com", 400).text
        assert "8 characters" in send_credentials(browser, "/signup", "ada", 400).text

    def test_the_gate_leads_to_the_login_and_back(self, browser: TestApp) -> None:
        send_credentials(browser, "/signup", "ada@example.com")
        log_out(browser)
        gate = browser.get("/dashboard?tab=2", status=303)
        assert gate.location == "http://localhost/login?next=%2Fdashboard%3Ftab%3D2"
        send_credentials(browser, gate.location, "bob@example.com", 400)
        answer = send_credentials(browser, gate.location, "ada@example.com")
        assert answer.location == "http://localhost/dashboard?tab=2"
        assert answer.follow().status_int == 200
        elsewhere = send_credentials(browser, "/login?next=//evil.example", "ada@example.com")
        assert elsewhere.location == "http://localhost/dashboard"

    def test_the_way_back_outlives_the_choice_to_sign_up(self, browser: TestApp) -> None:
        page = browser.get("/login?next=/cart&x=1").click("sign up")
        assert page.request.path_qs == "/signup?next=/cart&x=1"

    def test_put_changes_the_own_row_alone(self, tutorial: Tutorial, browser: TestApp) -> None:
        for email in ("bob@example.com", "ada@example.com"):
            send_credentials(browser, "/signup", email)
        form = browser.get("/dashboard").forms["location"]
        token = {"X-CSRF-Token": form["csrf_token"].value}
        assert browser.put_json("/me?id=1", {"location": "<Turin>", "id": 1}, headers=token).json == {"updated": 1}
        assert browser.get("/dashboard").forms["location"]["location"].value == "<Turin>"
        with tutorial.modules[0].engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT email, location FROM users ORDER BY id").all()
        assert rows == [("bob@example.com", ""), ("ada@example.com", "<Turin>")]
        browser.put_json("/me", {"location": "Turin"}, status=400)
        for body in (b"{", b"[]", b'{"location": 1}', b"\xff"):
            browser.put("/me", body, headers=token, content_type="application/json", status=400)

    @pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html"])
    def test_put_of_nobody(self, browser: TestApp, accept: str) -> None:
        browser.put_json("/me", {"location": "Turin"}, headers={"Accept": accept}, status=401)

    def test_the_cart_outlives_the_login_but_not_the_logout(self, browser: TestApp) -> None:
        for _ in range(2):
            page = browser.get("/cart").forms["cart"].submit("item", index=0, status=303)
        assert "<ul><li>2 apples</li></ul>" in page.follow().text
        send_credentials(browser, "/signup", "ada@example.com")
        assert "<li>2 apples</li>" in browser.get("/cart").text
        log_out(browser)
        assert "<ul></ul>" in browser.get("/cart").text
        browser.get("/dashboard", status=303)

    def test_a_restart_logs_nobody_out(self, tutorial: Tutorial, browser: TestApp) -> None:
        browser.get("/")
        send_credentials(browser, "/signup", "ada@example.com")
        browser.app = tutorial.start().app
        assert "ada@example.com" in browser.get("/dashboard").text
        assert browser.get("/").text == "You were here 2 times."


OWN_STORE = module_of("howto/own_store.rst", "own-store", "own-store-tests", "own-store-broken")

TestFileStore = OWN_STORE.TestFileStore
"""The conformance suite, as the page runs it on the store that it shows."""

test_our_tests_find_each_broken_store = OWN_STORE.test_our_tests_find_each_broken_store


def test_a_store_of_ones_own_by_its_settings(tmp_path: Path) -> None:
    settings = {
        "sessionkit.secret": SECRET,
        "sessionkit.store": OWN_STORE.create_store,
        "sessionkit.custom.folder": str(tmp_path / "sessions"),
    }
    browser = application(settings, lambda config: add_counter(config))
    assert [browser.get("/").json for _ in range(3)] == [1, 2, 3]
    (tmp_path / "sessions" / "lock").unlink()
    browser.get("/", status=503)


def test_old_records_load_when_records_have_more_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(namedtuple("Later", [*Record._fields, "colour"], defaults=[None, False, "blue"])):
        expires = Record.expires
        expired = Record.expired

    store = OWN_STORE.create_store({"sessionkit.custom.folder": tmp_path})
    created = store.create("a" * 22, make_record())
    monkeypatch.setattr(OWN_STORE, "Record", Later)
    assert store.load("a" * 22) == (*created, "blue")


def application(settings: dict[str, Any], *configure: Callable[[Configurator], Any]) -> TestApp:
    config = Configurator(settings={"sessionkit.secret": SECRET, **settings})
    config.include("pyramid_sessionkit")
    for step in configure:
        step(config)
    return TestApp(config.make_wsgi_app())


def add_counter(config: Configurator) -> None:
    config.add_route("count", "/")
    config.add_view(lambda request: request.session.apply("n", lambda n: n + 1, 0), route_name="count", renderer="json")


def add_login(config: Configurator) -> None:
    """``/login/ada`` for those samples that leave it out."""
    config.add_route("log_in", "/login/{name}")
    config.add_view(lambda request: remember(request, request.matchdict["name"]), route_name="log_in", renderer="json")


def scanned(module: ModuleType, **routes: str) -> Callable[[Configurator], None]:
    def configure(config: Configurator) -> None:
        for name, path in routes.items():
            config.add_route(name, path)
        config.scan(module)

    return configure


class SampleUser(SimpleNamespace):
    def has_password(self, password: str) -> bool:
        return password == self.password_hash

    def set_password(self, password: str) -> None:
        self.password_hash = password


class SampleAdmin:
    __acl__ = [("Allow", "group:admin", "admin")]


@pytest.fixture
def users() -> dict[str, SampleUser]:
    names = {"7": "ada", "8": "bob"}
    return {key: SampleUser(id=int(key), name=name, password_hash="old", groups=[]) for key, name in names.items()}


@pytest.fixture
def find_user(users: dict[str, SampleUser]) -> Callable[[Request, str], SampleUser | None]:
    return lambda request, userid: users.get(userid)


def test_principals(users: dict[str, SampleUser]) -> None:
    users["7"].groups = ["admin"]
    assert module_of("howto/add.rst", "add-principals").principals(None, users["7"]) == ["user:7", "group:admin"]


def test_the_landing_page(users: dict[str, SampleUser]) -> None:
    module = module_of("index.rst", "index-views", check_password=lambda request: users["7"])
    browser = application(
        {"sessionkit.login_route": "login"}, scanned(module, cart="/cart", login="/login", account="/account")
    )
    browser.post("/cart")
    assert browser.post("/cart").json == {"apples": 2}
    gate = browser.get("/account", status=303)
    assert browser.post(gate.location).location == "http://localhost/account"
    assert browser.get("/account").json == {"user": "7", "cart": {"apples": 2}}


class TestGates:
    @pytest.fixture
    def browser(self, users: dict[str, SampleUser]) -> TestApp:
        def fill_cart(request: Request) -> bool:
            request.session["cart"] = ["apples"]
            return True

        module = module_of(
            "howto/gate.rst",
            *("gate-views", "gate-login", "gate-confirm", "gate-api", "gate-permission"),
            check_password=lambda request: users["7"] if "right" in request.POST else None,
            is_password_of=lambda user, password: password == "right",
        )
        paths = {name: f"/{name}" for name in ("account", "payment", "checkout", "login", "confirm", "api")}
        return application(
            {
                "sessionkit.login_route": "login",
                "sessionkit.confirm_route": "confirm",
                "sessionkit.principals": lambda request, user: [],
            },
            lambda config: config.add_route("admin", "/admin", factory=lambda request: SampleAdmin()),
            lambda config: config.add_route("fill", "/fill"),
            lambda config: config.add_view(fill_cart, route_name="fill", renderer="json"),
            lambda config: config.set_default_csrf_options(require_csrf=False),
            scanned(module, **paths),
        )

    @pytest.mark.parametrize("path", ["/account", "/payment", "/admin"])
    def test_to_the_login_and_back(self, browser: TestApp, path: str) -> None:
        gate = browser.get(path, status=303)
        assert gate.location == f"http://localhost/login?next=%2F{path[1:]}"
        assert browser.post(gate.location, {"wrong": "1"}).location == gate.location
        assert browser.post(gate.location, {"right": "1"}).location == f"http://localhost{path}"
        browser.get(path, status=403 if path == "/admin" else 200)

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Accept": "*/*"}, 303),
            ({"Accept": "text/html"}, 303),
            ({"Accept": "application/json"}, 401),
            ({"X-Requested-With": "fetch"}, 401),
        ],
    )
    def test_what_happens_to_whom(self, browser: TestApp, headers: dict[str, str], status: int) -> None:
        answer = browser.get("/account", headers=headers, status=status)
        assert status == 303 or answer.content_type == "application/problem+json"

    def test_a_form_leads_back_to_its_page(self, browser: TestApp) -> None:
        answer = browser.post("/payment", headers={"Referer": "http://localhost/form?x=1"}, status=303)
        assert answer.location == "http://localhost/login?next=%2Fform%3Fx%3D1"

    def test_a_password_is_confirmed(self, browser: TestApp, monkeypatch: pytest.MonkeyPatch) -> None:
        browser.post("/login", {"right": "1"})
        now = time()
        with monkeypatch.context() as later:
            later.setattr("pyramid_sessionkit.gates.predicates.time", lambda: now + 301)
            page = browser.get("/payment", status=303)
        assert page.location == "http://localhost/confirm?next=%2Fpayment"
        assert browser.post(page.location, {"password": "wrong"}).location == page.location
        assert browser.post(page.location, {"password": "right"}).location == "http://localhost/payment"

    def test_an_api(self, browser: TestApp) -> None:
        assert browser.put("/api", headers={"Accept": "*/*"}, status=401).json == {"message": "Log in first."}
        browser.post("/login", {"right": "1"})
        assert browser.put("/api").json == {"user": "7"}

    def test_session_has(self, browser: TestApp) -> None:
        assert browser.get("/checkout").json == {"cart": None}
        browser.get("/fill")
        assert browser.get("/checkout").json == {"cart": ["apples"]}


class TestIdle:
    @pytest.fixture
    def browser(self) -> TestApp:
        def end(request: Request) -> bool:
            request.session.invalidate()
            return True

        module = module_of("howto/idle.rst", "idle-why", "idle-poll", "idle-logout", "idle-keep")
        return application(
            {"sessionkit.login_route": "login"},
            lambda config: config.set_default_csrf_options(require_csrf=True),
            lambda config: config.add_route("home", "/"),
            lambda config: config.add_route("token", "/token"),
            lambda config: config.add_view(
                lambda request: get_csrf_token(request), route_name="token", renderer="json"
            ),
            lambda config: config.add_route("end", "/end"),
            lambda config: config.add_view(end, route_name="end", renderer="json"),
            scanned(module, login="/login", logout="/logout", write="/write", news="/news"),
            add_login,
        )

    def test_why(self, browser: TestApp) -> None:
        assert "your password was changed" in browser.get("/login?why=credentials_changed").json["why"]
        assert browser.get("/login?why=<script>").json["why"] == "Log in to see this page."

    def test_a_poll(self, browser: TestApp) -> None:
        browser.get("/login/ada")
        first = browser.get("/news").json
        assert first["unread"] == 0
        assert browser.get("/news").json == first

    def test_logging_out_twice(self, browser: TestApp) -> None:
        browser.get("/login/ada")
        browser.post("/logout", status=400)
        token = browser.get("/token").json
        assert browser.post("/logout", {"csrf_token": token}).location == "http://localhost/"
        assert browser.post("/logout", {"csrf_token": token}).location == "http://localhost/"

    @pytest.mark.parametrize(("user", "shown"), [("ada", "long"), ("bob", "")])
    def test_a_text_waits_for_its_writer(self, browser: TestApp, user: str, shown: str) -> None:
        browser.get("/login/ada")
        fields = {"text": "long", "written_by": browser.get("/write").json["written_by"]}
        browser.get("/end")
        fields["csrf_token"] = browser.get("/token").json
        assert browser.post("/write", fields, status=303).location == "http://localhost/login"
        browser.get(f"/login/{user}")
        assert browser.get("/write").json["text"] == shown
        assert browser.get("/write").json["text"] == ""
        fields["csrf_token"] = browser.get("/token").json
        assert browser.post("/write", fields).json == {"saved": "long"}


def test_devices() -> None:
    module = module_of("howto/devices.rst", "devices-views")

    def add_renderer(config: Configurator) -> None:
        config.add_renderer(".jinja2", lambda info: lambda value, system: " ".join(one.key for one in value["devices"]))

    laptop = application({}, add_renderer, scanned(module, devices="/devices"), add_login)
    phone = TestApp(laptop.app)
    laptop.get("/login/ada")
    phone.get("/login/ada")
    assert len(laptop.get("/devices").text.split()) == 2
    laptop.post("/devices", status=303)
    assert laptop.get("/devices").text == laptop.cookies["session"].partition(".")[0]
    phone.get("/devices", status=404)


class TestAPIClients:
    @pytest.fixture
    def browser(self, users: dict[str, SampleUser]) -> TestApp:
        module = module_of(
            "howto/api_clients.rst",
            "api-sources",
            TOKENS={sha256(b"t0ken").hexdigest(): "8"},
            find_user={user.name: user for user in users.values()}.get,
        )

        def configure(config: Configurator) -> None:
            config.set_default_csrf_options(require_csrf=True)
            for name in ("login", "who"):
                config.add_route(name, f"/{name}")
            config.add_view(
                lambda request: request.authenticated_userid, route_name="who", logged_in=True, renderer="json"
            )

        return application(
            {"sessionkit.login_route": "login"}, configure, lambda config: config.include(module), add_login
        )

    def test_who_they_are(self, browser: TestApp) -> None:
        assert browser.get("/who", headers=bearer("t0ken")).json == "8"
        answer = browser.get("/who", headers=bearer("wrong"), status=401)
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        assert browser.get("/who", headers=basic("old", "ada")).json == "7"
        answer = browser.get("/who", headers=basic("wrong", "ada"), status=401)
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="Shop", charset="UTF-8"'

    def test_a_logout_deletes_the_cookie_of_a_source(self) -> None:
        module = module_of("howto/api_clients.rst", "api-cookie-source", check_sso={"ada's": "7"}.get)

        def configure(config: Configurator) -> None:
            config.add_session_source(module.sso_user)
            for name, view in {"who": lambda request: request.authenticated_userid, "out": module.log_out}.items():
                config.add_route(name, f"/{name}")
                config.add_view(view, route_name=name, renderer="json")

        browser = application({}, configure)
        browser.set_cookie("sso", "ada's")
        assert browser.get("/who").json == "7"
        (deleted,) = [
            header for header in browser.get("/out").headers.getall("Set-Cookie") if header.startswith("sso=")
        ]
        assert "Max-Age=0; Path=/" in deleted

    def test_what_the_unknown_are_told(self, browser: TestApp) -> None:
        answer = browser.get("/who", headers={"Accept": "application/json"}, status=401)
        challenges = ["Bearer", 'Basic realm="Shop", charset="UTF-8"']
        assert answer.headers.getall("WWW-Authenticate") == challenges
        answer = browser.get("/who", headers={"X-Requested-With": "fetch"}, status=401)
        assert "WWW-Authenticate" not in answer.headers

    def test_csrf(self, browser: TestApp) -> None:
        assert browser.post("/who", headers=bearer("t0ken")).json == "8"
        browser.post("/who", headers=basic("old", "ada"), status=400)
        browser.get("/login/7")
        browser.post("/who", headers=bearer("t0ken"), status=400)


def test_password(users: dict[str, SampleUser], find_user: Any) -> None:
    module = module_of("howto/password.rst", "password-hash", "password-view")
    browser = application(
        {"sessionkit.identity": find_user, "sessionkit.credentials_hash": module.credentials_hash},
        scanned(module, password="/password"),
        add_login,
        lambda config: config.add_route("who", "/who"),
        lambda config: config.add_view(lambda request: request.authenticated_userid, route_name="who", renderer="json"),
    )
    other = TestApp(browser.app)
    for visitor in (browser, other):
        visitor.get("/login/7")
    assert browser.post("/password", {"current": "wrong", "new": "new"}).location == "http://localhost/password"
    assert other.get("/who").json == "7"
    assert browser.post("/password", {"current": "old", "new": "new"}).location == "http://localhost/"
    assert browser.get("/who").json == "7"
    assert other.get("/who").json is None


def test_remember_me(users: dict[str, SampleUser]) -> None:
    module = module_of("howto/remember_me.rst", "remember-me", check_password=lambda request: users["7"])

    def configure(config: Configurator) -> None:
        config.add_route("login", "/login")
        config.add_view(module.login, route_name="login")

    browser = application({}, configure)
    assert "Max-Age" not in browser.post("/login").headers["Set-Cookie"]
    assert lasts(browser.post("/login", {"remember_me": "on"}), 30 * 86400)


def test_counters() -> None:
    request = SimpleNamespace(session=make_session(), path="/here")
    for _ in range(2):
        module = module_of("howto/counters.rst", "counters-apply", "counters-more", request=request)
    assert module.views == 2
    assert dict(request.session) == {"views": 2, "cart": {"apples": 2}, "seen": ["/here", "/here"]}


def test_alembic() -> None:
    module = module_of("howto/alembic.rst", "alembic-models")
    assert module.Base.metadata.tables["sessions"] is module.sessions
    assert sessions_table(module.Base.metadata, "web.sessions").schema == "web"


def test_outage() -> None:
    def fail(request: Request) -> None:
        raise pyramid_sessionkit.StoreUnavailable("the host of the database")

    module = module_of("howto/outage.rst", "outage-view")
    browser = application(
        {},
        lambda config: config.add_route("fail", "/fail"),
        lambda config: config.add_view(fail, route_name="fail"),
        scanned(module),
    )
    answer = browser.get("/fail", status=503)
    assert answer.json["error"].endswith("You have not been logged out.")
    assert answer.headers["Retry-After"] == "5"


def test_joined(tmp_path: Path) -> None:
    class Base(DeclarativeBase):
        pass

    class Member(Base):
        __tablename__ = "members"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)

    url = f"sqlite:///{tmp_path}/joined.sqlite"
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    module = module_of(
        "howto/joined.rst",
        "joined-includeme",
        "joined-savepoint",
        make_user=lambda request: Member(name=request.params["name"]),
    )

    def configure(config: Configurator) -> None:
        module.add_dbsession(config, sessionmaker(engine))
        config.add_route("signup", "/signup")
        config.add_view(module.sign_up, route_name="signup", renderer="json")
        config.add_route("told", "/told")
        config.add_view(lambda request: request.session.pop_flash(), route_name="told", renderer="json")

    app = application(
        {
            "sessionkit.secret": SECRET,
            "sessionkit.store": "sql",
            "sessionkit.sql.url": url,
            "sessionkit.sql.create_table": "true",
            "sessionkit.sql.dbsession": "dbsession",
        },
        configure,
    )
    assert app.get("/signup?name=ada").json == {"error": None}
    assert app.get("/signup?name=ada", status=400).json == {"error": "name"}
    assert app.get("/told").json == ["This name is taken"]
    get_sessions(app.app.registry).store.close()
    engine.dispose()


def test_purge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ini = tmp_path / "app.ini"
    ini.write_text(
        f"[app:main]\nuse = call:tests.test_docs:purged_app\nsessionkit.secret = {SECRET}\n", encoding="utf-8"
    )
    monkeypatch.setattr(sys, "argv", ["purge_sessions.py", str(ini)])
    module_of("howto/operate.rst", "operate-purge")
    assert capsys.readouterr().out == "0 expired sessions removed; 0 left\n"


def purged_app(global_config: dict[str, str], **settings: str) -> Any:
    return application(settings).app


def test_the_table_of_merges() -> None:
    text = (DOCS / "explanation/merging.rst").read_text(encoding="utf-8").partition(":name: merging-examples")[2]
    cells = re.findall(r"^   [* ] - `(\{.*\})`$", text, re.MULTILINE)
    assert len(cells) == 36
    for row in zip(*[iter(map(ast.literal_eval, cells))] * 4):  # noqa: B905
        start, mine, stored, result = row
        assert merge(start, mine, stored, []) == result


class TestProduction:
    OPTIONS = {
        "DATABASE_URL": "postgresql+psycopg://example:p%%40ss@127.0.0.1/example",
        "MEMCACHED": "127.0.0.1:11211",
        "MAIL_HOST": "127.0.0.1",
        "LISTEN": "127.0.0.1:6543",
        "PROXY": "127.0.0.1",
    }

    def test_its_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SESSION_SECRET", SECRET)
        loaded = get_appsettings(str(PRODUCTION), options=self.OPTIONS)
        settings = parse_settings(loaded)
        assert settings.secret == (SECRET.encode(),)
        assert settings.store == "cached_sql"
        assert settings.sql.url == loaded["sqlalchemy.url"] == "postgresql+psycopg://example:p%40ss@127.0.0.1/example"
        assert settings.memcached.servers == ("127.0.0.1:11211",)
        assert settings.cookie.always_secure
        assert loaded["example.demo"] == "false"

    def test_what_has_to_be_given(self) -> None:
        text = PRODUCTION.read_text(encoding="utf-8")
        assert set(re.findall(r"%\(([A-Z]\w+)\)s", text)) == set(self.OPTIONS)
        for place in (text, (PRODUCTION.with_name("compose.yaml")).read_text(encoding="utf-8")):
            assert all(f"{name}=" in place for name in self.OPTIONS)
