from __future__ import annotations

from tests.stores.conftest import mariadb, memcached, postgresql  # noqa: F401
