"""``psessions import``: store the sessions of the old library for visitors who have not come yet."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyramid.interfaces import ISecurityPolicy
from pyramid.threadlocal import get_current_request

from pyramid_sessionkit.adoption import Adopted
from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.in_use import factory_of
from pyramid_sessionkit.scripts.commands import DONE, Refused, number_of_sessions
from pyramid_sessionkit.security import SessionSecurityPolicy
from pyramid_sessionkit.user_sessions import Sessions

if TYPE_CHECKING:
    from pyramid_sessionkit.scripts.output import Output

log = logging.getLogger("pyramid_sessionkit")


def import_(args: argparse.Namespace, sessions: Sessions, out: Output, registry: Any) -> int:
    factory: Any = factory_of(registry, args.session)
    _refuse_without_old_sessions(factory)
    done: Counter[str] = Counter()
    with out.progress(None, "Counting" if args.dry_run else "Importing") as advance:
        credentials_of = _credentials_of(registry)
        for token, adopted in factory.adoption.old.all():
            if args.dry_run:
                done["known" if factory.adoption.knows(token) else "found"] += 1
            else:
                done[_import_one(factory.adoption, token, adopted, credentials_of)] += 1
            advance(1)
    if args.dry_run:
        out.answer(
            {"found": done["found"]}, f"{number_of_sessions(done['found'])} of the old library would be imported"
        )
    else:
        _report(out, done)
    return DONE


def _refuse_without_old_sessions(factory: Any) -> None:
    if factory.adoption.old is None:
        raise Refused("There is nothing to import from: set sessionkit.adopt, or call config.set_session_adoption")
    if factory.persistence.settings.key_prefix is not None:
        raise Refused("With sessionkit.key_prefix nobody knows what the keys of imported sessions begin with")


def _import_one(adoption: Any, token: str, adopted: Adopted, credentials_of: Callable[[Any], str | None]) -> str:
    """What became of it: ``imported``, ``known`` (it was adopted or imported before) or ``refused``."""
    try:
        credentials = None if adopted.userid is None else credentials_of(adopted.userid)
        return "imported" if adoption.import_one(token, adopted, credentials) else "known"
    except StoreUnavailable:
        raise
    except Exception as error:
        log.warning("An old session was not imported: %s: %s", type(error).__name__, error)
        return "refused"


def _credentials_of(registry: Any) -> Callable[[Any], str | None]:
    """What the login of a user depends on today, so that a password that is changed tomorrow ends the session."""
    policy = registry.queryUtility(ISecurityPolicy)
    if not isinstance(policy, SessionSecurityPolicy):
        return lambda userid: None
    return lambda userid: policy.credentials_of(get_current_request(), userid)


def _report(out: Output, done: Counter[str]) -> None:
    text = f"{number_of_sessions(done['imported'])} imported"
    if done["known"]:
        text += f"; {done['known']} had been adopted or imported before"
    if done["refused"]:
        text += f"; {done['refused']} could not be (the log says why)"
    out.answer({name: done[name] for name in ("imported", "known", "refused")}, text)
