"""The folder of the example: somebody who copies it has all of it, and finds their way in it."""

import re
from pathlib import Path

import example_app

FOLDER = Path(example_app.__file__).parent


def test_all_packages_are_installed_with_a_copy() -> None:
    declared = re.findall(r'^    "(example_app[.\w]*)",$', (FOLDER / "pyproject.toml").read_text(), re.MULTILINE)
    folders = [path.parent.relative_to(FOLDER.parent) for path in FOLDER.rglob("__init__.py")]
    there = {".".join(folder.parts) for folder in folders} - {"example_app.tests"}

    assert set(declared) == there


def test_the_readme_names_each_module() -> None:
    named = set(re.findall(r"^``([\w.]+)/?``  ", (FOLDER / "README.rst").read_text(encoding="utf-8"), re.MULTILINE))

    assert {path.name for path in FOLDER.glob("*.py")} - named == set()
    assert [name for name in named if not (FOLDER / name).exists()] == []


def test_a_copy_keeps_databases_and_mail_out_of_git() -> None:
    ignored = (FOLDER / ".gitignore").read_text().split()

    assert {"*.sqlite*", "sent_mail/", ".venv/"} <= set(ignored)
