"""Each type that a session keeps: exactly as it was, in contents, flash messages and tests; and what is refused."""

from __future__ import annotations

import gc
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup
from pyramid.i18n import TranslationString, TranslationStringFactory
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from pyramid_sessionkit.contents.serializer import BUILT_IN_ONLY
from pyramid_sessionkit.exceptions import SessionGone, SessionNotSerializable
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.testing import make_session, new_session, open_session
from tests.merge_reference import described
from tests.values.random_values import ZONES, Level, Text

_ = TranslationStringFactory("shop")

RULES = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
"""A file of a time zone, of the oldest version."""

KEPT = [
    Markup("<b>Saved</b>"),
    _("saved-n", default="Saved ${n} things", mapping={"n": 3, "at": date(2026, 1, 1)}, context="cart"),
    TranslationString("plain"),
    datetime(2026, 11, 22, 6, 7, 39, 1),
    datetime(1, 1, 1),
    datetime.max,
    *(datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=zone) for zone in ZONES for fold in (0, 1)),
    date.min,
    date(2026, 11, 22),
    time(12, 30, 1, 5),
    time(2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    timedelta.min,
    timedelta(days=-1, microseconds=1),
    timedelta.max,
    UUID("12345678-1234-5678-1234-567812345678"),
    *map(Decimal, ("1.00", "1E+30", "-0", "NaN123", "sNaN", "-Infinity")),
    b"",
    bytes(range(256)),
    set(),
    {1, 2.5, "a", None, Markup("a"), frozenset((date(2026, 1, 1),))},
    frozenset("ab"),
]


@pytest.fixture
def persistence(make_persistence: Callable[..., Persistence], any_store: Any) -> Persistence:
    return make_persistence(any_store)


def saved(persistence: Persistence, contents: dict[str, Any]) -> str:
    session = new_session(persistence)
    session.update(contents)
    session.save()
    return session.key


@pytest.mark.parametrize("value", KEPT, ids=lambda value: f"{type(value).__name__} {str(value)[:20]}")
@pytest.mark.parametrize("place", [lambda v: v, lambda v: [v], lambda v: {"a": v, "b": [{"c": (v,)}]}])
def test_comes_back_as_it_was(persistence: Persistence, value: Any, place: Any) -> None:
    back = open_session(persistence, saved(persistence, {"value": place(value)}))["value"]
    while type(back) in (list, dict) and type(value) is not type(back):
        back = back[0] if type(back) is list else back["b"][0]["c"]
    assert type(back) is type(value)
    assert described(back) == described(value)


def test_a_zone_is_the_zone_of_that_name(persistence: Persistence) -> None:
    when = datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    back = open_session(persistence, saved(persistence, {"when": when}))["when"]
    assert back + timedelta(days=183) - back == timedelta(days=183)
    assert back.tzinfo is ZoneInfo("Europe/Berlin")


