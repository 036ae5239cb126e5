"""Sessions of express-session go on in ours."""

from __future__ import annotations

import hmac
import json
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from time import time
from typing import Any
from urllib.parse import unquote

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.adoption.express.records import Records
from pyramid_sessionkit.adoption.old_sessions import Adopted, OldSessions, check_secret, cookie_values

log = logging.getLogger("pyramid_sessionkit")

SIGNED = "s:"

Contents = dict[str, Any]


def passport_user(contents: Contents) -> Any:
    """Who is logged in with passport, which keeps that for itself: it is taken out."""
    user = (contents.pop("passport", None) or {}).get("user")
    if isinstance(user, (dict, list)):
        raise ValueError(f"passport.user is a {type(user).__name__}: give userid=, a function that finds the id in it")
    return None if user == "" else user  # as passport has it; 0 is somebody


class ExpressSessions(OldSessions):
    """The sessions of an application with express-session.

    ``secret``: as express-session has it; several in a list.

    ``records``: where they are, such as ``RedisRecords("redis://...")`` or ``SQLRecords(url, CONNECT_PG_SIMPLE)``.

    ``userid``: a function that is given the contents and returns who is logged in, or None. It may take out of the
    contents what is not to be kept. Without it that is ``passport.user``.

    ``login_time``: one that returns when that user logged in, in epoch seconds.

    ``fixed_end``: with ``maxAge`` and without ``rolling``, the cookie of express-session ends at a fixed time, unless
    the session is changed. True: so does the session here. Otherwise our limits alone hold.
    """

    def __init__(
        self,
        secret: str | Sequence[str],
        records: Records,
        *,
        userid: Callable[[Contents], Any] = passport_user,
        login_time: Callable[[Contents], float | None] | None = None,
        fixed_end: bool = False,
        cookie: str = "connect.sid",
        cookie_path: str = "/",
        cookie_domain: str | None = None,
        keep: bool = False,
    ) -> None:
        self.cookie = cookie
        self.cookie_path = cookie_path
        self.cookie_domain = cookie_domain
        self.keep = keep
        self._secrets = [secret] if isinstance(secret, str) else list(secret or ())
        check_secret(all(self._secrets) and self._secrets)
        if not isinstance(records, Records):
            raise ConfigurationError(
                f"ExpressSessions(..., records) is a {type(records).__name__}: give RedisRecords(...), SQLRecords(...) "
                "or Records of your own"
            )
        self._records = records
        self._userid = userid
        self._login_time = login_time
        self._fixed_end = fixed_end

    def token(self, request: Any) -> str | None:
        """The id of the session, if its signature is right: the same session, however its cookie is encoded."""
        found = (self._unsigned(unquote(value)) for value in cookie_values(request, self.cookie))
        return next((sid for sid in found if sid), None)

    def read(self, request: Any, token: str) -> Adopted | None:
        record = self._records.get(token)
        return None if record is None else self._adopted(record)

    def forget(self, token: str) -> None:
        self._records.delete(token)

    def all(self) -> Iterator[tuple[str, Adopted]]:
        for sid, record in self._records.all():
            if (adopted := self._adopted(record)) is not None:
                yield sid, adopted

    def _unsigned(self, value: str) -> str | None:
        sid, _, signature = value.removeprefix(SIGNED).rpartition(".")
        if not value.startswith(SIGNED):
            return None
        expected = [_signature(sid, secret) for secret in self._secrets]
        return sid if any(hmac.compare_digest(one, signature.encode()) for one in expected) else None

    def _adopted(self, record: Any) -> Adopted | None:
        contents = _contents(record)
        if contents is None:
            return None
        cookie = contents.pop("cookie", None) or {}
        end = _epoch(cookie["expires"]) if cookie.get("expires") else None
        if self._fixed_end and end is not None and end <= time():
            return None
        authenticated = self._login_time(contents) if self._login_time else None
        return Adopted(
            contents,
            userid=self._userid(contents),
            authenticated=authenticated,
            expires=end if self._fixed_end else None,
            persistent=end is not None,
        )


def _contents(record: Any) -> Contents | None:
    """What cannot be read now never can: it would be an outage for its visitor that does not end."""
    try:
        found = record if isinstance(record, dict) else json.loads(record)
        return dict(found.items())
    except (ValueError, AttributeError) as error:
        log.warning("An old session of express-session cannot be read: %s: %s", type(error).__name__, error)
        return None


def _signature(sid: str, secret: str) -> bytes:
    """As cookie-signature has it: base64 without padding."""
    return b64encode(hmac.digest(secret.encode(), sid.encode(), "sha256")).rstrip(b"=")


def _epoch(iso: str) -> float:
    """Python 3.10 knows no Z."""
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()
