"""The records that an adoption stores: of the session itself, and of the mark that names it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import time
from typing import Any

import orjson

from pyramid_sessionkit.adoption.old_sessions import Adopted
from pyramid_sessionkit.contents.serializer import Contents, Serializer
from pyramid_sessionkit.exceptions import SessionNotSerializable
from pyramid_sessionkit.interfaces import CREDENTIALS_NOT_KNOWN, Record
from pyramid_sessionkit.saving import CSRF_KEY
from pyramid_sessionkit.session_id.cookie import MAX_AGE
from pyramid_sessionkit.session_id.tokens import new_salt, verifier_of
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.userid import as_userid, check_userid

log = logging.getLogger("pyramid_sessionkit")

NOT_YET = 0
"""When a session was renewed that was imported, and whose visitor has not come yet."""

_NAMES, _EXPIRES = "adopted", "expires"

_CLOCKS = 86400
"""Seconds that a mark outlives the old session: the clock of the old server may say another time than ours."""


def adopted_record(adopted: Adopted, data: bytes, secret: str, settings: Settings) -> Record:
    """The record of an old session whose visitor is here. Its limits count from now."""
    now = time()
    userid = None if adopted.userid is None else check_userid(as_userid(adopted.userid, "The old session has"))
    return Record(
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


def imported_record(record: Record, adopted: Adopted, credentials: str | None) -> Record:
    """The same for a visitor who will come: its limits do not count yet. ``credentials``: those of its user today."""
    return record._replace(
        credentials=credentials or record.credentials,
        renewed=NOT_YET,
        timeout=None,
        deadline=_end(adopted, time()),
        own_timeout=True,
    )


def begun_record(record: Record, mark: Record, settings: Settings) -> Record:
    """The record as its visitor finds it: of an imported session the limits begin to count. Others stay as they are."""
    if record.renewed != NOT_YET:
        return record
    now = time()
    deadline = _deadline(settings, now, _in_mark(mark, _EXPIRES))
    return record._replace(
        created=int(now), renewed=int(now), timeout=settings.timeout, deadline=deadline, own_timeout=False
    )


def mark_record(key: str, adopted: Adopted) -> Record:
    """The mark that names a session. It stays for as long as the old token might be used, and nothing opens it."""
    now = time()
    data = orjson.dumps({_NAMES: key, _EXPIRES: None if adopted.expires is None else int(adopted.expires)})
    end = _end(adopted, now) + _CLOCKS
    return Record(data, "", new_salt(), None, None, None, None, int(now), int(now), None, end, False)


def named_by(mark: Record) -> str | None:
    """The key of the session that a mark names; None if it cannot be read."""
    named = _in_mark(mark, _NAMES)
    return named if isinstance(named, str) else None


def _in_mark(mark: Record, name: str) -> Any:
    try:
        return orjson.loads(mark.data)[name]
    except (ValueError, KeyError, TypeError):
        return None


def _end(adopted: Adopted, now: float) -> int:
    return int(now + MAX_AGE if adopted.expires is None else adopted.expires)


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
