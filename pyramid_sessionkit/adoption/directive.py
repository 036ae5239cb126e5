"""How an application says whose sessions it adopts: ``config.set_session_adoption``, or ``sessionkit.adopt``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import PHASE1_CONFIG, Configurator
from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.adoption.adopting import Adoption
from pyramid_sessionkit.adoption.old_sessions import OldSessions
from pyramid_sessionkit.arguments import check_arguments
from pyramid_sessionkit.settings import PREFIX

ADOPTION = "pyramid_sessionkit.old_sessions"
"""Where the registry holds the :class:`Adoption`."""


def add_adoption(config: Configurator, adoption: Adoption, named: Any) -> None:
    """Add the directive; ``named`` is what the setting named, which a call of the directive replaces."""
    config.registry[ADOPTION] = adoption
    config.add_directive("set_session_adoption", set_session_adoption)
    if named is not None:
        adoption.adopt_from(_resolve(config, named))


def set_session_adoption(config: Configurator, old: OldSessions | Callable[[Any], OldSessions] | str) -> None:
    """``config.set_session_adoption(old)``: sessions of another library go on in ours.

    ``old``: an :class:`~pyramid_sessionkit.adoption.OldSessions`, a function ``(settings)`` that returns one, or the
    dotted name of either.
    """
    resolved = _resolve(config, old)
    introspectable = config.introspectable("session adoption", "old", type(resolved).__name__, "session adoption")
    introspectable["old"] = resolved

    def register() -> None:
        config.registry[ADOPTION].adopt_from(resolved)

    config.action(("pyramid_sessionkit", "adoption"), register, order=PHASE1_CONFIG, introspectables=(introspectable,))


def _resolve(config: Configurator, named: Any) -> OldSessions:
    try:
        found = config.maybe_dotted(named)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{PREFIX}adopt = {named} cannot be imported: {error}") from error
    if not isinstance(found, (OldSessions, type)) and callable(found):
        check_arguments(f"{PREFIX}adopt", found)
        found = found(config.get_settings())
    if not isinstance(found, OldSessions):
        what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        raise ConfigurationError(
            f"{PREFIX}adopt is {what}: give an instance of pyramid_sessionkit.adoption.OldSessions, "
            "or a function (settings) that returns one"
        )
    if not found.cookie and type(found).token is OldSessions.token:
        raise ConfigurationError(f"{PREFIX}adopt: {type(found).__name__} names no cookie")
    if type(found).read is OldSessions.read:
        raise ConfigurationError(f"{PREFIX}adopt: {type(found).__name__} has no method read")
    return found
