"""Django's sessions go on in ours: those in a database, in a cache, in both, and in files. Django itself reads them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.adoption.django.site import configure, connected, session_store
from pyramid_sessionkit.adoption.django.users import BACKEND, HASH, USER, Check, check_of
from pyramid_sessionkit.adoption.old_sessions import Adopted, OldSessions
from pyramid_sessionkit.adoption.pickles import warn_of_pickles
from pyramid_sessionkit.exceptions import NotSupported

log = logging.getLogger("pyramid_sessionkit")

EXPIRY = "_session_expiry"
OWN = {USER, BACKEND, HASH, EXPIRY, "_csrftoken", "_messages", "_password_reset_token", "testcookie"}
"""What Django keeps in a session for itself."""

PAGE = 500

Contents = Mapping[str, Any]


class Read(NamedTuple):
    contents: Contents
    until: float | None
    """When it ends if it is not changed; None: not known."""


class DjangoSessions(OldSessions):
    """Made by :func:`django_sessions`."""

    def __init__(self, check: Check, login_time: Callable[[Contents], float | None] | None, keep: bool) -> None:
        from django.conf import settings

        self.cookie = settings.SESSION_COOKIE_NAME
        self.cookie_path = settings.SESSION_COOKIE_PATH
        self.cookie_domain = settings.SESSION_COOKIE_DOMAIN
        self.keep = keep
        self._sessions = session_store()
        self._check = check
        self._login_time = login_time

    def read(self, request: Any, token: str) -> Adopted | None:
        # Some databases find a key also in capitals, and a file might be any file.
        if not re.fullmatch("[a-z0-9]{8,40}", token):
            return None
        with connected():
            found = self._find(token)
            return None if found is None else self._adopted(*found)

    def forget(self, token: str) -> None:
        with connected():
            self._sessions(token).delete()

    def _find(self, token: str) -> Read | None:
        raise NotImplementedError

    def _adopted(self, contents: Contents, until: float | None) -> Adopted | None:
        if not contents:
            log.warning(
                "A session of Django was not adopted: it is empty, or was written with another SECRET_KEY or "
                "SESSION_SERIALIZER"
            )
            return None
        userid = contents.get(USER)
        if userid is not None and not self._check(contents):
            return None
        return Adopted(
            {name: value for name, value in contents.items() if name not in OWN},
            userid=userid,
            authenticated=self._login_time(contents) if self._login_time and userid is not None else None,
            expires=_end(contents, until),
            persistent=_persistent(contents),
        )


class InDatabase(DjangoSessions):
    """Those of ``db`` and ``cached_db``: the cache has copies only."""

    def _find(self, token: str) -> Read | None:
        row = self._live().filter(session_key=token).first()
        return None if row is None else self._decoded(row)

    def all(self) -> Iterator[tuple[str, Adopted]]:
        last = ""
        while True:
            with connected():
                page = list(self._live().filter(session_key__gt=last).order_by("session_key")[:PAGE])
                found = [(row.session_key, self._adopted(*self._decoded(row))) for row in page]
            yield from ((token, adopted) for token, adopted in found if adopted is not None)
            if len(page) < PAGE:
                return
            last = page[-1].session_key

    def _live(self) -> Any:
        from django.utils import timezone

        return self._sessions().model.objects.filter(expire_date__gt=timezone.now())

    def _decoded(self, row: Any) -> Read:
        return Read(self._sessions().decode(row.session_data), _epoch(row.expire_date))


class InCache(DjangoSessions):
    """Those of ``cache``."""

    def _find(self, token: str) -> Read | None:
        from django.conf import settings
        from django.core.cache import caches

        # Not by load(), which takes a cache that cannot be reached for a session that is gone.
        contents = caches[settings.SESSION_CACHE_ALIAS].get(self._sessions(token).cache_key)
        return None if contents is None else Read(contents, None)

    def all(self) -> Iterator[tuple[str, Adopted]]:
        raise NotSupported("Django's cache cannot list its sessions: each is adopted when its visitor comes")


class InFiles(DjangoSessions):
    """Those of ``file``."""

    def _find(self, token: str) -> Read | None:
        session = self._sessions(token)
        # Where one has ended, load() would delete its file and make an empty session.
        session.create = lambda: None
        contents = session.load()
        return Read(contents, None) if contents else None


def django_sessions(
    settings: str | Mapping[str, Any],
    *,
    check_user: bool | Callable[[str], str | None] = True,
    login_time: Callable[[Contents], float | None] | None = None,
    pickle: bool = False,
    keep: bool = False,
) -> DjangoSessions:
    """The sessions of an application with Django.

    ``settings``: the name of its settings module, or those settings that matter here: ``SECRET_KEY``, ``DATABASES`` or
    ``CACHES``, and of ``SESSION_...``, ``AUTH_...`` and ``USE_TZ`` those that it has.

    ``check_user``: as Django does, no session opens whose user has a new password, is not active or is gone. True: by
    Django's own table of users. A function that is given the userid and returns what the column ``password`` has today
    (None: there is no such user) does the same where that table has moved. False: whom a session names is let in.

    ``login_time``: a function that is given the contents and returns when the user logged in, in epoch seconds.

    ``pickle``: whether contents may be unpickled, as Django's caches do. Who can write there runs any code here.
    """
    configure(settings)
    try:
        found = _class_of(session_store(), pickle)
    except ImportError as error:
        raise ConfigurationError(f"The SESSION_ENGINE of Django cannot be imported: {error}") from error
    return found(check_of(check_user), login_time, keep)


def _class_of(sessions: Any, pickle: bool) -> type[DjangoSessions]:
    from django.conf import settings
    from django.contrib.sessions.backends import cache, db, file
    from django.core.signing import JSONSerializer
    from django.utils.module_loading import import_string

    kinds = {db.SessionStore: InDatabase, cache.SessionStore: InCache, file.SessionStore: InFiles}
    found = next((kind for base, kind in kinds.items() if issubclass(sessions, base)), None)
    if found is None:
        raise ConfigurationError(
            f"{settings.SESSION_ENGINE} is none of db, cached_db, cache and file of django.contrib.sessions.backends"
        )
    if found is InCache or not issubclass(import_string(settings.SESSION_SERIALIZER), JSONSerializer):
        if not pickle:
            raise ConfigurationError(
                "Django pickles these sessions (a cache, or SESSION_SERIALIZER): who can write where they are can run "
                "any code here. If only the old site can, give pickle=True"
            )
        warn_of_pickles("Whoever can write where Django keeps them can run any code here.")
    return found


def _end(contents: Contents, until: float | None) -> float | None:
    """When it ends whatever the visitor does: with ``SESSION_SAVE_EVERY_REQUEST`` only at a date that was set."""
    from django.conf import settings

    expiry = contents.get(EXPIRY)
    if isinstance(expiry, str):
        expiry = datetime.fromisoformat(expiry)
    if isinstance(expiry, datetime):
        return _epoch(expiry)
    return None if settings.SESSION_SAVE_EVERY_REQUEST else until


def _persistent(contents: Contents) -> bool:
    from django.conf import settings

    expiry = contents.get(EXPIRY)
    return not settings.SESSION_EXPIRE_AT_BROWSER_CLOSE if expiry is None else expiry != 0


def _epoch(at: datetime) -> float:
    from django.utils import timezone

    return float((timezone.make_aware(at) if timezone.is_naive(at) else at).timestamp())
