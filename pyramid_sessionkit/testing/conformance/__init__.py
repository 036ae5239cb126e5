"""The conformance suite for stores: what every store promises, as a class of pytest tests.

Subclass it in a test module of the store, with one fixture::

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def store(self):
            store = MyStore(...)
            yield store
            store.clear()

The store must be empty for each test. It needs no clock that can be set: records are made that have expired already.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "concurrency",
            "contents",
            "contents_update",
            "damage",
            "expiry",
            "forks",
            "keys",
            "listing",
            "outages",
            "purging",
            "users",
            "versions",
        )
    )
)

from pyramid_sessionkit.testing.conformance.at_once import in_processes, in_threads  # noqa: E402
from pyramid_sessionkit.testing.conformance.concurrency import Concurrency  # noqa: E402
from pyramid_sessionkit.testing.conformance.contents import Contents  # noqa: E402
from pyramid_sessionkit.testing.conformance.contents_update import ContentsUpdate  # noqa: E402
from pyramid_sessionkit.testing.conformance.damage import Damage  # noqa: E402
from pyramid_sessionkit.testing.conformance.expiry import Expiry  # noqa: E402
from pyramid_sessionkit.testing.conformance.forks import Forks  # noqa: E402
from pyramid_sessionkit.testing.conformance.hooks import Hooks  # noqa: E402
from pyramid_sessionkit.testing.conformance.keys import Keys  # noqa: E402
from pyramid_sessionkit.testing.conformance.listing import Listing  # noqa: E402
from pyramid_sessionkit.testing.conformance.outages import Outages  # noqa: E402
from pyramid_sessionkit.testing.conformance.purging import Purging  # noqa: E402
from pyramid_sessionkit.testing.conformance.records import (  # noqa: E402
    KEY,
    LARGEST,
    OTHER_KEY,
    expired_record,
    make_record,
    numbered,
    unversioned,
)
from pyramid_sessionkit.testing.conformance.sessions import new_session, open_session, write_key  # noqa: E402
from pyramid_sessionkit.testing.conformance.users import Users  # noqa: E402
from pyramid_sessionkit.testing.conformance.versions import Versions  # noqa: E402

__all__ = [
    "KEY",
    "LARGEST",
    "OTHER_KEY",
    "StoreConformance",
    "expired_record",
    "in_processes",
    "in_threads",
    "make_record",
    "new_session",
    "numbered",
    "open_session",
    "unversioned",
    "write_key",
]


class StoreConformance(
    Contents,
    Keys,
    Versions,
    ContentsUpdate,
    Expiry,
    Concurrency,
    Forks,
    Damage,
    Users,
    Listing,
    Purging,
    Outages,
    Hooks,
):
    """What every store promises. Optional interfaces are tested where the store provides them."""
