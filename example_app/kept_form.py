"""Text of a form that could not be saved, since the session of its writer had ended or the page was out of date.

It waits in the session of that browser, and never in a URL. After the login it is in the form again, for its writer to
save: nothing is saved by itself.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pyramid.csrf import check_csrf_token

from pyramid_sessionkit import Request

KEPT = "kept_form"
WRITTEN_BY = "written_by"  # the hidden field that says whom a form was shown to
LONGEST = 10_000  # characters of all fields: a session is no place for more
LONGEST_ID = 20  # characters


class Form(NamedTuple):
    """What its button says, and its fields with their labels.

    Only these fields are kept: passwords and CSRF tokens are never among them.
    """

    button: str
    fields: Mapping[str, str]


# By route. Forms with a password are left out: they cannot be sent again without it.
FORMS = {
    "messages": Form("Save the message", {"text": "New message"}),
    "message_delete": Form("Delete the message", {}),
    "profile": Form("Save the profile", {"name": "Name", "location": "Location"}),
    "email": Form("Send the link", {"email": "New e-mail address"}),
    "cart_add": Form("Add to the cart", {"item": "Product", "quantity": "Quantity"}),
    "cart_remove": Form("Take out of the cart", {"item": "Product", "quantity": "Quantity"}),
    "devices_log_out_others": Form("Log out all others", {}),
    "device_log_out": Form("Log out that device", {}),
    "logout": Form("Log out", {}),
}


def form_of(request: Request) -> Form | None:
    """The form that this request sends."""
    route = request.matched_route
    return FORMS.get(route.name) if route is not None and request.method == "POST" else None


def typed(request: Request) -> dict[str, str]:
    """What was typed into the form that this request sends; nothing if that is too much to be kept."""
    form = form_of(request)
    values = {name: request.POST.get(name) for name in (form.fields if form is not None else ())}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    return texts if sum(map(len, texts.values())) <= LONGEST else {}


def writer(request: Request) -> str | None:
    """The id of the user who was shown the form. Once their session has ended, only the form itself knows it."""
    userid = request.POST.get(WRITTEN_BY)
    return userid if isinstance(userid, str) and len(userid) <= LONGEST_ID else None


def keep(request: Request) -> None:
    """Keep the form of a visitor who is on the way to the login page."""
    fields, userid = typed(request), writer(request)
    # Without a good token another site may have written it.
    if any(fields.values()) and userid and check_csrf_token(request, raises=False):
        request.session[KEPT] = {"form": request.matched_route.name, "userid": userid, "fields": fields}


def is_kept(request: Request) -> bool:
    return KEPT in request.session


def forget_those_of_others(session: Any, userid: str) -> None:
    """Call it after a login: what another user wrote is removed.

    The session of the writer is gone, so only the form says who that was. Users who change that field in their own
    browser show their own text to someone else, and see nothing of anyone.
    """
    if KEPT in session and session[KEPT]["userid"] != userid:
        del session[KEPT]


def take(request: Request) -> dict[str, str]:
    """What this user wrote into the form of this page. It is given once, with a notice that it is not saved."""
    kept = request.session.get(KEPT)
    if kept is None or kept["form"] != request.matched_route.name:
        return {}
    del request.session[KEPT]
    if kept["userid"] != request.authenticated_userid:
        return {}
    request.session.flash("Here is what you wrote. It is not saved yet.")
    fields: dict[str, str] = kept["fields"]
    return fields
