"""A store whose records are sealed before another store gets them."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from zope.interface import directlyProvides, implementer, providedBy

from pyramid_sessionkit.events import Events, SessionTampered
from pyramid_sessionkit.interfaces import UNREADABLE, ISessionStore, Record, unreadable
from pyramid_sessionkit.purging import takes_tell
from pyramid_sessionkit.sealing.keys import NotOpened, Sealer

TRIES = 20
"""One is lost only to somebody else who wrote the record at the same moment."""


class Resealed(Enum):
    """What became of a record that was to be sealed with the first key."""

    DONE = "it is sealed with the first key now"
    GONE = "it ended meanwhile, or a request has sealed it"
    UNREADABLE = "it cannot be opened, and stays as it is"
    REFUSED = "the store took none of the updates, and it stays as it is"


def sealing(store: Any, sealer: Sealer, events: Events) -> SealedStore:
    """A store that seals what ``store`` gets, and provides the interfaces that ``store`` provides."""
    sealed = SealedStore(store, sealer, events)
    directlyProvides(sealed, providedBy(store))
    if hasattr(store, "update_contents"):
        # Others ask whether a store has it.
        sealed.update_contents = sealed._update_contents
    if hasattr(store, "purge") and takes_tell(store):
        sealed.purge = sealed._purge
    return sealed


@implementer(ISessionStore)
class SealedStore:
    """Between the sessions and the store that keeps them. That store never sees contents, and can change nothing.

    A record that does not open is like one that was damaged: unreadable, and left out of lists.
    """

    update_contents: Any
    purge: Any

    def __init__(self, store: Any, sealer: Sealer, events: Events) -> None:
        self.wrapped = store
        self._events = events
        self.sealer = sealer

    def __getattr__(self, name: str) -> Any:
        # Methods that take or return no records are those of the store.
        return getattr(self.wrapped, name)

    def joined(self, dbsession: Any) -> SealedStore:
        # Made for each operation: so it declares nothing.
        return SealedStore(self.wrapped.joined(dbsession), self.sealer, self._events)

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Record | None:
        record = self.wrapped.load(key, fresh, at)
        if record is None:
            return None
        # Whoever finds an unreadable record asks again without the cache: it is reported then.
        return self._opened(key, record, fresh) or unreadable(record.version)

    def create(self, key: str, record: Record) -> Record | None:
        created = self.wrapped.create(key, self.sealer.seal(key, record))
        return None if created is None else record.versioned(created.version)

    def update(self, key: str, record: Record) -> Record | None:
        updated = self.wrapped.update(key, self.sealer.seal(key, record))
        return None if updated is None else record.versioned(updated.version)

    def _update_contents(self, key: str, record: Record) -> Record | None:
        updated = self.wrapped.update_contents(key, self.sealer.seal(key, record))
        return None if updated is None else record.versioned(updated.version)

    def delete(self, key: str, record: Record | None = None) -> bool:
        return bool(self.wrapped.delete(key, record))

    def sessions_of(self, userid: str) -> list[tuple[str, Record]]:
        found = [(key, self._opened(key, record)) for key, record in self.wrapped.sessions_of(userid)]
        return [(key, record) for key, record in found if record is not None and record.userid == userid]

    def live_sessions(self, limit: int) -> list[tuple[str, Record]]:
        """As the store lists them, but each is read as a whole: without contents nothing says whether it is true."""
        opened: dict[str, Record | None] = {}
        batch = limit
        while True:
            listed = [key for key, _ in self.wrapped.live_sessions(batch)]
            for key in listed:
                if key not in opened:
                    opened[key] = self._listed(key)
            found = [(key, record) for key in listed if (record := opened[key]) is not None]
            if len(found) >= limit or len(listed) < batch:
                return found[:limit]
            # Some did not open: others may be behind them.
            batch *= 2

    def _listed(self, key: str) -> Record | None:
        record = self.load(key, True)
        return None if record is None or record.data == UNREADABLE else record.without_contents()

    def reseal(self, key: str) -> Resealed:
        """Seal a record with the first key. Nothing else of it changes: it is not renewed either."""
        for _ in range(TRIES):
            stored = self.wrapped.load(key, True)
            if stored is None or stored.data.startswith(self.sealer.heads[0]):
                return Resealed.GONE
            record = self._opened(key, stored)
            if record is None:
                return Resealed.UNREADABLE
            if self.wrapped.update(key, self.sealer.seal(key, record)) is not None:
                return Resealed.DONE
        return Resealed.REFUSED

    def _purge(self, limit: int | None = None, tell: Callable[[str, Record], None] | None = None) -> int:
        if tell is None:
            return int(self.wrapped.purge(limit))

        def tell_opened(key: str, record: Record) -> None:
            tell(key, self._opened(key, record, False) or unreadable())

        return int(self.wrapped.purge(limit, tell_opened))

    def _opened(self, key: str, record: Record, tell: bool = True) -> Record | None:
        try:
            return self.sealer.open(key, record)
        except NotOpened as why:
            if tell:
                self._events.tell(SessionTampered(key, None, str(why)))
            return None
