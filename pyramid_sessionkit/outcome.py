"""What becomes of a session while its request runs, for whoever looks on: such as the panel of the debug toolbar."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyramid_sessionkit.unit_of_work import UnitOfWork


class Outcome(Enum):
    """What became of one attempt to save a session, to end one, or to send its ID. A request may have several."""

    SAVED = "saved"
    SAVED_IN_PART = "saved in part"
    DROPPED = "dropped"
    NOT_SAVED = "not saved"
    ROLLED_BACK = "rolled back"
    ENDED = "ended"
    NOT_ENDED = "not ended"
    SENT = "sent"
    NOT_SENT = "not sent"


class Observer(Protocol):
    """Looks on. Without one nothing is kept of all this."""

    def note(self, work: UnitOfWork, outcome: Outcome, detail: str) -> None:
        """Called while ``work`` still has what was to be saved."""
