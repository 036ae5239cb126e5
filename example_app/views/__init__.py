"""What the application answers, a module for each topic."""

from datetime import datetime, timezone

from pyramid.request import Request

# The http_cache of pages that name the visitor: no browser keeps a copy for its Back button.
NO_STORE = (None, {"no_store": True})


def utc(seconds: int | None) -> datetime | None:
    """Seconds since 1970 as a time, for templates."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def too_many_attempts(request: Request, retry_after: int) -> str:
    """Make the response a 429, and return what to say in it."""
    request.response.status_int = 429
    request.response.retry_after = retry_after
    minutes = -(-retry_after // 60)
    return f"Too many attempts. Please try again in {minutes} {'minute' if minutes == 1 else 'minutes'}."
