"""Changing the e-mail address: that is done when the user follows the link that was sent to the new one."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import view_config, view_defaults

from example_app import forms, kept_form, mail, throttle
from example_app.email_addresses import is_taken, write_address
from example_app.mailed_links import find_link, forget_links, make_link, use_up
from example_app.models import MailedLink
from example_app.routes import public_url
from example_app.throttle import Limit
from example_app.views import NO_STORE, too_many_attempts
from pyramid_sessionkit import Request

# Each attempt sends a mail to an address that may be somebody else's.
PER_USER = Limit(5, 3600)

SUBJECT = "Your new e-mail address"
TEXT = """Somebody wants to log in with this e-mail address from now on. If it was you, confirm it within an hour:

    {url}

If it was not you, there is nothing to do.
"""
TEXT_FOR_OWNER = """Somebody wants to use this e-mail address for another account. But you have an account with it.

If it was not you, there is nothing to do. Your account stays as it is.
"""
NOTICE = """The e-mail address of your account was changed. It is not this one any more, but:

    {email}

If it was not you, tell us at once: {url}
"""


@view_defaults(route_name="email", fresh_login=300, http_cache=NO_STORE, renderer="example_app:templates/email.jinja2")
class EmailViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def form(self) -> dict[str, Any]:
        return {"values": kept_form.take(self.request), "errors": {}}

    @view_config(request_method="POST")
    def send(self) -> Any:
        request, user = self.request, self.request.identity
        values, errors = forms.email(request.POST)
        email = values["email"]
        if email == user.email:
            errors["email"] = "This is your e-mail address already."
        if errors:
            request.response.status_int = 400
            return {"values": values, "errors": errors}
        attempt = throttle.begin(request, {f"new addresses of {user.id}": PER_USER})
        if attempt.retry_after is not None:
            return {"values": values, "errors": {"email": too_many_attempts(request, attempt.retry_after)}}
        # Only the mail says whether another account has the address. The page says the same, and takes as long.
        taken = is_taken(request, email)
        url = make_link(request, "email_confirm", None if taken else user, email)
        mail.send(request, email, SUBJECT, TEXT_FOR_OWNER if taken else TEXT.format(url=url))
        request.session.flash(mail.notice(request, f"A mail with a link is on its way to {email}."))
        return HTTPSeeOther(request.route_path("email"))


@view_defaults(
    route_name="email_confirm",
    logged_in=True,
    http_cache=NO_STORE,
    renderer="example_app:templates/email_confirm.jinja2",
)
class ConfirmViews:
    """Only for the user who asked: a link that somebody else sent changes nothing."""

    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(request_method="GET")
    def question(self) -> Any:
        link = self._find()
        return self._void() if link is None else {"email": link.email}

    @view_config(request_method="POST")
    def change(self) -> Any:
        request, user = self.request, self.request.identity
        link = self._find()
        if link is None or not use_up(request, link) or is_taken(request, link.email):
            return self._void()
        old = user.email
        user.email = link.email
        write_address(request)
        # Those for a new password were sent to the old address.
        forget_links(request, user)
        mail.send(
            request,
            old,
            "Your e-mail address was changed",
            NOTICE.format(email=user.email, url=public_url(request, "home")),
        )
        request.session.flash("Your e-mail address is changed.")
        return HTTPSeeOther(request.route_path("dashboard"))

    def _find(self) -> MailedLink | None:
        found = find_link(self.request)
        return found[0] if found and found[1] is self.request.identity else None

    def _void(self) -> HTTPSeeOther:
        self.request.session.flash("This link does not work: it was used, is too old, or is for another user.", "error")
        return HTTPSeeOther(self.request.route_path("dashboard"))
