"""Who a visitor is, and what they may do. development.ini names the first three functions."""

from pyramid.authorization import Allow
from pyramid.security import remember

from example_app import kept_form
from example_app.devices import device_of
from example_app.known_browser import remember_browser
from example_app.models.user import User
from example_app.new_device import notify_of_new_device
from pyramid_sessionkit import Request, get_sessions

REMEMBERED = 30 * 86400  # seconds


def identity(request: Request, userid: str) -> User | None:
    """What ``request.identity`` is; None once the user is gone, which ends the session."""
    try:
        user_id = int(userid)
    except ValueError:
        return None
    return request.dbsession.get(User, user_id)


def principals(request: Request, user: User) -> list[str]:
    """What an ``__acl__`` calls this user."""
    return [f"role:{user.role}"]


def credentials_hash(request: Request, user: User) -> str:
    """What logins depend on: when it changes, all earlier sessions of the user end."""
    return user.password_id


class AdminPages:
    """The context of the routes that only administrators may use."""

    __acl__ = [(Allow, "role:admin", "admin")]

    def __init__(self, request: Request) -> None:
        pass


def log_in(request: Request, user: User, persistent: bool = False) -> None:
    """Log this user in; ``persistent``: the session outlives the browser."""
    remember(request, str(user.id), persistent=persistent)
    # After remember(), which begins an empty session if another user was logged in.
    device = device_of(request)
    request.session["device"] = device
    kept_form.forget_those_of_others(request.session, str(user.id))
    remember_browser(request, user)
    notify_of_new_device(request, user, device)
    if persistent:
        # A cookie that outlives the browser is worth little if the session behind it ends after 20 idle minutes.
        request.session.set_expiry(timeout=REMEMBERED, lifetime=REMEMBERED)


def log_out_everywhere(request: Request, userid: str, but: str | None = None) -> int:
    """End all sessions of a user at once, except the one with the key ``but``, and return how many there were.

    It may be any user, and not only the one who is logged in.
    """
    sessions = get_sessions(request.registry)
    return sum(sessions.revoke(session.key) for session in sessions.of_user(userid) if session.key != but)
