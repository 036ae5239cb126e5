"""Flask with no session, and with Flask-Session."""

from __future__ import annotations

from typing import Any

from flask import Flask, request, session

from benchmarks.compare.contents import CONTENTS, SECRET, total


def plain() -> str:
    return "ok"


def read() -> str:
    return session.get("user") or "nobody"


def change() -> str:
    session["n"] = session.get("n", 0) + 1
    return "ok"


def fill() -> str:
    session.update(CONTENTS)
    return "ok"


def add() -> str:
    name = "n" + request.args["who"]
    session[name] = session.get(name, 0) + 1
    return "ok"


def count() -> str:
    return str(total(session))


def bare(addresses: dict[str, str], store: str) -> Any:
    app = Flask(__name__)
    for view in (plain, read, change, fill, add, count):
        app.add_url_rule(f"/{view.__name__}", view_func=view)
    return app


def sessions(addresses: dict[str, str], store: str) -> Any:
    from flask_session import Session

    app = bare(addresses, store)
    app.config["SECRET_KEY"] = SECRET
    if store == "redis":
        import redis

        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis.from_url(addresses["redis"]))
    else:
        from flask_sqlalchemy import SQLAlchemy

        app.config.update(SQLALCHEMY_DATABASE_URI=addresses["postgresql"], SESSION_TYPE="sqlalchemy")
        app.config.update(SESSION_SQLALCHEMY=SQLAlchemy(app), SESSION_SQLALCHEMY_TABLE="flask_sessions")
    Session(app)
    return app
