"""Forms whose CSRF token is not accepted. What was typed can be sent again where that harms nobody."""

from typing import Any

from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken
from pyramid.view import exception_view_config

from example_app import kept_form
from example_app.error_layout import PLAIN
from example_app.views import NO_STORE
from example_app.views.errors import ERROR_PAGE
from pyramid_sessionkit import Request, is_from_this_site

TITLE = "This form has expired"


@exception_view_config(BadCSRFOrigin, http_cache=NO_STORE, renderer=ERROR_PAGE)
def bad_origin(request: Request) -> dict[str, str]:
    request.response.status_int = 400
    return {"title": TITLE, "text": "Nothing was changed. This form is from another site."}


# The session works, since it has been asked for the token: this page has the user's name and a new token.
@exception_view_config(BadCSRFToken, http_cache=NO_STORE, renderer="example_app:templates/send_again.jinja2")
def bad_csrf(request: Request) -> dict[str, Any]:
    request.response.status_int = 400
    if request.error_layout == PLAIN:
        return without_form(request)
    form = _form_to_send_again(request)
    return {
        "title": TITLE,
        "text": _what_to_do(request, form),
        "form": form,
        "typed": kept_form.typed(request),
        "back": _page_of_form(request),
    }


def without_form(request: Request) -> dict[str, Any]:
    """The page for an expired form where the database does not answer: a form needs to know who is logged in."""
    request.override_renderer = ERROR_PAGE
    return {"title": TITLE, "text": "Nothing was changed. Open the page again and send it once more."}


def _form_to_send_again(request: Request) -> kept_form.Form | None:
    """None for a form of another site, which must not get visitors to press the button."""
    form = kept_form.form_of(request)
    if form is None or not is_from_this_site(request) or _is_of_someone_else(request):
        return None
    # What is too long to be kept is still in the browser, one page back.
    return form if kept_form.typed(request) or not form.fields else None


def _is_of_someone_else(request: Request) -> bool:
    return kept_form.writer(request) not in (None, request.authenticated_userid)


def _what_to_do(request: Request, form: kept_form.Form | None) -> str:
    if form is not None:
        return "Nothing was changed, since you have logged in after this page was opened. Send it again if you want to."
    if _is_of_someone_else(request):
        return "Nothing was changed, since someone else has logged in after this page was opened."
    return "Nothing was changed. Open the page again and send it once more. Your browser must accept cookies."


def _page_of_form(request: Request) -> str:
    """The page of this site that the form was on."""
    referrer = request.referrer or ""
    return referrer if referrer.startswith(f"{request.host_url}/") else request.route_path("home")
