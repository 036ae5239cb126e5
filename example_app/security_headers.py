"""Headers of each response, so that browsers run and show nothing that comes from another site."""

from pyramid.config import Configurator
from pyramid.events import NewResponse
from pyramid.request import Request

# No page contains scripts or styles: they are files in static/.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Other sites do not learn our addresses: one may contain the token that resets a password. With "no-referrer"
    # browsers would send forms with "Origin: null", which the check of Pyramid refuses.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

# After these forms nobody should find what the user saw.
LOGOUTS = {"logout", "api_logout", "delete_account"}
# Without "cookies", since the message that the user is logged out is in the new session.
CLEAR_SITE_DATA = '"cache", "storage"'


def includeme(config: Configurator) -> None:
    hsts = int(config.get_settings().get("example.hsts", 0))

    def add_headers(event: NewResponse) -> None:
        request, response = event.request, event.response
        for name, value in HEADERS.items():
            # A view that needs another value sets it.
            response.headers.setdefault(name, value)
        if hsts and request.scheme == "https":
            response.headers["Strict-Transport-Security"] = f"max-age={hsts}"
        if is_logout(request) and response.status_int < 400:
            response.headers["Clear-Site-Data"] = CLEAR_SITE_DATA

    # Published for every response, also for those that tweens made.
    config.add_subscriber(add_headers, NewResponse)


def is_logout(request: Request) -> bool:
    route = request.matched_route
    return route is not None and route.name in LOGOUTS and request.method not in ("GET", "HEAD")
