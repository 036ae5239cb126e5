"""Static files, which browsers keep for a year: the URL contains the version of the file, and changes with it."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.path import AssetResolver
from pyramid.request import Request
from pyramid.static import QueryStringCacheBuster

YEAR = 365 * 86400  # seconds


def includeme(config: Configurator) -> None:
    config.add_static_view("static", "static", cache_max_age=YEAR)
    config.add_cache_buster("static", ContentVersion())


class ContentVersion(QueryStringCacheBuster):
    """``/static/site.css?x=`` and a hash of the contents of the file."""

    def tokenize(self, request: Request, subpath: str, kw: dict[str, Any]) -> str:
        path = Path(AssetResolver().resolve(kw["pathspec"]).abspath())
        return version(path, path.stat().st_mtime_ns)


@lru_cache
def version(path: Path, changed: int) -> str:
    """``changed`` is here for the cache: a file that has changed is hashed again, without a restart of the server."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
