"""README's "Add it to your application" and docs/howto/add.rst, done step by step with the text of the pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.newcomer.newcomer import ADD, STEPS, Newcomer
from tests.test_docs import blocks_of

# Each step is a program that starts Python anew.
pytestmark = pytest.mark.exhaustive

ROOT = Path(__file__).parents[2]

README = {block.name: block for block in blocks_of(ROOT / "README.rst") if block.name.startswith("readme-")}


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path / "work")


LOG_IN = """
form = browser.get("/account", status=303).follow().form
form["name"], form["password"] = "ada", "correct horse"
print(form.submit(status=303).follow().text)
"""

COME_BACK = """
print(browser.get("/account", status=200).text)
"""


def test_the_page_adds_a_login_that_lasts(newcomer: Newcomer) -> None:
    # As the cookiecutter's README has it done.
    newcomer.run("alembic -c development.ini upgrade head")
    newcomer.run("initialize_myapp_db development.ini")

    for block in STEPS:
        if block.name == "add-secret":
            newcomer.export(block)
        elif block.language == "bash":
            newcomer.run_all(block)
        else:
            newcomer.edit(block)

    assert "6 passed" in newcomer.printed["pytest"]
    printed = newcomer.visit("development.ini", LOG_IN)
    assert "You are ada." in printed
    assert "WARN" not in printed
    # As after a restart.
    assert "You are ada." in newcomer.visit("production.ini", COME_BACK)


USERS = """
from myapp.models import User
from myapp.models.meta import Base

with browser.app.registry["dbsession_factory"]() as dbsession:
    Base.metadata.create_all(dbsession.get_bind())
    user = User(name="ada")
    user.set_password("correct horse")
    dbsession.add(user)
    dbsession.commit()
"""

CHECK_PASSWORD = """

def check_password(request):
    from ..models import User
    return request.dbsession.query(User).filter_by(name=request.POST["name"]).one()
"""

ROUTES = """\
config.add_route("cart", "/cart")
config.add_route("login", "/login")
config.add_route("account", "/account")
"""

USE = """
browser.get("/cart")
gate = browser.get("/account", status=303)
browser.post(gate.location, {"name": "ada"}, status=303).follow()
print(browser.get("/account").json, browser.get("/cart").json)
"""


def test_readme_makes_identity_the_user(newcomer: Newcomer) -> None:
    # What README takes for granted: users, and how their passwords are checked.
    newcomer.write(ADD["add-user"], "myapp/models/user.py")
    newcomer.add_import(ADD["add-user-import"])
    newcomer.add_routes(ADD["add-routes"]._replace(text=ROUTES))

    newcomer.export(README["readme-secret"])
    newcomer.add_settings(README["readme-ini"], "development.ini", "production.ini")
    newcomer.add_settings(README["readme-testing-ini"], "testing.ini")
    newcomer.add_to_main(README["readme-include"])
    newcomer.write(README["readme-identity"], "myapp/security.py")
    newcomer.add_settings(README["readme-identity-ini"], "development.ini", "production.ini", "testing.ini")
    views = README["readme-views"]
    newcomer.write(views._replace(text=views.text + CHECK_PASSWORD), "myapp/views/auth.py")

    newcomer.run("pytest")
    assert "5 passed" in newcomer.printed["pytest"]
    printed = newcomer.visit("development.ini", USERS + USE)
    assert "{'name': 'ada'} {'cart': {'apples': 2}}" in printed
    assert "WARN" not in printed


def test_no_block_of_readme_is_left_out() -> None:
    steps = ("secret", "ini", "testing-ini", "include", "identity", "identity-ini", "views")
    assert list(README) == [f"readme-{step}" for step in steps]
