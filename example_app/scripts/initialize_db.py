"""The first users. Alembic makes the tables first: ``alembic -c production.ini upgrade head``.

``initialize_example_app_db development.ini`` makes the demo users, as each start does there.
``initialize_example_app_db production.ini --admin ada@example.com`` makes an administrator.
"""

import argparse
import sys
from getpass import getpass

from pyramid.paster import bootstrap, setup_logging
from pyramid.request import Request
from pyramid.scripts.common import parse_vars
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, ProgrammingError

from example_app import forms
from example_app.models import User
from example_app.models.user import hasher
from pyramid_sessionkit.owned import unowned


def main(argv: list[str] = sys.argv) -> None:
    arguments = _parse(argv[1:])
    variables = parse_vars(arguments.variables)
    setup_logging(arguments.config_uri, variables)
    # The application makes the demo users as it starts, if its settings ask for them.
    with bootstrap(arguments.config_uri, options=variables) as environment:
        if arguments.admin:
            request = environment["request"]
            try:
                with request.tm:
                    make_admin(request, arguments.admin)
            except (OperationalError, ProgrammingError) as error:
                sys.exit(f"{error.orig}\nAre there tables? alembic -c {arguments.config_uri} upgrade head")


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the first users of the application.")
    parser.add_argument("config_uri", help="the ini file, such as development.ini")
    parser.add_argument("variables", nargs="*", help="variables of the ini file: NAME=value")
    parser.add_argument(
        "--admin", metavar="EMAIL", help="make this user an administrator; asks for the password of a new user"
    )
    return parser.parse_args(argv)


def make_admin(request: Request, email: str) -> None:
    """Make this user an administrator. For a new user it asks for a password."""
    with unowned(request.dbsession, reason="the first administrator"):
        user = request.dbsession.scalar(select(User).where(User.email == email.lower()))
        if user is None:
            user = _new_user(email)
            request.dbsession.add(user)
        user.role = "admin"
        request.dbsession.flush()
    print(f"{user.email} is an administrator.")


def _new_user(email: str) -> User:
    password = getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    values, errors = forms.signup({"name": email.partition("@")[0], "email": email, "password": password})
    if errors:
        sys.exit("\n".join(f"{field}: {error}" for field, error in errors.items()))
    return User(name=values["name"], email=values["email"], password_hash=hasher.hash(values["password"]))


if __name__ == "__main__":
    main()
