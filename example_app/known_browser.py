"""A cookie that says: this user has logged in with this browser before.

Whoever knows an e-mail address can send five wrong passwords every 15 minutes, and so keep its owner out. That is why a
known browser is counted on its own: what others try does not touch it, and it may try no more often than they.
(OWASP, "Slow Down Online Guessing Attacks with Device Cookies".) Owners whose browser is not known can reset their
password, which makes it known.
"""

import hmac
import secrets

from pyramid.request import Request
from pyramid.response import Response

from example_app.models.user import User

COOKIE = "known_browser"
MAX_AGE = 365 * 86400  # seconds


def remember_browser(request: Request, user: User) -> None:
    """Send the cookie with the response to this request, whichever response the view returns."""
    name = secrets.token_urlsafe(16)
    secure = "; Secure" if request.scheme == "https" else ""
    # WebOb's set_cookie() calls what is deprecated since Python 3.12.
    cookie = f"{COOKIE}={name}.{_signature(user, name)}; Max-Age={MAX_AGE}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def send(request: Request, response: Response) -> None:
        response.headers.add("Set-Cookie", cookie)

    request.add_response_callback(send)


def browser_known_to(request: Request, user: User) -> str | None:
    """The name of this browser, if the user has logged in with it and has the same password still."""
    try:
        name, _, signature = request.cookies.get(COOKIE, "").partition(".")
    except UnicodeDecodeError:
        return None
    return name if hmac.compare_digest(signature.encode(), _signature(user, name).encode()) else None


def _signature(user: User, name: str) -> str:
    # The password_id is random, and shown nowhere. With a new password no browser is known.
    return hmac.new(user.password_id.encode(), name.encode(), "sha256").hexdigest()
