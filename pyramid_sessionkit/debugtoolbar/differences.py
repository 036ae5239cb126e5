"""What a request changed in its session, as text that can be shown."""

from __future__ import annotations

from typing import Any, NamedTuple

from pyramid_sessionkit.contents.compare import MISSING
from pyramid_sessionkit.contents.serializer import Contents, Serializer
from pyramid_sessionkit.saving import CSRF_KEY
from pyramid_sessionkit.unit_of_work import UnitOfWork

LONGEST = 1000
"""Characters of a value or a name that are shown."""


class Difference(NamedTuple):
    """One name whose value is another than what is stored. ``before`` and ``after`` are None where it has none."""

    name: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> str:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def differences(work: UnitOfWork) -> tuple[Difference, ...]:
    """What of the contents is not stored yet."""
    if work.contents is None:
        return ()
    serializer = work.persistence.serializer
    before: Contents = {} if work.stored is None else serializer.loads(work.stored.record.data)
    names = [*work.contents, *(name for name in before if name not in work.contents)]
    pairs = [(name, before.get(name, MISSING), work.contents.get(name, MISSING)) for name in names]
    changed = [pair for pair in pairs if not _same(serializer, *pair[1:])]
    return tuple(Difference(_cut(str(name)), _shown(name, old), _shown(name, new)) for name, old, new in changed)


def _same(serializer: Serializer, one: Any, other: Any) -> bool:
    if one is MISSING or other is MISSING:
        return False
    try:
        return serializer.dumps(one) == serializer.dumps(other)
    except Exception:  # also one of a dump function of the application's: the panel must not add to what went wrong
        return False


def _shown(name: str, value: Any) -> str | None:
    if value is MISSING:
        return None
    if name == CSRF_KEY:
        return "(part of the CSRF token)"
    try:
        # Of a plain str: what a repr returns may claim to be safe HTML.
        text = str(repr(value))
    except Exception as error:
        return f"(its repr raised {type(error).__name__})"
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text)} characters)"
