"""``config.add_session_type``: what it keeps, and what it refuses at start-up and when a value is written."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationConflictError, ConfigurationError
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request

from pyramid_sessionkit.contents.serializer import Serializer
from pyramid_sessionkit.exceptions import SessionNotSerializable
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.testing import SessionType, make_session, new_session, open_session
from tests.conftest import SECRET
from tests.values.random_values import Level, Money


@dataclass(frozen=True)
class Line:
    """What orjson writes itself, and another type of the application's inside of it."""

    text: str
    price: Money


class Tags(dict[str, Any]):
    """Without its type this would come back as a dict."""


def dump_money(money: Money) -> Any:
    return [money.amount, money.currency]


def load_money(dumped: Any) -> Money:
    return Money(*dumped)


def configured(*types: tuple[Any, ...]) -> Configurator:
    config = Configurator(settings={"sessionkit.secret": SECRET})
    config.include("pyramid_sessionkit")
    for one in types:
        config.add_session_type(*one)
    config.commit()
    return config


def saved_key(session: Session) -> str:
    session.save()
    return session.key


MONEY = (Money, "money", dump_money, load_money)
LINE = (Line, "line", lambda line: {"text": line.text, "price": line.price}, lambda dumped: Line(**dumped))
TAGS = (Tags, "tags", dict, Tags)
LEVEL = (Level, "level", lambda level: level.name, lambda name: Level[name])


def test_an_applications_own_values_come_back() -> None:
    persistence = configured(MONEY, LINE, TAGS, LEVEL).registry.getUtility(ISessionFactory).persistence
    contents = {
        "total": Money(Decimal("9.90"), "EUR"),
        "lines": [Line("tea", Money(Decimal(1), "EUR")), (Level.HIGH, {"a": Tags(a=1)})],
        "seen": {Level.HIGH},
    }
    session = new_session(persistence)
    session.update(contents)
    session.save()
    back = open_session(persistence, session.key).copy()
    assert back == {**contents, "lines": [contents["lines"][0], list(contents["lines"][1])]}
    assert type(back["lines"][1][1]["a"]) is Tags
    assert type(back["lines"][1][0]) is Level
    assert back["seen"] == {Level.HIGH}
    assert type(back["seen"].pop()) is Level


def test_a_set_keeps_tuples_of_an_added_type() -> None:
    prices = {Money(Decimal(1), "EUR"), Money(Decimal(2), "EUR")}
    session = make_session({"seen": prices}, types=[SessionType(*MONEY)])
    back = open_session(session.work.persistence, saved_key(session))["seen"]
    assert back == prices
    assert {type(price) for price in back} == {Money}


def test_all_four_may_be_dotted_names() -> None:
    here = "tests.values.test_add_session_type"
    config = configured((f"{here}.Money", "money", f"{here}.dump_money", f"{here}.load_money"))
    session = new_session(config.registry.getUtility(ISessionFactory).persistence)
    session["total"] = Money(Decimal(1), "EUR")


def test_types_stay_if_the_package_is_included_again() -> None:
    config = configured(MONEY)
    config.include("pyramid_sessionkit")
    config.commit()
    session = new_session(config.registry.getUtility(ISessionFactory).persistence)
    session["total"] = Money(Decimal(1), "EUR")


def test_applications_have_types_of_their_own() -> None:
    configured(MONEY)
    session = new_session(configured().registry.getUtility(ISessionFactory).persistence)
    with pytest.raises(SessionNotSerializable, match="total: Money"):
        session["total"] = Money(Decimal(1), "EUR")


def test_unit_tests_name_the_types_that_they_need() -> None:
    session = make_session({"total": Money(Decimal(1), "EUR")}, types=[SessionType(*MONEY)])
    assert session["total"] == Money(Decimal(1), "EUR")
    with pytest.raises(ConfigurationError, match="is not a class"):
        make_session(types=[SessionType("Money", *MONEY[1:])])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dump", "load", "problem"),
    [
        (lambda money: [money.amount], lambda dumped: Money(dumped[0], "USD"), "come back with other contents"),
        (tuple, tuple, "Money, which would come back as tuple"),
        (lambda money: money.amount, lambda dumped: dumped, "Money, which would come back as Decimal"),
        (lambda money: {"amount": complex(money.amount)}, lambda dumped: None, "this cannot be kept: complex"),
    ],
)
def test_a_value_that_would_come_back_as_another_is_refused(dump: Any, load: Any, problem: str) -> None:
    with pytest.raises(SessionNotSerializable, match=rf"cart\[0\]: .*{problem}"):
        make_session({"cart": [Money(Decimal(1), "EUR")]}, types=[SessionType(Money, "money", dump, load)])


