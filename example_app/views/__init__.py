"""What the application answers, a module for each topic."""

from datetime import datetime, timezone

# The http_cache of pages that name the visitor: no browser keeps a copy for its Back button.
NO_STORE = (None, {"no_store": True})


def utc(seconds: int | None) -> datetime | None:
    """The moment that so many seconds since 1970 are, for templates to show."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
