"""A new password for users who forgot theirs, by a link that is sent to their e-mail address."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.security import forget
from pyramid.view import view_config, view_defaults
from sqlalchemy import delete, select

from example_app import forms, mail, throttle
from example_app.known_browser import remember_browser
from example_app.mailed_links import find_link, make_link, use_up
from example_app.models import ApiToken, MailedLink, User
from example_app.routes import public_url
from example_app.security import log_out_everywhere
from example_app.throttle import Limit
from example_app.views import NO_STORE, too_many_attempts
from pyramid_sessionkit import Request
from pyramid_sessionkit.owned import unowned

PER_ACCOUNT = Limit(5, 3600)
PER_ADDRESS = Limit(20, 3600)

SUBJECT = "Your password"
TEXT = """Somebody has asked for a new password for your account. If it was you, choose one here within an hour:

    {url}

If it was not you, there is nothing to do. Your password stays as it is.
"""
TEXT_FOR_NOBODY = """Somebody has asked for a new password for an account with this e-mail address.

There is no such account. Perhaps you signed up with another address. If you did not ask, there is nothing to do.
"""
CHANGED = """The password of your account was changed, and all sessions and API tokens were ended.

If it was not you, ask for a new password:

    {url}
"""


@view_defaults(route_name="reset", http_cache=NO_STORE, renderer="example_app:templates/reset.jinja2")
class ResetViews:
    """An address without an account gets the same answer in the same time, so that nobody learns who has one."""

    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> dict[str, Any]:
        return {"values": {}, "errors": {}}

    @view_config(request_method="POST")
    def send(self) -> Any:
        request = self.request
        values, errors = forms.email(request.POST)
        if errors:
            request.response.status_int = 400
            return {"values": values, "errors": errors}
        email = values["email"]
        from_here = f"resets from {throttle.address(request)}"
        attempt = throttle.begin(request, {f"reset of {email}": PER_ACCOUNT, from_here: PER_ADDRESS})
        if attempt.retry_after is not None:
            return {"values": values, "errors": {"email": too_many_attempts(request, attempt.retry_after)}}
        user = request.dbsession.scalar(select(User).where(User.email == email))
        # To the stored address: another one may become the same in lower case.
        to = email if user is None else user.email
        url = make_link(request, "reset_password", user, to)
        mail.send(request, to, SUBJECT, TEXT_FOR_NOBODY if user is None else TEXT.format(url=url))
        request.session.flash(mail.notice(request, f"If {email} has an account, a mail with a link is on its way."))
        return HTTPSeeOther(request.route_path("login"))


@view_defaults(route_name="reset_password", http_cache=NO_STORE, renderer="example_app:templates/reset_password.jinja2")
class NewPasswordViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> Any:
        return {"errors": {}} if self._find() else self._void()

    @view_config(request_method="POST")
    def save(self) -> Any:
        request = self.request
        found = self._find()
        if found is None:
            return self._void()
        link, user = found
        values, errors = forms.new_password(request.POST)
        if errors:
            request.response.status_int = 400
            return {"errors": errors}
        # On a connection of its own, and so before the transaction writes: SQLite takes one writer at a time.
        self._end_sessions(user)
        if not use_up(request, link):
            return self._void()
        with unowned(request.dbsession, reason=f"reset of the password of user {user.id}"):
            user.set_password(values["new"])
            # Whoever knew the old password may have made one.
            request.dbsession.execute(delete(ApiToken).where(ApiToken.user_id == user.id))
        # Those who were kept out by the wrong passwords of others can log in here.
        remember_browser(request, user)
        mail.send(request, user.email, "Your password was changed", CHANGED.format(url=public_url(request, "reset")))
        request.session.flash("Your password is changed. Log in with the new one.")
        return HTTPSeeOther(request.route_path("login"))

    def _end_sessions(self, user: User) -> None:
        request = self.request
        if request.identity is user:
            forget(request)
        log_out_everywhere(request, str(user.id))

    def _find(self) -> tuple[MailedLink, User] | None:
        found = find_link(self.request)
        # The user may have another address by now.
        return found if found and found[0].email == found[1].email else None

    def _void(self) -> HTTPSeeOther:
        self.request.session.flash(
            "This link does not work: it was used, or it is too old. You can ask for another one.", "error"
        )
        return HTTPSeeOther(self.request.route_path("reset"))
