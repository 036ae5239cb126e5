"""A record that cannot be understood does no harm to other sessions."""

from __future__ import annotations

from typing import Any

from pyramid_sessionkit.interfaces import UNREADABLE, IListable, IPurgeable, IUserIndex
from pyramid_sessionkit.testing.conformance.hooks import Hooks
from pyramid_sessionkit.testing.conformance.records import KEY, OTHER_KEY, make_record


class Damage(Hooks):
    def test_a_damaged_record_is_unreadable_and_stays(self, store: Any) -> None:
        for key in (KEY, OTHER_KEY):
            store.create(key, make_record(userid="ada"))
        self.damage(store, KEY)
        damaged = store.load(KEY, fresh=True)
        assert damaged is not None
        assert damaged.data == UNREADABLE
        assert (damaged.userid, damaged.expires) == (None, None)
        assert store.create(KEY, make_record()) is None
        assert store.load(KEY, fresh=True) == damaged
        if IUserIndex.providedBy(store):
            assert [key for key, _ in store.sessions_of("ada")] == [OTHER_KEY]
        if IListable.providedBy(store):
            assert OTHER_KEY in [key for key, _ in store.live_sessions(9)]
            assert store.count() in (1, 2)
        if IPurgeable.providedBy(store):
            store.purge()
        assert store.load(OTHER_KEY) is not None
        assert store.delete(KEY) is True
        assert store.load(KEY, fresh=True) is None
