"""An application whose types are right. mypy and pyright check it, and nobody runs it."""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.security import forget, remember
from pyramid.view import view_config
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import pyramid_sessionkit
from pyramid_sessionkit import safe_next, user_sessions


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Request(pyramid_sessionkit.Request):
    """``dbsession`` is a request method."""

    dbsession: Session
    identity: User | None


def identity(request: Request, userid: str) -> User | None:
    return request.dbsession.get(User, int(userid))


def principals(request: Request, user: User) -> list[str]:
    return [f"user:{user.id}"]


@view_config(route_name="home", renderer="json")
def home(request: Request) -> dict[str, Any]:
    views: int = request.session.apply("views", add_one, 0)
    cart = request.session.setdefault("cart", {})
    cart["apples"] = cart.get("apples", 0) + 1
    request.session["cart"] = cart
    request.session.flash("Added", "info")
    token: str = request.session.get_csrf_token()
    messages: list[Any] = request.session.pop_flash("info")
    return {"views": views, "token": token, "messages": messages}


def add_one(views: int) -> int:
    return views + 1


@view_config(route_name="count", renderer="json")
def count(request: Request) -> dict[str, Any]:
    name = request.identity.name if request.identity else "nobody"
    return {"name": name, "views": request.session.apply("views", add_one, 0)}


@view_config(route_name="login", request_method="POST")
def log_in(request: Request) -> HTTPSeeOther:
    user = request.dbsession.scalars(select(User).where(User.name == request.params["name"])).one()
    remember(request, str(user.id))
    request.session.set_expiry(timeout=None, lifetime=86400)
    return HTTPSeeOther(safe_next(request, default=request.route_url("home")))


@view_config(route_name="logout", request_method="POST")
def log_out(request: Request) -> HTTPSeeOther:
    ended: str | None = request.authenticated_userid
    key: str = request.session.key
    forget(request)
    return HTTPSeeOther(request.route_url("home", _query={"ended": ended or key}))


def devices(request: pyramid_sessionkit.Request) -> list[str]:
    """With the class of the package itself, where nothing of one's own is needed."""
    userid: str | None = request.session.userid
    return [f"{userid}: {device.key}" for device in user_sessions(request).list()]


def main(global_config: dict[str, str], **settings: Any) -> Any:
    with Configurator(settings=settings, request_factory=Request) as config:
        config.include("pyramid_sessionkit")
        config.add_view(devices, route_name="devices", renderer="json")
    return config.make_wsgi_app()
