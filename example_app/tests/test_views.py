"""Views that are called by themselves."""

from pyramid.request import Request
from pyramid.testing import DummyRequest
from sqlalchemy.orm import Session

from example_app import models
from example_app.security import identity, log_in
from example_app.views.home import home
from example_app.views.messages import MessageViews
from pyramid_sessionkit.testing import make_session


def test_the_home_page_counts_its_views(dummy_request: DummyRequest) -> None:
    dummy_request.session = make_session({"views": 41})

    assert home(dummy_request) == {"views": 42}
    assert dummy_request.session["views"] == 42


def test_a_user_is_known_by_the_id(dummy_request: DummyRequest, user: models.User) -> None:
    assert identity(dummy_request, str(user.id)) is user
    assert identity(dummy_request, "0") is None


def test_messages_are_those_of_the_user(app_request: Request, dbsession: Session, user: models.User) -> None:
    other = models.User(name="Alan", email="alan@example.com", password_hash="")
    dbsession.add(other)
    dbsession.flush()
    dbsession.add_all([models.Message(user_id=user.id, text="mine"), models.Message(user_id=other.id, text="not mine")])
    dbsession.flush()
    log_in(app_request, user)

    page = MessageViews(app_request).page()

    assert [message.text for message in page["messages"]] == ["mine"]