def test_a_value_that_contains_itself_is_refused_in_few_words() -> None:
    itself = SessionType(Tags, "tags", lambda tags: tags, lambda dumped: dumped)
    with pytest.raises(
        SessionNotSerializable, match="a: Tags, of which this cannot be kept: nested too deeply"
    ) as refused:
        make_session({"a": Tags()}, types=[itself])
    assert str(refused.value).count("Tags") == 1


class Node:
    """Does not say when two are equal."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside


def test_without_eq_the_dumped_parts_are_compared() -> None:
    forgets = SessionType(Node, "node", lambda node: node.inside, lambda dumped: Node(dumped + 1))
    with pytest.raises(SessionNotSerializable, match="a: Node, which would come back with other contents"):
        make_session({"a": Node(1)}, types=[forgets])


def test_values_inside_one_another_are_checked_in_few_steps() -> None:
    dumped = []
    counted = SessionType(Node, "node", lambda node: dumped.append(1) or node.inside, Node)
    value: Any = 1
    for _ in range(12):
        value = Node(value)
    Serializer([counted]).dumps({"a": value})
    assert len(dumped) < 12 * 12


def test_an_error_in_dump_or_load_is_the_applications_own() -> None:
    def fail(value: Any) -> Any:
        raise KeyError("of the application")

    for dump, load in ((fail, load_money), (dump_money, fail)):
        with pytest.raises(KeyError, match="of the application"):
            make_session({"a": Money(Decimal(1), "EUR")}, types=[SessionType(Money, "money", dump, load)])


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        (("text", "money", dump_money, load_money), "text"),
        ((Money(Decimal(1), "EUR"), "money", dump_money, load_money), "is not a class"),
        ((Decimal, "money", dump_money, load_money), "keeps values of Decimal already"),
        ((dict, "money", dump_money, load_money), "keeps values of dict already"),
        ((Money, "", dump_money, load_money), "'' is not a name"),
        ((Money, "my money", dump_money, load_money), "'my money' is not a name"),
        ((Money, "money", None, load_money), "dump of money is not callable"),
        ((Money, "money", dump_money, lambda: None), r"add_session_type.load is called with \(dumped\)"),
    ],
)
def test_what_could_never_work_stops_start_up(added: Any, problem: str) -> None:
    with pytest.raises((ConfigurationError, ImportError, ValueError), match=problem):
        configured(added)


@pytest.mark.parametrize("second", [(Line, "money", *MONEY[2:]), (Money, "price", *MONEY[2:])])
def test_two_types_of_one_name_or_class_are_a_conflict(second: Any) -> None:
    with pytest.raises(ConfigurationConflictError):
        configured(MONEY, second)


def test_the_types_are_introspectable() -> None:
    found = configured(MONEY).registry.introspector.get("session types", "money")
    assert found["cls"] is Money


def test_views_see_them(make_app: Any) -> None:
    def write(request: Request) -> Any:
        request.session["total"] = Money(Decimal("1.10"), "EUR")
        return request.response

    def read(request: Request) -> Any:
        request.response.text = str(request.session["total"].amount)
        return request.response

    app = make_app({"/write": write, "/read": read}, configure=lambda config: config.add_session_type(*MONEY))
    app.get("/write")
    assert app.get("/read").text == "1.10"


def test_a_merge_and_a_savepoint_know_the_added_types() -> None:
    mine = make_session({"total": Money(Decimal(1), "EUR"), "n": 0}, types=[SessionType(*MONEY)])
    other = open_session(mine.work.persistence, saved_key(mine))
    other["total"] = Money(Decimal(2), "EUR")
    other.save()
    mine["n"] = 1
    mine.save()
    assert mine["total"] == Money(Decimal(2), "EUR")
    before = mine.work.snapshot()
    mine["total"] = Money(Decimal(3), "EUR")
    mine.work.restore(before)
    assert mine["total"] == Money(Decimal(2), "EUR")
