"""``@owned_by``, and what is importable."""

from __future__ import annotations

import builtins
import importlib
import sys
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, ForeignKey, Integer, MetaData, String, Table, TypeDecorator, select, true
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, registry, relationship, synonym

import pyramid_sessionkit
from pyramid_sessionkit import owned as package
from pyramid_sessionkit.owned import NotOwned, owned, owned_by
from pyramid_sessionkit.owned.declaration import OWNED
from tests.owned.conftest import Visitor


class Base(DeclarativeBase):
    pass


class Odd(TypeDecorator[Any]):
    impl = String
    cache_ok = True


class Owner(Base):
    __tablename__ = "declared_owners"
    id: Mapped[int] = mapped_column(primary_key=True)


class Declared(Base):
    __tablename__ = "declared"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("declared_owners.id"))
    flag: Mapped[bool] = mapped_column(Boolean)
    price: Mapped[Decimal]
    user: Mapped[Owner] = relationship()
    other = synonym("user_id")
    double = column_property(id * 2)

    @hybrid_property
    def half(self) -> Any:
        return self.user_id


@pytest.mark.parametrize("name", ["nothing", "user", "other", "double", "half", "", "__table__"])
def test_a_name_of_no_column(name: str) -> None:
    with pytest.raises(TypeError, match="Declared has no such column; it has id, user_id, flag, price"):
        owned_by(name)(Declared)


@pytest.mark.parametrize("name", ["flag", "price"])
def test_a_type_that_holds_no_userid(name: str) -> None:
    with pytest.raises(TypeError, match="cannot hold a userid"):
        owned_by(name)(Declared)


def test_it_returns_the_class_and_only_once() -> None:
    class Once(Base):
        __tablename__ = "declared_once"
        id: Mapped[int] = mapped_column(primary_key=True)

    assert owned_by("id")(Once) is Once
    with pytest.raises(TypeError, match="has an owner already"):
        owned_by("id")(Once)


def test_classes_without_a_table() -> None:
    class Mixin:
        user_id: Mapped[int]

    class Abstract(Base):
        __abstract__ = True

    for cls in (Mixin, Abstract, int, "x"):
        with pytest.raises((TypeError, AttributeError)):
            owned_by("user_id")(cls)  # type: ignore[type-var]


def test_subclasses() -> None:
    class Root(Base):
        __tablename__ = "declared_roots"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Leaf(Root):
        __tablename__ = "declared_leaves"
        leaf_id: Mapped[int] = mapped_column(ForeignKey("declared_roots.id"), primary_key=True)
        user_id: Mapped[int]

    with pytest.raises(TypeError, match="put @owned_by on Root"):
        owned_by("user_id")(Leaf)
    with pytest.raises(TypeError, match="before Leaf is made"):
        owned_by("id")(Root)


def test_a_concrete_subclass() -> None:
    @owned_by("id")
    class Parent(Base):
        __tablename__ = "declared_parents"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(TypeError, match=r"cannot inherit its owner from Parent\.id"):

        class Concrete(Parent):
            __tablename__ = "declared_concrete"
            id: Mapped[int] = mapped_column(primary_key=True)
            __mapper_args__ = {"concrete": True}


def test_no_name_at_all() -> None:
    """Not taken for a decorator, which would leave a function in place of the class."""
    with pytest.raises(TypeError, match=r'as in @owned_by\("user_id"\)'):

        @owned_by  # type: ignore[arg-type]
        class Forgotten(Base):
            __tablename__ = "declared_forgotten"
            id: Mapped[int] = mapped_column(primary_key=True)


@pytest.mark.parametrize("name", [None, 1, Declared.user_id])
def test_what_is_no_name(name: Any) -> None:
    with pytest.raises(TypeError, match="as in"):
        owned_by(name)


def test_a_table() -> None:
    with pytest.raises(TypeError, match="declared is no mapped class"):
        owned_by("user_id")(Declared.__table__)  # type: ignore[arg-type]


def test_a_class_of_a_join() -> None:
    class Joined(Base):
        __table__ = Declared.__table__.join(Owner.__table__)
        id = column_property(Declared.__table__.c.id, Owner.__table__.c.id)

    with pytest.raises(TypeError, match="no such column"):
        owned_by("user_id")(Joined)


def test_a_name_that_is_no_identifier() -> None:
    mapped = registry()
    table = Table("declared_odd", mapped.metadata, Column("id", Integer, primary_key=True), Column("a b", Integer))

    class OddName:
        pass

    mapped.map_imperatively(OddName, table)
    with pytest.raises(TypeError, match="no identifier"):
        owned_by("a b")(OddName)


def test_imperative_mapping() -> None:
    mapped = registry()
    table = Table("declared_imperative", mapped.metadata, Column("id", Integer, primary_key=True))

    class Imperative:
        pass

    mapped.map_imperatively(Imperative, table)
    owned_by("id")(Imperative)
    assert "declared_imperative.id = " in str(owned(Visitor(7), select(Imperative)))


def test_a_type_that_is_known_later() -> None:
    mapped = registry()

    @owned_by("user_id")
    @mapped.mapped
    class Early:
        __table__ = Table(
            "declared_early",
            mapped.metadata,
            Column("id", Integer, primary_key=True),
            Column("user_id", ForeignKey("declared_late.id")),
        )

    with pytest.raises(TypeError, match="cannot hold a userid"):
        owned(Visitor(7), select(Early))
    Table("declared_late", mapped.metadata, Column("id", Integer, primary_key=True))
    assert "declared_early.user_id = " in str(owned(Visitor(7), select(Early)))


def test_a_type_of_the_application() -> None:
    class Own(Base):
        __tablename__ = "declared_own"
        id: Mapped[str] = mapped_column(Odd, primary_key=True)

    with pytest.raises(TypeError, match="cannot hold a userid"):
        owned_by("id")(Own)


def test_classes_with_the_same_name_of_the_attribute() -> None:
    """SQLAlchemy recognizes a criterion by its code, and must not take one for the other."""

    class Base(DeclarativeBase):
        pass

    @owned_by("user_id")
    class First(Base):
        __tablename__ = "declared_first"
        id: Mapped[int] = mapped_column(primary_key=True)
        user_id: Mapped[int]

    @owned_by("user_id")
    class Second(Base):
        __tablename__ = "declared_second"
        id: Mapped[int] = mapped_column(primary_key=True)
        user_id: Mapped[str]

    for userid in ("7", "8"):
        for statement in (select(First).join(Second, First.id == Second.id), select(Second, First).join(First, true())):
            parameters = owned(Visitor(userid), statement).compile().params
            assert sorted(repr(each.value) for each in parameters.values()) == [f"'{userid}'", userid]


def test_the_info_of_the_table() -> None:
    assert OWNED.of_table(Declared.__table__) is None
    assert OWNED.of_table(Table("declared", MetaData())) is None


def test_names() -> None:
    assert set(package.__all__) == {
        "NotLoggedIn",
        "NotOwned",
        "guard",
        "owned",
        "owned_by",
        "owned_policies",
        "unowned",
    }
    assert package.NotOwned is pyramid_sessionkit.NotOwned is NotOwned
    assert package.NotLoggedIn is pyramid_sessionkit.NotLoggedIn


def test_without_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def fail(name: str, *arguments: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "sqlalchemy":
            raise ImportError(name)
        return original(name, *arguments, **named)

    for name in list(sys.modules):
        if name.startswith("pyramid_sessionkit.owned"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(pyramid_sessionkit, "owned", package)
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ImportError, match=r'pip install "pyramid_sessionkit\[owned\]"'):
        importlib.import_module("pyramid_sessionkit.owned")
