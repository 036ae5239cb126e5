from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from webtest import TestApp

from tests.conftest import SpyStore


@pytest.fixture
def basket() -> SpyStore:
    """The store of ``request.basket``."""
    from pyramid_sessionkit.stores.memory import MemoryStore

    return SpyStore(MemoryStore())


@pytest.fixture
def two_sessions(make_app: Callable[..., TestApp], basket: SpyStore) -> Callable[..., TestApp]:
    """An application with ``request.basket``, on a store of its own unless the settings name another."""

    def make(views: dict[str, Any], *, configure: Any = None, **settings: Any) -> TestApp:
        def add(config: Any) -> None:
            config.add_session("basket")
            if configure is not None:
                configure(config)

        return make_app(views, configure=add, **{"basket.store": lambda _: basket, **settings})

    return make