def in_lists(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(("value", "levels"), [(b"a", 1), ({1}, 2), (datetime(2026, 1, 1, fold=1), 2)], ids=repr)
def test_a_tag_counts_as_a_level(value: Any, levels: int) -> None:
    """JSON has 254 levels, the contents being the first."""
    deepest = {"a": in_lists(value, 253 - levels)}
    assert BUILT_IN_ONLY.loads(BUILT_IN_ONLY.dumps(deepest)) == deepest
    with pytest.raises(SessionNotSerializable, match="nested too deeply"):
        make_session({"a": in_lists(value, 254 - levels)})


@pytest.mark.parametrize(
    "value",
    [
        {"~date": "2026-11-22"},
        {"~~date": {"~set": []}},
        {"~": None},
        {"~unknown": 1},
        {"~date": date(2026, 11, 22)},
        {"a": date(2026, 11, 22), "~date": "x"},
        {"~set": {1}},
    ],
)
@pytest.mark.parametrize("beside", [None, b"tagged"])
def test_a_dict_that_looks_like_a_tag_is_a_dict(persistence: Persistence, value: Any, beside: Any) -> None:
    contents = {"value": value, "beside": beside}
    assert described(open_session(persistence, saved(persistence, contents)).copy()) == described(contents)
    assert described(open_session(persistence, saved(persistence, value)).copy()) == described(value)


def test_the_order_in_which_a_set_was_made_is_no_change() -> None:
    one, other = {0, 8}, {8, 0}
    assert list(one) != list(other)
    assert BUILT_IN_ONLY.dumps({"a": one}) == BUILT_IN_ONLY.dumps({"a": other})
    assert BUILT_IN_ONLY.dumps({"a": frozenset(one)}) == BUILT_IN_ONLY.dumps({"a": frozenset(other)})


def test_a_changed_set_is_saved(persistence: Persistence) -> None:
    key = saved(persistence, {"seen": {1}})
    session = open_session(persistence, key)
    session["seen"].add(2)
    session.save()
    assert open_session(persistence, key)["seen"] == {1, 2}


def test_a_set_in_the_views_hands_is_the_merged_one(persistence: Persistence) -> None:
    key = saved(persistence, {"seen": {1}, "n": 0})
    mine, other = open_session(persistence, key), open_session(persistence, key)
    seen = mine["seen"]
    other["seen"] = {1, 5}
    other.save()
    mine["n"] = 1
    mine.save()
    assert seen == {1, 5}
    seen.add(2)
    mine.save()
    assert open_session(persistence, key)["seen"] == {1, 5, 2}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a", Markup("a")),
        (["a"], [Markup("a")]),
        (1, True),
        (_("a"), "a"),
        (_("a"), _("a", mapping={"n": 1})),
        (datetime(2026, 1, 1, 12, tzinfo=timezone.utc), datetime(2026, 1, 1, 12, tzinfo=ZoneInfo("UTC"))),
        (datetime(2026, 10, 25, 2), datetime(2026, 10, 25, 2, fold=1)),
        (Decimal("1.0"), Decimal("1.00")),
        ({1}, frozenset((1,))),
        ({1}, {True}),
    ],
    ids=str,
)
def test_an_equal_value_of_another_kind_is_a_change(persistence: Persistence, before: Any, after: Any) -> None:
    key = saved(persistence, {"value": before, "n": 0})
    mine, other = open_session(persistence, key), open_session(persistence, key)
    mine["value"] = after
    other["n"] = 1
    other.save()
    mine.save()
    assert described(open_session(persistence, key).copy()) == described({"value": after, "n": 1})


def test_apply_counts_with_decimals_in_requests_at_once(persistence: Persistence) -> None:
    key = saved(persistence, {"total": Decimal("1.10"), "seen": {1}})
    requests = [open_session(persistence, key) for _ in range(3)]
    for number, request in enumerate(requests):
        request.apply("total", lambda total: total + Decimal("0.10"))
        request.apply("seen", lambda seen, number=number: seen | {10 * number})
    for request in requests:
        request.save()
    assert open_session(persistence, key).copy() == {"total": Decimal("1.40"), "seen": {1, 0, 10, 20}}


def test_apply_may_change_a_set_in_place(persistence: Persistence) -> None:
    key = saved(persistence, {"seen": {1}})
    requests = [open_session(persistence, key) for _ in range(2)]
    for number, request in enumerate(requests):
        request.apply("seen", lambda seen, number=number: seen.add(10 + number) or seen)
    for request in requests:
        request.save()
    assert open_session(persistence, key)["seen"] == {1, 10, 11}


class TestMessages:
    """Flash messages after a redirect, as an application shows them."""

    @pytest.fixture
    def shown(self, make_app: Callable[..., TestApp]) -> Callable[[Any], str]:
        def shown(message: Any) -> str:
            def write(request: Request) -> Response:
                request.session.flash(message)
                return Response()

            def read(request: Request) -> Response:
                (back,) = request.session.pop_flash()
                text = back if isinstance(back, Markup) else request.localizer.translate(back)
                return Response(str(Markup("<p>{}</p>").format(text)))

            app = make_app({"/write": write, "/read": read})
            app.get("/write")
            return str(app.get("/read").text)

        return shown

    def test_markup_does_not_show_its_tags(self, shown: Callable[[Any], str]) -> None:
        assert shown(Markup("<b>Saved</b>")) == "<p><b>Saved</b></p>"
        assert shown("<b>Saved</b>") == "<p>&lt;b&gt;Saved&lt;/b&gt;</p>"

    def test_a_translation_string_is_translated_after_a_redirect(self, shown: Callable[[Any], str]) -> None:
        message = _("saved-n", default="Saved ${n} things", mapping={"n": 3})
        assert shown(message) == "<p>Saved 3 things</p>"

    def test_what_cannot_be_kept_is_refused_where_it_is_flashed(self) -> None:
        with pytest.raises(SessionNotSerializable, match=r"messages\[0\] of the flash queue 'info': Level, an enum"):
            make_session().flash(Level.HIGH, "info")


