"""A session that is removed since it is empty, and a request beside it, with the stores that other processes share."""

from __future__ import annotations

from typing import Any

import pytest

from pyramid_sessionkit.session import Session
from tests.conftest import SpyStore, cookie_of
from tests.races.conftest import STORES


@pytest.mark.parametrize("kind", STORES[2:])
@pytest.mark.parametrize("removed_first", [True, False])
def test_what_races_with_the_removal_is_kept(
    store: Any, kind: str, removed_first: bool, open_session: Any, make_persistence: Any
) -> None:
    spy = SpyStore(store)
    persistence = make_persistence(spy, delete_empty=True)
    first = open_session(persistence=persistence)
    first["a"] = 1
    first.save()
    cookie = cookie_of(first)
    emptying, storing = (open_session(cookie, persistence=persistence) for _ in range(2))
    emptying.clear()
    storing["b"] = 1
    earlier, later = (emptying, storing) if removed_first else (storing, emptying)
    spy.before["update"] = earlier.save
    later.save()
    assert dict(open_session(cookie, persistence=persistence)) == {"b": 1}

    last: Session = open_session(cookie, persistence=persistence)
    last.clear()
    last.save()
    assert open_session(cookie, persistence=persistence).new
    assert store.load(cookie.key, True) is None
