"""Why a session ended, with the stores that other processes share."""

from __future__ import annotations

from typing import Any

import pytest

from pyramid_sessionkit.interfaces import IListable
from pyramid_sessionkit.state import Condition, Ending
from tests.conftest import cookie_of
from tests.races.conftest import STORES


@pytest.mark.parametrize("kind", STORES[2:])
def test_the_reason_is_known_and_counts_as_no_session(
    store: Any, kind: str, open_session: Any, make_persistence: Any
) -> None:
    persistence = make_persistence(store)
    session = open_session(persistence=persistence)
    session.login("ada")
    session.save()
    cookie, record = cookie_of(session), session.work.stored.record
    assert persistence.end(Ending(cookie.key, "ada", "revoked", Condition.ALWAYS, record))
    assert persistence.why_ended(cookie) == "revoked"
    if IListable.providedBy(store):
        assert store.count() == 0
