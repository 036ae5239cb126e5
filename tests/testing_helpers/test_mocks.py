"""Sessions of unit tests, whose methods are mocked as those of Pyramid's DummySession are."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock, create_autospec, patch

import pytest

from pyramid_sessionkit import NotSupported, SecondSession, Session
from pyramid_sessionkit.testing import make_session


def test_a_method_can_be_replaced_by_a_mock() -> None:
    session = make_session({"cart": ["apples"]})
    session.invalidate = Mock()  # type: ignore[method-assign]

    session.invalidate()

    session.invalidate.assert_called_once_with()
    assert session["cart"] == ["apples"]


class Shop(Session):
    __slots__ = ()

    def add(self, item: str) -> None:
        self["cart"] = [*self.get("cart", []), item]

    def empty(self) -> None:
        self.pop("cart")


def test_a_session_class_of_the_application() -> None:
    session: Any = make_session({"cart": ["apples"]}, userid="ada", session_class=Shop)
    session.empty = Mock()
    session.empty()
    session.add("pears")
    assert isinstance(session, Shop)
    assert (session.userid, session["cart"]) == ("ada", ["apples", "pears"])


def test_a_second_session() -> None:
    basket = make_session({"items": []}, session_class=SecondSession)
    with pytest.raises(NotSupported):
        basket.login("ada")


def test_a_patched_method_is_itself_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    session = make_session()
    with patch.object(session, "flash") as flash, monkeypatch.context() as patches:
        patches.setattr(session, "peek_flash", lambda: ["patched"])
        session.flash("Saved")
        assert session.peek_flash() == ["patched"]

    flash.assert_called_once_with("Saved")
    session.flash("Sent")
    assert session.peek_flash() == ["Sent"]


def test_mocks_can_be_made_from_a_session() -> None:
    mock = create_autospec(make_session(userid="ada"), instance=True)
    mock.flash("Saved")
    assert isinstance(mock, Session)
    with pytest.raises(TypeError):
        mock.flash()
    with pytest.raises(AttributeError):
        mock.flush()


def test_a_misspelt_attribute_is_refused_as_in_production() -> None:
    session = make_session()
    with pytest.raises(AttributeError, match="A session has no attribute usreid"):
        session.usreid = "ada"  # type: ignore[attr-defined]


def test_a_property_is_not_set_but_patched() -> None:
    session = make_session()
    with pytest.raises(AttributeError, match=r"make_session\(userid=.*patch\.object\(type\(session\), \"userid\""):
        session.userid = "ada"  # type: ignore[misc]
    with patch.object(type(session), "userid", "ada"):
        assert session.userid == "ada"
    assert session.userid is None
