"""The request, for annotations."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request as PyramidRequest

from pyramid_sessionkit.session import Session


class Request(PyramidRequest):  # type: ignore[misc]
    """Pyramid's request, of which type checkers and editors know what this package puts there.

    ``def view(request: Request)`` is enough. An application derives its own from it, to say what else its requests
    have, and need not make them of that class: at run time nothing is added here.
    """

    session: Session
    identity: Any
    """What ``sessionkit.identity`` returned; None if nobody is logged in."""
    authenticated_userid: str | None
    """The id of the logged-in user, as text."""
