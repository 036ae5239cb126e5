"""How often something may be tried: counted in the database, so that all processes count together."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from time import time
from typing import NamedTuple

from pyramid.request import Request
from sqlalchemy import Connection, delete, insert, select

from example_app.models.login_attempt import LoginAttempt


class Limit(NamedTuple):
    attempts: int
    seconds: int


class Attempt(NamedTuple):
    """The rows of an attempt that was counted; or, if it was refused, the seconds until the next one may come."""

    ids: list[int]
    retry_after: int | None


def begin(request: Request, limits: Mapping[str, Limit]) -> Attempt:
    """Count an attempt for each of these names; or refuse it, if one of them has reached its limit.

    It is counted before the password is checked. Otherwise a hundred attempts at once would all find a count of zero.
    What was refused is not counted, so that the wait does not grow.
    """
    now = int(time())
    with _connection(request) as connection:
        connection.execute(delete(LoginAttempt).where(LoginAttempt.expires <= now))
        ids = [_count(connection, name, now + limit.seconds) for name, limit in limits.items()]
        waits = [_wait(connection, name, limit, now) for name, limit in limits.items()]
        if not any(waits):
            return Attempt(ids, None)
        _forget(connection, ids)
        return Attempt([], max(waits))


def forgive(request: Request, attempt: Attempt) -> None:
    """It does not count: the password was right."""
    with _connection(request) as connection:
        _forget(connection, attempt.ids)


def clear(request: Request, name: str) -> None:
    """Count for this name from zero again."""
    with _connection(request) as connection:
        connection.execute(delete(LoginAttempt).where(LoginAttempt.key == _key(name)))


def address(request: Request) -> str:
    """Where a request comes from. Of IPv6 it is the first half, since everyone has all of the other half.

    Not client_addr, which believes any X-Forwarded-For: whoever sends another one with each attempt is never stopped.
    Behind a proxy the server sets this one, see production.ini.
    """
    sent = request.remote_addr or "unknown"
    try:
        found = ip_address(sent)
    except ValueError:
        return sent
    return found.exploded[:19] if isinstance(found, IPv6Address) and found.ipv4_mapped is None else sent


@contextmanager
def _connection(request: Request) -> Iterator[Connection]:
    """One on which each statement is committed at once.

    The transaction of the request is rolled back after a wrong password, since the answer is a 4xx. And two requests at
    once must see each other's attempts.
    """
    if "app.dbsession" in request.environ:
        # This test has brought a session, which is never committed.
        yield request.dbsession.connection()
        return
    with request.dbsession.get_bind().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def _count(connection: Connection, name: str, expires: int) -> int:
    counted = connection.execute(insert(LoginAttempt).values(key=_key(name), expires=expires))
    return int(counted.inserted_primary_key[0])


def _wait(connection: Connection, name: str, limit: Limit, now: int) -> int:
    """The seconds until one more attempt is within the limit; 0 if it is now."""
    latest = select(LoginAttempt.expires).where(LoginAttempt.key == _key(name)).order_by(LoginAttempt.expires.desc())
    first_too_many = connection.scalar(latest.offset(limit.attempts).limit(1))
    return 0 if first_too_many is None else max(1, first_too_many - now)


def _forget(connection: Connection, ids: list[int]) -> None:
    connection.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(ids)))


def _key(name: str) -> str:
    return sha256(name.encode()).hexdigest()
