from pyramid.testing import DummyRequest

from example_app.security import identity


def test_a_userid_that_is_no_number_is_nobody() -> None:
    assert identity(DummyRequest(), "ada") is None
