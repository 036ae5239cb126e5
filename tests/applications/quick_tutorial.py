"""What Pyramid's quick tutorial makes, chapter by chapter: sessions, forms, databases, logging in, authorization."""

from __future__ import annotations

import hashlib
from typing import Any

from pyramid.authentication import AuthTktCookieHelper
from pyramid.authorization import ACLHelper, Allow, Authenticated, Everyone
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.security import forget, remember
from pyramid.session import SignedCookieSessionFactory
from pyramid.view import forbidden_view_config, view_config, view_defaults
from sqlalchemy import engine_from_config, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker
from zope.sqlalchemy import register

# Databases: one session for each thread, in the transactions of that thread.

DBSession = scoped_session(sessionmaker())
register(DBSession)


class Base(DeclarativeBase):
    pass


class Page(Base):
    __tablename__ = "wikipages"
    uid: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(unique=True)
    body: Mapped[str]


# Logging in, and authorization.


def hash_of(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


USERS = {name: hash_of(name) for name in ("editor", "viewer")}
GROUPS = {"editor": ["group:editors"]}


class Root:
    __acl__ = [(Allow, Everyone, "view"), (Allow, "group:editors", "edit")]

    def __init__(self, request: Any) -> None:
        pass


class SecurityPolicy:
    def __init__(self, secret: str) -> None:
        self.cookie = AuthTktCookieHelper(secret, hashalg="sha512")
        self.acl = ACLHelper()

    def identity(self, request: Any) -> Any:
        found = self.cookie.identify(request)
        return found if found is not None and found["userid"] in USERS else None

    def authenticated_userid(self, request: Any) -> str | None:
        found = self.identity(request)
        return None if found is None else found["userid"]

    def permits(self, request: Any, context: Any, permission: str) -> Any:
        userid = self.authenticated_userid(request)
        known = [] if userid is None else [Authenticated, *GROUPS.get(userid, [])]
        return self.acl.permits(context, [Everyone, *known], permission)

    def remember(self, request: Any, userid: str, **kw: Any) -> Any:
        return self.cookie.remember(request, userid, **kw)

    def forget(self, request: Any, **kw: Any) -> Any:
        return self.cookie.forget(request, **kw)


# Views.


@view_defaults(renderer="quick_tutorial_home.jinja2")
class Views:
    def __init__(self, request: Any) -> None:
        self.request = request
        self.logged_in = request.authenticated_userid

    @property
    def counter(self) -> int:
        session = self.request.session
        session["counter"] = session.get("counter", 0) + 1
        count: int = session["counter"]
        return count

    @view_config(route_name="home")
    def home(self) -> Any:
        return {"pages": DBSession.scalars(select(Page).order_by(Page.title)).all()}

    @view_config(route_name="add", permission="edit", renderer="quick_tutorial_add.jinja2")
    def add(self) -> Any:
        request = self.request
        if "submit" not in request.params:
            return {"error": None}
        if not request.params["title"]:
            return {"error": "Required"}
        DBSession.add(Page(title=request.params["title"], body=request.params["body"]))
        request.session.flash(f"Added {request.params['title']}")
        return HTTPFound(request.route_url("home"))

    @view_config(route_name="login", renderer="quick_tutorial_login.jinja2")
    @forbidden_view_config(renderer="quick_tutorial_login.jinja2")
    def login(self) -> Any:
        request = self.request
        login_url = request.route_url("login")
        came_from = request.params.get("came_from", "/" if request.url == login_url else request.url)
        if "form.submitted" not in request.params:
            return {"url": login_url, "came_from": came_from, "message": ""}
        login = request.params["login"]
        if USERS.get(login) == hash_of(request.params["password"]):
            headers = remember(request, login)
            return HTTPFound(came_from, headers=headers)
        return {"url": login_url, "came_from": came_from, "message": "Failed login"}

    @view_config(route_name="logout")
    def logout(self) -> Any:
        headers = forget(self.request)
        return HTTPFound(self.request.route_url("home"), headers=headers)


def main(global_config: Any, **settings: Any) -> Any:
    DBSession.configure(bind=engine_from_config(settings))
    config = Configurator(
        settings=settings,
        root_factory=Root,
        session_factory=SignedCookieSessionFactory("itsaseekreet"),
    )
    config.set_security_policy(SecurityPolicy("sosecret"))
    config.set_default_csrf_options(require_csrf=True)
    config.add_jinja2_search_path("tests.applications:templates")
    config.add_route("home", "/")
    config.add_route("add", "/add")
    config.add_route("login", "/login")
    config.add_route("logout", "/logout")
    config.scan(__name__)
    return config.make_wsgi_app()
