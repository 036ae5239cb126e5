"""An outage is never a miss, never an empty list, and ends when the server is back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.interfaces import IContentsUpdate, IListable, IPurgeable, IUserIndex, Record
from pyramid_sessionkit.testing.conformance.at_once import NOT_ENDED, outcomes_of
from pyramid_sessionkit.testing.conformance.hooks import Hooks
from pyramid_sessionkit.testing.conformance.network import proxy_to
from pyramid_sessionkit.testing.conformance.records import KEY, make_record


class Outages(Hooks):
    def test_an_outage_is_not_a_miss(self, store: Any) -> None:
        created = store.create(KEY, make_record(userid="ada"))
        for name, call in _calls_of(self.unreachable(), created).items():
            with pytest.raises(StoreUnavailable):
                pytest.fail(f"{name} returned {call()!r} in an outage")

    def test_a_server_that_never_answers_blocks_nobody(self, store: Any) -> None:
        created = store.create(KEY, make_record(userid="ada"))
        with proxy_to(None) as silent:
            outcomes = outcomes_of(_calls_of(self.at(*silent.address), created), self.longest_wait)
        assert [name for name, outcome in outcomes.items() if outcome is NOT_ENDED] == []
        assert {name: outcome for name, outcome in outcomes.items() if not isinstance(outcome, StoreUnavailable)} == {}

    def test_it_works_again_when_the_server_is_back(self, store: Any) -> None:
        with proxy_to(self.address()) as proxy, self._opened_at(*proxy.address) as reached:
            created = reached.create(KEY, make_record())
            proxy.stop()
            with pytest.raises(StoreUnavailable):
                reached.load(KEY)
            with pytest.raises(StoreUnavailable):
                reached.update(KEY, created)
            proxy.start()
            assert self._in_the_end(lambda: reached.load(KEY)) == created
            assert self._in_the_end(lambda: reached.update(KEY, created)) is not None

    def test_a_closed_connection_is_opened_again(self, store: Any) -> None:
        with proxy_to(self.address()) as proxy, self._opened_at(*proxy.address) as reached:
            stored = reached.create(KEY, make_record())
            for _ in range(3):
                proxy.close_connections()
                assert self._in_the_end(lambda: reached.load(KEY)) == stored
                proxy.close_connections()
                with contextlib.suppress(StoreUnavailable):
                    assert reached.update(KEY, stored) is not None
                stored = self._in_the_end(lambda: reached.load(KEY, fresh=True))

    @pytest.mark.parametrize("update", ["update", "update_contents"])
    def test_an_update_whose_answer_is_lost_is_not_repeated(self, store: Any, update: str) -> None:
        if update == "update_contents" and not IContentsUpdate.providedBy(store):
            pytest.skip("this store has no IContentsUpdate")
        with proxy_to(self.address()) as proxy, self._opened_at(*proxy.address) as reached:
            created = reached.create(KEY, make_record())
            proxy.lose_answers = True
            try:
                outcome = getattr(reached, update)(KEY, created.with_data(b"{}"))
            except StoreUnavailable:
                outcome = "unknown"
            assert outcome is not None, "an update that was applied answered that somebody else had changed the record"
            proxy.lose_answers = False
            assert self._in_the_end(lambda: reached.load(KEY, fresh=True)).data in (b"{}", created.data)

    @contextlib.contextmanager
    def _opened_at(self, host: str, port: int) -> Iterator[Any]:
        store = self.at(host, port)
        try:
            yield store
        finally:
            if hasattr(store, "close"):
                store.close()

    def _in_the_end(self, call: Callable[[], Any]) -> Any:
        """What a call returns that may fail for a while, but not for longer than a time-out."""
        stop = time.monotonic() + self.longest_wait
        while time.monotonic() < stop:
            with contextlib.suppress(StoreUnavailable):
                return call()
            time.sleep(0.02)
        return call()


def _calls_of(store: Any, record: Record) -> dict[str, Callable[[], Any]]:
    """Each operation of a store, also of the optional interfaces."""
    calls: dict[str, Callable[[], Any]] = {
        "load": partial(store.load, KEY),
        "load, fresh": partial(store.load, KEY, fresh=True),
        "create": partial(store.create, KEY, record),
        "update": partial(store.update, KEY, record),
        "delete": partial(store.delete, KEY),
        "delete of a version": partial(store.delete, KEY, record),
    }
    if IContentsUpdate.providedBy(store):
        calls["update_contents"] = partial(store.update_contents, KEY, record)
    if IUserIndex.providedBy(store):
        calls["sessions_of"] = lambda: list(store.sessions_of("ada"))
    if IListable.providedBy(store):
        calls["live_sessions"] = lambda: list(store.live_sessions(9))
        calls["find_keys"] = lambda: list(store.find_keys("", 9))
        calls["count"] = store.count
        calls["count of the expired"] = partial(store.count, expired=True)
        calls["clear"] = store.clear
    if IPurgeable.providedBy(store):
        calls["purge"] = store.purge
    return calls
