"""What all broken stores have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from zope.interface import directlyProvides, providedBy

from pyramid_sessionkit.interfaces import ISessionStore, Record


class BrokenStore:
    """Passes everything on to a good store; each subclass breaks one thing. Its first line says which."""

    promise: ClassVar[str]
    """What a store promises, and this one does not keep."""
    needs: ClassVar[Any] = ISessionStore
    """The interface that the good store has to provide."""
    hook: ClassVar[str] = ""
    """The hook of the suite without which this is not found."""
    other_processes: ClassVar[bool] = False
    """Whether this shows only where another process sees the sessions of the good store."""
    found_by: ClassVar[tuple[str, ...]]
    """The tests of the suite that are meant to find it."""

    def __init__(self, good: Any) -> None:
        self.good = good
        self.records: dict[str, Record] = {}
        """What went through, by key: the last that was stored, also of what was deleted since."""
        directlyProvides(self, providedBy(good))
        if not hasattr(good, "update_contents"):
            # Sessions ask for the method and not for the interface.
            self.update_contents = self.update  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.good, name)

    def create(self, key: str, record: Record) -> Any:
        return self.noted(key, self.good.create(key, record))

    def update(self, key: str, record: Record) -> Any:
        return self.noted(key, self.good.update(key, record))

    def update_contents(self, key: str, record: Record) -> Any:
        return self.noted(key, self.good.update_contents(key, record))

    def noted(self, key: str, record: Record | None) -> Record | None:
        if record is not None:
            self.records[key] = record
        return record

    def stored(self, key: str) -> Any:
        """What is stored now, also if it has expired."""
        return self.good.load(key, True, 0)

    def known(self) -> Iterator[tuple[str, Record]]:
        """All that went through here and is still stored, also what has expired."""
        for key in sorted(self.records):
            record = self.stored(key)
            if record is not None:
                yield key, record

    @classmethod
    def breaks(cls) -> str:
        """One sentence that says what is broken."""
        return (cls.__doc__ or "").partition("\n")[0]
