"""The store of a second session: its errors name the settings of that, such as ``basket.sql.url``."""

from __future__ import annotations

from functools import wraps
from typing import Any

from zope.interface import directlyProvides, providedBy

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.settings import Settings


class RenamingStore:
    """Before a store whose errors name ``sessionkit.*``. It has the attributes and interfaces of that store."""

    def __init__(self, store: Any, settings: Settings) -> None:
        self.wrapped = store
        self._settings = settings
        directlyProvides(self, providedBy(store))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.wrapped, name)
        if not callable(found):
            return found

        @wraps(found)
        def call(*args: Any, **kw: Any) -> Any:
            try:
                return found(*args, **kw)
            except StoreError as error:
                error.args = (self._settings.renamed(str(error)),)
                raise

        self.__dict__[name] = call  # asked for once
        return call
