"""``config.add_session_type``: values of further types in sessions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pyramid.config import PHASE1_CONFIG, Configurator
from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.arguments import check_arguments
from pyramid_sessionkit.contents.refused import SCALARS
from pyramid_sessionkit.contents.serializer import Serializer
from pyramid_sessionkit.contents.session_types import BUILT_IN, SessionType

_SERIALIZER = "pyramid_sessionkit.serializer"

_is_name = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}").fullmatch
_KEPT = {*SCALARS, list, dict, tuple, *(session_type.cls for session_type in BUILT_IN)}


def serializer_of(config: Configurator) -> Serializer:
    """The serializer of this application, with the directive that adds types to it.

    It is the same one if the package is included again, so that the types that were added stay.
    """
    config.add_directive("add_session_type", add_session_type)
    return config.registry.setdefault(_SERIALIZER, Serializer())  # type: ignore[no-any-return]


def add_session_type(
    config: Configurator, cls: type, name: str, dump: Callable[[Any], Any], load: Callable[[Any], Any]
) -> None:
    """Keep values of this class in sessions: ``config.add_session_type(Money, "money", Money.dump, Money.load)``.

    ``dump(value)`` returns a value of types that a session keeps, and ``load`` makes the value of that again (with
    lists for tuples). ``name`` stands for the class in what is stored: it has to stay the same when the class gets
    another name. Values of subclasses are refused, unless those are added too. All four may be dotted names, except for
    ``name``.
    """
    cls, dump, load = (config.maybe_dotted(part) for part in (cls, dump, load))
    added = checked_type(SessionType(cls, name, dump, load))

    def register() -> None:
        config.registry[_SERIALIZER].add(added)

    introspectable = config.introspectable("session types", name, config.object_description(cls), "session type")
    introspectable.update(added._asdict())
    config.action(("session type", name), register, order=PHASE1_CONFIG, introspectables=(introspectable,))
    config.action(("session type of", cls), order=PHASE1_CONFIG)  # two names for one class are a conflict too


def checked_type(added: SessionType) -> SessionType:
    """Raise ConfigurationError for what could never work."""
    cls, name, dump, load = added
    if not isinstance(cls, type):
        raise ConfigurationError(f"add_session_type: {cls!r} is not a class")
    if cls in _KEPT:
        raise ConfigurationError(f"add_session_type: every session keeps values of {cls.__name__} already")
    if not isinstance(name, str) or not _is_name(name):
        raise ConfigurationError(
            f"add_session_type: {name!r} is not a name: give up to 64 letters, digits, dots, - and _, a letter first"
        )
    for part, function in (("dump", dump), ("load", load)):
        if not callable(function):
            raise ConfigurationError(f"add_session_type: {part} of {name} is not callable")
        check_arguments(f"add_session_type.{part}", function)
    return added
