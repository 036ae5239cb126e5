"""Why somebody sees the login page: what ended the login before, and where they were going."""

from pyramid_sessionkit import Request, safe_next

# What the gates say in ``why``; see pyramid_sessionkit.why_logged_out().
WHY = {
    "timeout": "You were logged out after {} without activity.",
    "lifetime": "You were logged out, since your login was too long ago.",
    "credentials_changed": "You were logged out, since your password was changed.",
    "user_gone": "You were logged out, since your account was deleted.",
    "revoked": "You were logged out from another device, or by an administrator.",
    "limit": "You were logged out here, since you have logged in on too many other devices.",
}

# Where a visitor was going, by route.
NEXT = {
    "dashboard": "Log in to go on to your dashboard.",
    "messages": "Log in to go on to your messages.",
    "profile": "Log in to go on to your profile.",
    "password": "Log in to change your password.",
    "email": "Log in to change your e-mail address.",
    "devices": "Log in to go on to your devices.",
    "tokens": "Log in to go on to your API tokens.",
}


def reasons(request: Request) -> list[str]:
    """Why there is a login page, in sentences."""
    found = []
    why = WHY.get(request.GET.get("why", ""))
    # A session of a visitor who is not logged in has the idle timeout of the settings.
    if why is not None and request.identity is None:
        found.append(why.format(in_words(request.session.timeout or 0)))
    if "next" in request.GET:
        found.append(_where_to(request))
    return found


def _where_to(request: Request) -> str:
    path = safe_next(request).partition("?")[0]
    found = (sentence for route, sentence in NEXT.items() if path == request.route_path(route))
    return next(found, "Log in to see this page.")


def in_words(seconds: int) -> str:
    """``20 minutes``."""
    count, unit = (seconds, "second") if seconds < 60 else (-(-seconds // 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
