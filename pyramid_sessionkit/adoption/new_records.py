"""The records that an adoption stores: of the session itself, and of the mark that names it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import time
from typing import Any

import orjson

from pyramid_sessionkit.adoption.old_sessions import Adopted
from pyramid_sessionkit.contents.serializer import Contents, Serializer
from pyramid_sessionkit.cookie import MAX_AGE
from pyramid_sessionkit.exceptions import SessionNotSerializable
from pyramid_sessionkit.interfaces import CREDENTIALS_NOT_KNOWN, Record
from pyramid_sessionkit.saving import CSRF_KEY
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.tokens import new_salt, verifier_of
from pyramid_sessionkit.userid import as_userid, check_userid

log = logging.getLogger("pyramid_sessionkit")

IMPORTED = "imported "
"""What the credentials of a session begin with that was imported, and whose visitor has not come yet."""

_NAMES = "adopted"

_CLOCKS = 86400
"""Seconds that a mark outlives the old session: the clock of the old server may say another time than ours."""


def adopted_record(
    adopted: Adopted, data: bytes, secret: str, settings: Settings, imported: str | None = None
) -> Record:
    """The record of an old session. Its limits count from now; those of an imported one from its visitor's first visit.

    ``imported``: the credentials of its user, as they are stored; None if its visitor is here.
    """
    now = time()
    userid = None if adopted.userid is None else check_userid(as_userid(adopted.userid, "The old session has"))
    record = Record(
        data=data,
        verifier=verifier_of(secret),
        salt=new_salt(),
        replaced=None,
        userid=userid,
        # 0, long ago, where it is not known.
        authenticated=None if userid is None else int(max(0.0, min(adopted.authenticated or 0.0, now)) * 1_000_000),
        credentials=None if userid is None else CREDENTIALS_NOT_KNOWN,
        created=int(now),
        renewed=int(now),
        timeout=settings.timeout,
        deadline=_deadline(settings, now, adopted.expires),
        persistent=settings.persistent if adopted.persistent is None else adopted.persistent,
    )
    if imported is None:
        return record
    return record._replace(
        credentials=f"{IMPORTED}{int(adopted.expires or 0)} {imported}",
        timeout=None,
        deadline=int(adopted.expires or now + MAX_AGE),
    )


def begun_record(record: Record, settings: Settings, now: float) -> Record:
    """The record as its visitor finds it: of an imported session the limits begin to count. Others stay as they are."""
    if record.credentials is None or not record.credentials.startswith(IMPORTED):
        return record
    expires, _, credentials = record.credentials.removeprefix(IMPORTED).partition(" ")
    return record._replace(
        credentials=None if record.userid is None else credentials or CREDENTIALS_NOT_KNOWN,
        created=int(now),
        renewed=int(now),
        timeout=settings.timeout,
        deadline=_deadline(settings, now, int(expires)),
    )


def mark_record(key: str, adopted: Adopted, now: float) -> Record:
    """The mark that names a session. It stays for as long as the old token might be used, and nothing opens it."""
    at, end = int(now), int(now + MAX_AGE if adopted.expires is None else adopted.expires + _CLOCKS)
    return Record(orjson.dumps({_NAMES: key}), "", new_salt(), None, None, None, None, at, at, None, end, False)


def named_by(mark: Record) -> str | None:
    """The key of the session that a mark names; None if it cannot be read."""
    try:
        named = orjson.loads(mark.data)[_NAMES]
    except (ValueError, KeyError, TypeError):
        return None
    return named if isinstance(named, str) else None


def kept_contents(contents: Mapping[str, Any], serializer: Serializer, max_size: int) -> bytes:
    """The contents as bytes, without what our sessions cannot keep; each key that is left out is logged."""
    kept: Contents = {}
    for name, value in contents.items():
        if name == CSRF_KEY:
            continue  # of the other library: ours are derived
        try:
            serializer.check(name, value)
            kept[name] = serializer.read_back(name, value)
        except (SessionNotSerializable, TypeError) as error:
            log.warning("%r of an old session was left out: %s", name, error)
    while len(data := serializer.dumps(kept)) > max_size:
        largest = max(kept, key=lambda name: len(serializer.dumps(kept[name])))
        log.warning("%r of an old session was left out: it is over sessionkit.max_size = %d", largest, max_size)
        del kept[largest]
    return data


def _deadline(settings: Settings, now: float, expires: float | None) -> int | None:
    if expires:
        return int(expires)
    return None if settings.lifetime is None else int(now) + settings.lifetime
