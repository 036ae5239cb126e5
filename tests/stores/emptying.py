"""The table of sessions that tests share: one that is there is only emptied."""

from __future__ import annotations

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.stores.sql import SQLStore


def make_empty(store: SQLStore) -> None:
    """The table is there, and has no rows. To ask the catalog first would take longer than most tests."""
    try:
        store.clear()
    except StoreError:
        store.create_table()
        store.clear()
