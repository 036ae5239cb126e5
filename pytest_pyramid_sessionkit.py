"""Fixtures for the tests of applications. pytest finds them by itself, through an entry point.

This is no part of the package, since pytest imports it at every start, before the measurement of coverage begins: it
imports nothing of the package until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest


@pytest.fixture
def sessionkit_make_session() -> Callable[..., Any]:
    """A session for a unit test: ``sessionkit_make_session({"cart": []}, userid="ada")``."""
    from pyramid_sessionkit.testing import make_session

    return make_session


@pytest.fixture
def sessionkit_login(testapp: Any) -> Callable[..., Any]:
    """Log in the browser that your own fixture ``testapp`` returns: ``sessionkit_login(user.id)``."""
    from pyramid_sessionkit.testing import login

    return partial(login, testapp)


@pytest.fixture
def sessionkit_logout(testapp: Any) -> Callable[..., Any]:
    """Log it out."""
    from pyramid_sessionkit.testing import logout

    return partial(logout, testapp)


@pytest.fixture
def sessionkit_in_request(testapp: Any) -> Callable[..., Any]:
    """Call a function with a request of that browser: ``sessionkit_in_request(lambda request: request.identity)``."""
    from pyramid_sessionkit.testing import in_request

    return partial(in_request, testapp)