class TestRefusedAtTheLine:
    """The traceback ends where the application wrote the value."""

    @pytest.mark.parametrize(
        "write",
        [
            lambda session: session.__setitem__("a", Level.HIGH),
            lambda session: session.update(a=Level.HIGH),
            lambda session: session.setdefault("a", [Level.HIGH]),
            lambda session: session.apply("a", lambda n: Level.HIGH),
            lambda session: session.__setitem__("a", float("nan")),
            lambda session: session.__setitem__("a", "\ud800"),
            lambda session: session.__setitem__("a", 2**64),
            lambda session: session.__setitem__(Text("a"), 1),
            lambda session: session.__setitem__("\ud800", 1),
        ],
    )
    def test_refused_and_not_put(self, write: Callable[[Session], Any]) -> None:
        session = make_session({"b": 1})
        with pytest.raises(SessionNotSerializable):
            write(session)
        session.save()
        assert session.copy() == {"b": 1}

    def test_a_zone_without_a_name_says_what_to_use(self) -> None:
        class Zone(type(ZONES[5])):  # type: ignore[misc]
            pass

        with pytest.raises(
            SessionNotSerializable, match=r"when: datetime with a time zone of type tests\..*Zone: use zoneinfo"
        ):
            make_session({"when": datetime(2026, 1, 1, tzinfo=Zone("UTC"))})

    @pytest.mark.parametrize("name", [None, "Asia/Tokyo", "Shop/Berlin"])
    def test_a_zone_from_a_file_is_refused(self, name: str | None) -> None:
        zone = ZoneInfo.from_file(BytesIO(RULES), key=name)
        with pytest.raises(SessionNotSerializable, match=r"a time zone of type zoneinfo\.ZoneInfo: use"):
            make_session({"when": datetime(2026, 1, 1, tzinfo=zone)})

    def test_what_is_inside_a_value_is_named(self) -> None:
        with pytest.raises(SessionNotSerializable, match=r"a: set with a tuple in it, which would come back as a list"):
            make_session({"a": {(1, 2)}})
        with pytest.raises(SessionNotSerializable, match=r"a: TranslationString, of which this .* Level, an enum"):
            make_session({"a": _("n", mapping={"n": Level.HIGH})})


class TestDamage:
    @pytest.mark.parametrize(
        "data",
        [
            b"~",
            b"~[]",
            b'x{"a":1}',
            b'~~{"a":1}',
            b"~{",
            b'~{"~date":"2026-11-22"}',
            b'~{"a":{"~date":5}}',
            b'~{"a":{"~date":"yesterday"}}',
            b'~{"a":{"~bytes":"*"}}',
            b'~{"a":{"~set":[[]]}}',
            b'~{"a":{"~decimal":"x"}}',
            b'~{"a":{"~datetime":["2026-11-22",2,null]}}',
            b'~{"a":{"~datetime":["2026-11-22T00:00:00",0,"../../etc/passwd"]}}',
            b'~{"a":{"~timedelta":[1e300,0,0]}}',
            b'~{"a":{"~nothing":1}}',
            b'~{"a":' + b'{"~set":[' * 400 + b"]}" * 400 + b"}",
        ],
        ids=lambda data: data[:40].decode(),
    )
    def test_tags_that_cannot_be_read_are_an_unreadable_session(self, data: bytes) -> None:
        with pytest.raises(ValueError):
            BUILT_IN_ONLY.loads(data)

    def test_the_log_shows_no_more_of_a_tag_than_a_name_has(self) -> None:
        with pytest.raises(ValueError) as unknown:
            BUILT_IN_ONLY.loads(b'~{"a":{"~' + b"x" * 1000 + b'":1}}')
        assert len(str(unknown.value)) < 200

    def test_the_log_names_a_type_that_nobody_adds(self, persistence: Persistence, caplog: Any) -> None:
        key = saved(persistence, {"a": 1})
        record = persistence.store.load(key)
        persistence.store.update(key, record._replace(data=b'~{"a":{"~:money":1}}'))
        with pytest.raises(SessionGone):
            open_session(persistence, key).copy()
        assert "has a value of the session type :money, which this application does not add" in caplog.text


def test_a_change_after_the_last_save_is_logged(make_app: Callable[..., TestApp], caplog: Any) -> None:
    late = []

    def view(request: Request) -> Response:
        request.session["seen"] = {1}
        request.add_finished_callback(lambda request: late.append(request.session["seen"].add(2)))
        return Response()

    make_app({"/": view}).get("/")
    gc.collect()
    assert late
    assert "was changed inside a list or dict after it was saved" in caplog.text
