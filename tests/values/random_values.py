"""Random values of every type that a session keeps, of some that it refuses, and changes to them."""

from __future__ import annotations

import enum
from copy import deepcopy
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup
from pyramid.i18n import TranslationString

from pyramid_sessionkit.contents.session_types import SessionType

ZONES = (
    None,
    timezone.utc,
    timezone(timedelta(hours=-3, minutes=-30)),
    timezone(timedelta(hours=1), "CET"),
    timezone(timedelta(seconds=1, microseconds=1)),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/St_Johns"),
)
TEXTS = ("", "a", "<b>Saved</b>", "größe 🍋", "~", "~date", "2026-11-22", "null", "\0")
NAMES = ("a", "b", "c", "d", "~", "~date", "~~set", "~:money", "größe")


class Money(NamedTuple):
    """A type of the application's own: a tuple, which without its type would come back as a list."""

    amount: Decimal
    currency: str


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


MONEY = SessionType(Money, "money", tuple, lambda dumped: Money(*dumped))

REFUSED = (Level.HIGH, Text("a"), 1j, float("nan"), 2**64, "\ud800", bytearray(b"a"), {(1, 2)}, object, {1: "a"})


def scalar(chance: Any) -> Any:
    return chance.choice((None, True, False, 0, 1, -1, 2**63, 1.0, 0.0, -0.0, 0.1, *TEXTS))


def moment(chance: Any) -> datetime:
    naive = datetime(2026, 10, 25, 2, 30, chance.randrange(60), chance.choice((0, 1, 999_999)))
    naive += timedelta(days=chance.randrange(-700_000, 2_000_000))
    return naive.replace(tzinfo=chance.choice(ZONES), fold=chance.randrange(2))


def translation_string(chance: Any) -> TranslationString:
    mapping = chance.choice((None, {}, {"n": scalar(chance), "when": tagged(chance, 0)}))
    default = chance.choice((None, "", "Saved ${n} things", Markup("<b>${n}</b>")))
    return TranslationString(
        chance.choice(TEXTS), chance.choice((None, "shop")), default, mapping, chance.choice((None, "menu"))
    )


def members(chance: Any) -> list[Any]:
    """Of a set: what can be in one."""
    makers = (scalar, moment, lambda c: Markup(c.choice(TEXTS)), lambda c: frozenset((scalar(c), moment(c))))
    return [chance.choice(makers)(chance) for _ in range(chance.randrange(4))]


def tagged(chance: Any, depth: int = 1) -> Any:
    """A value of a type that JSON does not have."""
    makers = [
        lambda: Markup(chance.choice(TEXTS)),
        lambda: moment(chance),
        lambda: moment(chance).date(),
        lambda: moment(chance).timetz(),
        lambda: timedelta(chance.randrange(-9, 9), chance.randrange(86400), chance.randrange(10**6)),
        lambda: UUID(int=chance.getrandbits(128)),
        lambda: Decimal(chance.choice(("0", "-0", "1.0", "1.00", "1E+9", "NaN", "-Infinity", "0.1", "9" * 40))),
        lambda: chance.randbytes(chance.randrange(5)),
        lambda: Money(Decimal(chance.randrange(100)), "EUR"),
    ]
    if depth:
        makers += [
            lambda: translation_string(chance),
            lambda: set(members(chance)),
            lambda: frozenset(members(chance)),
        ]
    return chance.choice(makers)()


def value(chance: Any, depth: int) -> Any:
    kind = chance.choice(("scalar", "tagged", "tagged", "list", "tuple", "dict", "dict")) if depth else "tagged"
    if kind == "scalar":
        return scalar(chance)
    if kind == "tagged":
        return tagged(chance)
    if kind == "dict":
        names = chance.sample(NAMES, chance.randrange(4))
        return {name: value(chance, depth - 1) for name in names}
    items = [value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return items if kind == "list" else tuple(items)


def contents(chance: Any) -> dict[str, Any]:
    return {name: value(chance, chance.randrange(4)) for name in chance.sample(NAMES, chance.randrange(1, 5))}


def changed(chance: Any, old: Any) -> Any:
    """A copy with a few changes, anywhere: some are to an equal value of another type."""
    if type(old) is dict:
        return _changed_dict(chance, old)
    if type(old) in (list, tuple):
        items = [changed(chance, item) for item in old]
        return [*items, value(chance, 1)] if chance.random() < 0.3 else items
    if chance.random() < 0.8:
        return deepcopy(old)
    if type(old) is str:
        return Markup(old)
    if type(old) in (Markup, TranslationString):
        return str(old)
    return value(chance, 1)


def _changed_dict(chance: Any, old: dict[str, Any]) -> dict[str, Any]:
    new = {name: changed(chance, item) for name, item in old.items() if chance.random() < 0.9}
    if chance.random() < 0.3:
        new[chance.choice(NAMES)] = value(chance, 1)
    return new


def as_it_comes_back(old: Any) -> Any:
    """With lists for tuples."""
    if type(old) is dict:
        return {name: as_it_comes_back(item) for name, item in old.items()}
    return [as_it_comes_back(item) for item in old] if type(old) in (list, tuple) else old


def days() -> list[date]:
    return [date.min, date(2026, 11, 22), date.max]


def times() -> list[time]:
    return [time.min, time(12, 30, tzinfo=timezone.utc), time(2, 30, fold=1, tzinfo=ZONES[5]), time.max]
