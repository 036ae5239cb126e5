"""What is to be stored, in each situation that a request can be in: a table, without a store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.plan import (
    EMPTY,
    NOTHING,
    Create,
    Nothing,
    Plan,
    Refused,
    Remove,
    Update,
    needs_cookie,
    new_record,
    plan,
)
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.state import Condition, Ending, Found, NewSecret, Pending, Stored

LOADED = 1_000_000
SETTINGS = Settings(secret=(b"never used" * 4,))
RECORD = new_record(SETTINGS, LOADED - 100)._replace(data=b'{"a":1}', verifier="v", version=7)
STORED = Stored("k" * 22, RECORD, "s" * 43)
SAME, OTHER = RECORD.data, b'{"a":2}'
LOGIN = {"userid": "ada", "authenticated": 5, "created": LOADED}


def pending(
    new_secret: NewSecret | None = None,
    fields: dict[str, object] | None = None,
    limits: dict[str, object] | None = None,
    renew: bool = False,
    ends: Condition | None = None,
) -> Pending:
    endings = () if ends is None else (Ending(STORED.key, None, "logout", ends, RECORD),)
    made = Pending(endings, renew)
    made.new_secret, made.fields, made.limits = new_secret, fields or {}, limits or {}
    return made


CASES: list[tuple[str, Found, Stored | None, Pending, bytes, type[Plan]]] = [
    # what it is                          what was found    stored  what is wanted                       contents  plan
    ("a visit without a cookie", Found.NOTHING, None, pending(), EMPTY, Nothing),
    ("a first change", Found.NOTHING, None, pending(), OTHER, Create),
    ("a first login", Found.NOTHING, None, pending(NewSecret.LOGIN, LOGIN), EMPTY, Create),
    ("a form was shown", Found.BLANK, None, pending(), EMPTY, Nothing),
    ("a change after a form", Found.BLANK, None, pending(), OTHER, Create),
    ("a visit with a dead cookie", Found.DEAD, None, pending(), EMPTY, Nothing),
    ("a change with a dead cookie", Found.DEAD, None, pending(), OTHER, Create),
    ("a change beside what cannot be read", Found.UNREADABLE, None, pending(), OTHER, Create),
    ("a look with a replaced cookie", Found.REPLACED, None, pending(), EMPTY, Nothing),
    ("a change with a replaced cookie", Found.REPLACED, None, pending(), OTHER, Refused),
    ("a login with a replaced cookie", Found.REPLACED, None, pending(NewSecret.LOGIN, LOGIN), OTHER, Create),
    ("a logout that is not proven", Found.REPLACED, None, pending(ends=Condition.NEVER), EMPTY, Refused),
    ("a logout that is proven", Found.REPLACED, None, pending(ends=Condition.ALWAYS), EMPTY, Nothing),
    ("a look", Found.LIVE, STORED, pending(), SAME, Nothing),
    ("a change", Found.LIVE, STORED, pending(), OTHER, Update),
    ("everything taken out", Found.LIVE, STORED, pending(), EMPTY, Update),
    ("a renewal", Found.LIVE, STORED, pending(renew=True), SAME, Update),
    ("other limits", Found.LIVE, STORED, pending(limits={"timeout": 5}), SAME, Update),
    ("a new ID", Found.LIVE, STORED, pending(NewSecret.REGENERATED), SAME, Update),
    ("a login", Found.LIVE, STORED, pending(NewSecret.LOGIN, LOGIN), SAME, Update),
    ("an ending", Found.LIVE, None, pending(ends=Condition.ALWAYS), EMPTY, Nothing),
    ("an ending, and then a change", Found.LIVE, None, pending(ends=Condition.ALWAYS), OTHER, Create),
]


def planned(found: Found, stored: Stored | None, wanted: Pending, data: bytes, settings: Settings = SETTINGS) -> Plan:
    return plan(found, stored, wanted, data, settings, LOADED)


@pytest.mark.parametrize(
    ("found", "stored", "wanted", "data", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_the_table(found: Found, stored: Stored | None, wanted: Pending, data: bytes, expected: type[Plan]) -> None:
    assert type(planned(found, stored, wanted, data)) is expected


@pytest.mark.parametrize(
    ("new_secret", "limits", "settings", "needs", "resend"),
    [
        (None, {}, {}, False, False),
        (NewSecret.REGENERATED, {}, {}, True, False),
        (None, {"persistent": True}, {}, False, True),
        (None, {"lifetime": 99}, {}, False, False),
        (None, {"lifetime": 99}, {"persistent": True}, False, True),
        (None, {"timeout": 99}, {"persistent": True}, False, False),
        (None, {}, {"persistent": True}, False, False),
        (None, {}, {"persistent": True, "rolling": True}, False, True),
    ],
)
def test_when_a_cookie_is_sent(
    new_secret: NewSecret | None, limits: dict[str, object], settings: dict[str, bool], needs: bool, resend: bool
) -> None:
    stored = STORED._replace(record=RECORD._replace(persistent=settings.get("persistent", False)))
    wanted = planned(
        Found.LIVE,
        stored,
        pending(new_secret, limits=limits),
        OTHER,
        Settings(secret=SETTINGS.secret, **settings),  # type: ignore[arg-type]
    )
    assert isinstance(wanted, Update)
    assert (needs_cookie(wanted), wanted.resend) == (needs, resend)


def record_of(wanted: Plan) -> Record:
    assert isinstance(wanted, (Create, Update))
    return wanted.record


def test_an_update_changes_contents_and_renewal_alone() -> None:
    after = record_of(planned(Found.LIVE, STORED, pending(), OTHER))
    assert after == RECORD._replace(data=OTHER, renewed=LOADED)


def test_a_clock_that_was_set_back_takes_no_time_away() -> None:
    stored = STORED._replace(record=RECORD._replace(renewed=LOADED + 500))
    assert record_of(planned(Found.LIVE, stored, pending(), OTHER)).renewed == LOADED + 500


def test_limits_that_were_set_hold_for_a_login_too() -> None:
    wanted = pending(NewSecret.LOGIN, LOGIN | {"timeout": 1, "deadline": 2, "persistent": False})
    wanted.limits = {"timeout": 60, "lifetime": 600, "persistent": True}
    after = record_of(planned(Found.NOTHING, None, wanted, EMPTY))
    assert (after.timeout, after.deadline, after.persistent) == (60, LOADED + 600, True)


def test_a_session_without_limits() -> None:
    after = record_of(planned(Found.LIVE, STORED, pending(limits={"timeout": None, "lifetime": None}), SAME))
    assert after.expires is None


def test_save_uninitialized_stores_what_is_empty() -> None:
    settings = Settings(secret=SETTINGS.secret, save_uninitialized=True)
    assert isinstance(planned(Found.NOTHING, None, pending(), EMPTY, settings), Create)
    assert planned(Found.REPLACED, None, pending(), EMPTY, settings) is NOTHING


@pytest.mark.parametrize(
    ("record", "wanted", "data", "planned"),
    [
        (RECORD, pending(), EMPTY, Remove),
        (RECORD, pending(NewSecret.REGENERATED), EMPTY, Remove),
        (RECORD, pending(), OTHER, Update),
        (RECORD, pending(NewSecret.LOGIN, LOGIN), EMPTY, Update),
        (RECORD._replace(userid="ada"), pending(), EMPTY, Update),
        (RECORD._replace(data=EMPTY), pending(), EMPTY, Nothing),
        (RECORD._replace(data=EMPTY), pending(renew=True), EMPTY, Update),
    ],
)
def test_what_delete_empty_removes(record: Record, wanted: Pending, data: bytes, planned: type[Plan]) -> None:
    settings = replace(SETTINGS, delete_empty=True)
    assert type(plan(Found.LIVE, STORED._replace(record=record), wanted, data, settings, LOADED)) is planned
