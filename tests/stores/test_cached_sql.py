from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyramid_sessionkit.stores.cached_sql import Cache, CachedSQLStore
from pyramid_sessionkit.stores.memcached_nodes import Nodes
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.stores.sql_engine import create_session_engine
from pyramid_sessionkit.testing.conformance import StoreConformance
from tests.servers.memcached import Memcached


class TestCachedSQLStore(StoreConformance):
    @pytest.fixture
    def store(self, sql_store: SQLStore, memcached: Memcached) -> Iterator[CachedSQLStore]:
        memcached.flush()
        store = CachedSQLStore(sql_store, Cache(Nodes([memcached.address], 1), "sessionkit:", 60))
        yield store
        store.close()

    def unreachable(self) -> CachedSQLStore:
        sql = SQLStore(create_session_engine("sqlite:////no/such/folder/sessions.sqlite"))
        return CachedSQLStore(sql, Cache(Nodes(["127.0.0.1:1"], 1), "sessionkit:", 60))
