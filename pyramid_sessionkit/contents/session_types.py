"""The types that a session keeps beside those of JSON: how each is written, and made again.

What ``dump`` returns may hold values of all types that a session keeps. ``load`` gets it back with lists for tuples.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pickle import PicklingError
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from translationstring import TranslationString  # type: ignore[import-untyped]

from pyramid_sessionkit.contents.refused import NotKept

_MICROSECOND: Final = timedelta(microseconds=1)


class SessionType(NamedTuple):
    """A class whose values a session keeps. ``name`` stands for it in what is stored, so it has to stay the same."""

    cls: type
    name: str
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


def _dump_set(value: Any) -> list[Any]:
    for item in value:
        if type(item) is tuple:
            raise NotKept(f"{type(value).__name__} with a tuple in it, which would come back as a list")
    return list(value)


def _dump_translation_string(value: TranslationString) -> list[Any]:
    return [str(value), value.domain, value.default, value.mapping, value.context]


def _load_translation_string(dumped: list[Any]) -> TranslationString:
    msgid, domain, default, mapping, context = dumped
    return TranslationString(msgid, domain, default, mapping, context)


def _dump_moment(value: datetime | time) -> Any:
    """The ISO format; with time zone or fold also those."""
    text = value.replace(tzinfo=None).isoformat()
    if value.tzinfo is None and not value.fold:
        return text
    return [text, value.fold, _dump_zone(value)]


def _load_moment(cls: type[datetime] | type[time]) -> Callable[[Any], Any]:
    def load(dumped: Any) -> Any:
        if isinstance(dumped, str):
            return cls.fromisoformat(dumped)
        text, fold, zone = dumped
        return cls.fromisoformat(text).replace(fold=fold, tzinfo=_load_zone(zone))

    return load


def _dump_zone(value: datetime | time) -> Any:
    zone = value.tzinfo
    if type(zone) is ZoneInfo and _has_rules_of_its_name(zone):
        return zone.key
    if type(zone) is timezone:
        return [zone.utcoffset(None) // _MICROSECOND, zone.tzname(None)]
    if zone is None:
        return None
    raise NotKept(
        f"{type(value).__name__} with a time zone of type {type(zone).__module__}.{type(zone).__name__}: use "
        'zoneinfo.ZoneInfo("Europe/Berlin"), or another name, or datetime.timezone'
    )


def _has_rules_of_its_name(zone: ZoneInfo) -> bool:
    """Not if ``ZoneInfo.from_file`` made it, of any file and with any name: pickle refuses those too."""
    try:
        zone.__reduce__()
    except PicklingError:
        return False
    return True


def _load_zone(dumped: Any) -> tzinfo | None:
    if dumped is None:
        return None
    if isinstance(dumped, str):
        return ZoneInfo(dumped)
    offset, name = dumped
    zone = timezone(timedelta(microseconds=offset))
    return zone if zone.tzname(None) == name else timezone(timedelta(microseconds=offset), name)


BUILT_IN: Final = [
    SessionType(TranslationString, "translationstring", _dump_translation_string, _load_translation_string),
    SessionType(datetime, "datetime", _dump_moment, _load_moment(datetime)),
    SessionType(date, "date", date.isoformat, date.fromisoformat),
    SessionType(time, "time", _dump_moment, _load_moment(time)),
    SessionType(
        timedelta,
        "timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda dumped: timedelta(*dumped),
    ),
    SessionType(UUID, "uuid", lambda value: value.hex, UUID),
    SessionType(Decimal, "decimal", str, Decimal),
    SessionType(
        bytes,
        "bytes",
        lambda value: b64encode(value).decode("ascii"),
        lambda dumped: b64decode(dumped, validate=True),
    ),
    SessionType(set, "set", _dump_set, set),
    SessionType(frozenset, "frozenset", _dump_set, frozenset),
]

try:
    from markupsafe import Markup
except ImportError:  # then no application has one
    pass
else:
    BUILT_IN.append(SessionType(Markup, "markup", str, Markup))
