"""What people sent, checked. Each function returns the values and, by field, what is wrong with them."""

import re
from collections.abc import Mapping
from typing import Any

from example_app.products import PRODUCTS

Fields = Mapping[str, Any]
Checked = tuple[dict[str, Any], dict[str, str]]

_unstorable = re.compile("[\0\ud800-\udfff]").search
# One address for a mail, and not a list of them or a name with one.
_is_email = re.compile(r"[^@\s<>(),;:\"\[\]\\]+@[^@\s<>(),;:\"\[\]\\]+").fullmatch


def login(fields: Fields) -> dict[str, Any]:
    """From a form or from JSON. There are no errors here: what cannot be stored is a wrong password."""
    values = {"email": _text(fields, "email").strip(), "password": _text(fields, "password")}
    return {
        **{name: "" if _unstorable(value) else value for name, value in values.items()},
        "persistent": fields.get("persistent") in ("on", True),
    }


def confirm(fields: Fields) -> str:
    """The password."""
    password = _text(fields, "password")
    return "" if _unstorable(password) else password


def signup(fields: Fields) -> Checked:
    email = _text(fields, "email").strip().lower()
    values = {"name": _text(fields, "name").strip(), "email": email, "password": _text(fields, "password")}
    return values, _errors(
        name=_problem(values["name"], 1, 80),
        email=_problem_of_email(email),
        password=_problem(values["password"], 8),
    )


def email(fields: Fields) -> Checked:
    email = _text(fields, "email").strip().lower()
    return {"email": email}, _errors(email=_problem_of_email(email))


def new_password(fields: Fields) -> Checked:
    values = {"new": _text(fields, "new")}
    return values, _errors(new=_problem(values["new"], 8))


def password(fields: Fields) -> Checked:
    values = {"current": _text(fields, "current"), "new": _text(fields, "new")}
    return values, _errors(current=_problem(values["current"], 1), new=_problem(values["new"], 8))


def message(fields: Fields) -> Checked:
    # Browsers send each line break as two characters, and count it as one.
    text = _text(fields, "text").replace("\r\n", "\n").strip()
    return {"text": text}, _errors(text=_problem(text, 1, 500))


def profile(fields: Fields) -> Checked:
    values = {"name": _text(fields, "name").strip(), "location": _text(fields, "location").strip()}
    return values, _errors(name=_problem(values["name"], 1, 80), location=_problem(values["location"], 0, 100))


def api_token(fields: Fields) -> Checked:
    values = {"name": _text(fields, "name").strip()}
    return values, _errors(name=_problem(values["name"], 1, 80))


def search(fields: Fields) -> tuple[str, int]:
    """What to look for, and the number of the page. What makes no sense is left out."""
    q, page = _text(fields, "q").strip(), _text(fields, "page")
    return "" if _unstorable(q) else q, int(page) if re.fullmatch("[1-9][0-9]{0,5}", page) else 1


def cart_change(fields: Fields) -> Checked:
    item, quantity = _text(fields, "item"), _text(fields, "quantity")
    is_quantity = re.fullmatch("[1-9][0-9]?", quantity)
    values = {"item": item, "quantity": int(quantity) if is_quantity else quantity}
    return values, _errors(
        item=None if item in PRODUCTS else "There is no such product.",
        quantity=None if is_quantity else "The quantity is a whole number from 1 to 99.",
    )


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name, "")
    return value if isinstance(value, str) else ""


def _problem_of_email(email: str) -> str | None:
    return _problem(email, 1, 254) or (None if _is_email(email) else "This is not an e-mail address.")


def _problem(text: str, shortest: int, longest: int | None = None) -> str | None:
    if len(text) < shortest:
        return "Please fill this in." if shortest == 1 else f"Use {shortest} characters or more."
    if longest is not None and len(text) > longest:
        return f"Use {longest} characters at most; these are {len(text)}."
    if _unstorable(text):
        return "This contains characters that cannot be used."
    return None


def _errors(**problems: str | None) -> dict[str, str]:
    return {name: problem for name, problem in problems.items() if problem}
