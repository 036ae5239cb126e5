"""What is noted of the sessions of a request for the panel: the calls of the store, and what was decided."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

from pyramid_sessionkit.debugtoolbar.differences import Difference, differences
from pyramid_sessionkit.debugtoolbar.reasons import reasons
from pyramid_sessionkit.debugtoolbar.recording import Call, RecordingStore
from pyramid_sessionkit.factory import SessionFactory
from pyramid_sessionkit.in_use import FACTORIES
from pyramid_sessionkit.outcome import Outcome
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.state import Found
from pyramid_sessionkit.unit_of_work import UnitOfWork

JOURNALS = "_sessionkit_journals"
"""In the ``__dict__`` of a request that has the panel: the journals of its sessions."""


class Note(NamedTuple):
    """What became of one attempt to save a session, in words alone: it outlives the request."""

    outcome: Outcome
    detail: str
    reasons: tuple[str, ...] = ()
    """Why the session was to be saved."""
    differences: tuple[Difference, ...] = ()


class Journal:
    """What is noted of one session of a request."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.notes: list[Note] = []
        self.found: Found | None = None  # before anything was saved

    def note(self, work: UnitOfWork, outcome: Outcome, detail: str) -> None:
        self.found = self.found or work.found
        note = Note(outcome, detail)
        if outcome in _ABOUT_SAVING:
            changed = differences(work)
            note = Note(outcome, detail, reasons(work, changed), changed)
            if not note.reasons and not self._is_lost(outcome):
                return
        # The tweens and the response callback each try to save what is not saved yet.
        if note not in self.notes[-1:]:
            self.notes.append(note)

    def _is_lost(self, outcome: Outcome) -> bool:
        """Whether what was saved, or ended, is rolled back."""
        return outcome is Outcome.ROLLED_BACK and self.notes != [] and self.notes[-1].outcome is not outcome


_ABOUT_SAVING = frozenset(
    {Outcome.SAVED, Outcome.SAVED_IN_PART, Outcome.DROPPED, Outcome.NOT_SAVED, Outcome.ROLLED_BACK}
)


def observe_sessions(config: Any) -> None:
    """Have the sessions of those requests noted that have the panel."""
    for factory in config.registry.get(FACTORIES, {}).values():
        factory.persistence_of = _observed(factory)


def _observed(factory: SessionFactory) -> Callable[[Any], Persistence]:
    before = factory.persistence_of

    def persistence_of(request: Any) -> Persistence:
        persistence = factory.persistence if before is None else before(request)
        journals = request.__dict__.get(JOURNALS)
        if journals is None:  # the toolbar leaves this request alone
            return persistence
        journal = Journal()
        journals.append(journal)
        observed = copy(persistence)
        observed.store, observed.observer = RecordingStore(persistence.store, journal.calls), journal
        return observed

    return persistence_of
