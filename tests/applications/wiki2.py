"""The wiki that Pyramid's tutorial "SQLAlchemy + URL dispatch" makes: the same steps, in one file."""

from __future__ import annotations

import hashlib
import re
from html import escape
from typing import Any

import zope.sqlalchemy
from pyramid.authentication import AuthTktCookieHelper
from pyramid.authorization import ACLHelper, Allow, Authenticated, Everyone
from pyramid.config import Configurator
from pyramid.csrf import CookieCSRFStoragePolicy, new_csrf_token
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import RequestLocalCache
from pyramid.security import forget, remember
from pyramid.view import forbidden_view_config, view_config
from sqlalchemy import ForeignKey, engine_from_config, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

# Models.


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    password_hash: Mapped[str]

    def set_password(self, password: str) -> None:
        self.password_hash = hash_of(password)

    def check_password(self, password: str) -> bool:
        return self.password_hash == hash_of(password)


def hash_of(password: str) -> str:
    """The tutorial has bcrypt here, which takes its time."""
    return hashlib.sha256(password.encode()).hexdigest()


class Page(Base):
    __tablename__ = "pages"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    data: Mapped[str]
    creator_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    creator: Mapped[User] = relationship()


def get_tm_session(session_factory: Any, tm: Any, request: Any = None) -> Any:
    dbsession = session_factory(info={"request": request})
    zope.sqlalchemy.register(dbsession, transaction_manager=tm)
    return dbsession


def models(config: Configurator) -> None:
    settings = config.get_settings()
    settings["tm.manager_hook"] = "pyramid_tm.explicit_manager"
    config.include("pyramid_tm")
    config.include("pyramid_retry")
    session_factory = sessionmaker(settings.get("dbengine") or engine_from_config(settings))
    config.registry["dbsession_factory"] = session_factory

    def dbsession(request: Any) -> Any:
        given = request.environ.get("app.dbsession")
        return get_tm_session(session_factory, request.tm, request) if given is None else given

    config.add_request_method(dbsession, reify=True)


# Security.


class WikiPolicy:
    def __init__(self, secret: str) -> None:
        self.cookie = AuthTktCookieHelper(secret)
        self.users: Any = RequestLocalCache(self.load_user)
        self.acl = ACLHelper()

    def load_user(self, request: Any) -> User | None:
        found = self.cookie.identify(request)
        return None if found is None else request.dbsession.get(User, found["userid"])

    def identity(self, request: Any) -> User | None:
        user: User | None = self.users.get_or_create(request)
        return user

    def authenticated_userid(self, request: Any) -> int | None:
        user = self.identity(request)
        return None if user is None else user.id

    def remember(self, request: Any, userid: Any, **kw: Any) -> Any:
        return self.cookie.remember(request, userid, **kw)

    def forget(self, request: Any, **kw: Any) -> Any:
        return self.cookie.forget(request, **kw)

    def permits(self, request: Any, context: Any, permission: str) -> Any:
        user = self.identity(request)
        known = [] if user is None else [Authenticated, *principals(request, user)]
        return self.acl.permits(context, [Everyone, *known], permission)


def principals(request: Any, user: User) -> list[str]:
    return [f"u:{user.id}", f"role:{user.role}"]


def security(config: Configurator) -> None:
    settings = config.get_settings()
    config.set_csrf_storage_policy(CookieCSRFStoragePolicy())
    config.set_default_csrf_options(require_csrf=True)
    config.set_security_policy(WikiPolicy(settings["auth.secret"]))


# Routes and their resources.


def routes(config: Configurator) -> None:
    config.add_route("view_wiki", "/")
    config.add_route("login", "/login")
    config.add_route("logout", "/logout")
    config.add_route("view_page", "/{pagename}", factory=PageResource)
    config.add_route("add_page", "/add_page/{pagename}", factory=NewPage)
    config.add_route("edit_page", "/{pagename}/edit_page", factory=PageResource)


