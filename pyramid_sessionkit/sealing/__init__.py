"""Sealed records: somebody who can write to the store, and does not have the seal key, changes nothing unnoticed.

``keys.py`` seals one record, ``store.py`` is the store that does it, ``format.py`` says how sealed data begin, and
``copy_mac.py`` is for copies in memcached.
"""

from __future__ import annotations

import logging
from typing import Any

from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.events import Events
from pyramid_sessionkit.settings import PREFIX, Settings

log = logging.getLogger("pyramid_sessionkit")


def sealed_store(store: Any, settings: Settings, events: Events) -> Any:
    """The store that sealing puts in front of ``store``; ``store`` itself where no key is set."""
    if not settings.seal_key:
        return store
    try:
        from pyramid_sessionkit.sealing.keys import Sealer
    except ImportError as error:
        raise ConfigurationError(
            f"{PREFIX}seal_key needs a package that is not installed ({error.name}): "
            'pip install "pyramid_sessionkit[seal]"'
        ) from None
    from pyramid_sessionkit.sealing.store import sealing

    migrate = settings.seal_migrate
    if migrate:
        what = "and new ones are not sealed yet" if migrate == "read" else "and sealed when they are next written"
        log.warning(
            "%sseal_migrate = %s: sessions that are not sealed are accepted, %s. Until it is removed, whoever "
            "can write to the store can log in as anyone",
            PREFIX,
            "read" if migrate == "read" else "true",
            what,
        )
    sealer = Sealer(settings.seal_key, settings.cookie.name, takes_unsealed=bool(migrate), seals=migrate != "read")
    return sealing(store, sealer, events)
