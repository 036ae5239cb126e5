"""Why a session is to be saved, in words."""

from __future__ import annotations

from pyramid_sessionkit.debugtoolbar.differences import Difference
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.state import NewSecret
from pyramid_sessionkit.unit_of_work import UnitOfWork


def reasons(work: UnitOfWork, changed: tuple[Difference, ...]) -> tuple[str, ...]:
    """What of this is not stored yet; empty where nothing is to be saved."""
    pending = work.pending
    found = []
    if pending.logs_in:
        found.append(f"logged in: {pending.fields['userid']}")
    elif "renewed" in pending.fields:
        found.append("renewed: touch()")
    elif pending.fields:
        found.append(f"set: {', '.join(pending.fields)}")
    if pending.new_secret is NewSecret.REGENERATED:
        found.append("new ID: regenerate_id()")
    if changed:
        found.append(f"changed: {', '.join(difference.name for difference in changed)}")
    if pending.limits:
        found.append(f"limits set: {', '.join(pending.limits)}")
    if pending.renew and work.stored is not None and "renewed" not in pending.fields:
        found.append(_renewal(work.persistence.settings, work.at - work.stored.record.renewed))
    if work.stored is None and not found and work.used and work.persistence.settings.save_uninitialized:
        found.append(f"new: {work.persistence.settings.name_of('save_uninitialized')}")
    return tuple(found)


def _renewal(settings: Settings, seconds: float) -> str:
    if settings.rolling or settings.resave:
        return f"renewed: {settings.name_of('rolling' if settings.rolling else 'resave')}"
    return f"renewed: last renewed {int(seconds)} s ago"