def find_page(request: Any, name: str) -> Page | None:
    page: Page | None = request.dbsession.scalar(select(Page).where(Page.name == name))
    return page


class NewPage:
    def __init__(self, request: Any) -> None:
        self.name = request.matchdict["pagename"]
        if find_page(request, self.name) is not None:
            raise HTTPSeeOther(request.route_url("edit_page", pagename=self.name))

    def __acl__(self) -> list[Any]:
        return [(Allow, "role:editor", "create"), (Allow, "role:basic", "create")]


class PageResource:
    def __init__(self, request: Any) -> None:
        page = find_page(request, request.matchdict["pagename"])
        if page is None:
            raise HTTPNotFound
        self.page = page

    def __acl__(self) -> list[Any]:
        creator = f"u:{self.page.creator_id}"
        return [(Allow, Everyone, "view"), (Allow, "role:editor", "edit"), (Allow, creator, "edit")]


# Views.


@view_config(route_name="view_wiki")
def view_wiki(request: Any) -> Any:
    return HTTPSeeOther(request.route_url("view_page", pagename="FrontPage"))


@view_config(route_name="view_page", permission="view", renderer="wiki2_view.jinja2")
def view_page(request: Any) -> Any:
    page = request.context.page

    def link(found: re.Match[str]) -> str:
        route = "add_page" if find_page(request, found[0]) is None else "view_page"
        return f'<a href="{request.route_url(route, pagename=found[0])}">{found[0]}</a>'

    return {"page": page, "content": re.sub(r"\b[A-Z]\w+[A-Z]\w+", link, escape(page.data))}


@view_config(route_name="edit_page", permission="edit", renderer="wiki2_edit.jinja2")
def edit_page(request: Any) -> Any:
    page = request.context.page
    if request.method != "POST":
        return {"name": page.name, "data": page.data}
    page.data = request.POST["body"]
    return HTTPSeeOther(request.route_url("view_page", pagename=page.name))


@view_config(route_name="add_page", permission="create", renderer="wiki2_edit.jinja2")
def add_page(request: Any) -> Any:
    name = request.context.name
    if request.method != "POST":
        return {"name": name, "data": ""}
    request.dbsession.add(Page(name=name, data=request.POST["body"], creator=request.identity))
    return HTTPSeeOther(request.route_url("view_page", pagename=name))


@view_config(route_name="login", renderer="wiki2_login.jinja2")
def login(request: Any) -> Any:
    next_url = request.params.get("next", request.referrer) or request.route_url("view_wiki")
    name = request.POST.get("login", "")
    if request.method == "POST":
        user = request.dbsession.scalar(select(User).where(User.name == name))
        if user is not None and user.check_password(request.POST["password"]):
            new_csrf_token(request)
            headers = remember(request, user.id)
            return HTTPSeeOther(next_url, headers=headers)
        request.response.status = 400
    return {"wrong": request.method == "POST", "next_url": next_url, "name": name}


@view_config(route_name="logout")
def logout(request: Any) -> Any:
    if request.method != "POST":
        return HTTPSeeOther(request.route_url("view_wiki"))
    new_csrf_token(request)
    headers = forget(request)
    return HTTPSeeOther(request.route_url("view_wiki"), headers=headers)


@forbidden_view_config(renderer="wiki2_403.jinja2")
def forbidden(request: Any) -> Any:
    if not request.is_authenticated:
        return HTTPSeeOther(request.route_url("login", _query={"next": request.url}))
    request.response.status = 403
    return {}


# The application.


def main(global_config: Any, **settings: Any) -> Any:
    with Configurator(settings=settings) as config:
        config.include("pyramid_jinja2")
        config.add_jinja2_search_path("tests.applications:templates")
        config.include(security)
        config.include(routes)
        config.include(models)
        config.scan(__name__)
    return config.make_wsgi_app()
