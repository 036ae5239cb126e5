"""The extras that pages, messages and files of ours tell people to install."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

from pyramid_sessionkit.stores import BUILTIN, extra_of

ROOT = Path(__file__).parents[2]

setup = ConfigParser()
setup.read(ROOT / "setup.cfg")
EXTRAS = set(setup["options.extras_require"])

FILES = [
    *(ROOT / name for name in ("README.rst", "CHANGES.rst", "Makefile", "tox.ini", "example_app/Dockerfile")),
    *sorted(ROOT.glob("docs/**/*.rst")),
    *sorted(ROOT.glob("pyramid_sessionkit/**/*.py")),
]


def named_in(text: str) -> set[str]:
    """The extras of ``pyramid_sessionkit[one,two]``, ``'.[one]'``, "the extra ``one``" and tox."""
    bracketed = re.findall(r"(?:pyramid_sessionkit|repository|[\"'/ ]\.)\[([\w,-]+)\]", text)
    spoken = re.findall(r"the extras? `+([\w-]+)`", text)
    tox = re.findall(r"^extras = ?((?:\n?[ ]*[\w-]+)+)$", text, re.MULTILINE)
    return {name for names in [*bracketed, *spoken, *tox] for name in re.split(r"[,\s]+", names) if name}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('pip install "pyramid_sessionkit[a-b,c]"', {"a-b", "c"}),
        ('"/path/to/this/repository[a]" and "/path/to/pyramid_sessionkit[b]"', {"a", "b"}),
        ("pip install --editable '.[a]' \".[b,c]\"", {"a", "b", "c"}),
        ("It needs the extra `a_b`. All needs the extra ``c``.", {"a_b", "c"}),
        ("extras = a\ndeps =", {"a"}),
        ("extras =\n    a\n    b_c\ndeps =", {"a", "b_c"}),
        ("cart[2] and BUILTIN[name]", set()),
    ],
)
def test_what_names_an_extra_is_found(text: str, names: set[str]) -> None:
    assert named_in(text) == names


@pytest.mark.parametrize("name", sorted(EXTRAS))
def test_every_pip_takes_the_names_of_extras(name: str) -> None:
    assert re.fullmatch("[a-z0-9-]+", name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_extras_that_are_named_exist(file: Path) -> None:
    assert named_in(file.read_text(encoding="utf-8")) - EXTRAS == set()


@pytest.mark.parametrize("store", [store for store in BUILTIN if store != "memory"])
def test_a_missing_package_names_an_extra_that_exists(store: str) -> None:
    assert extra_of(store) in EXTRAS


def test_the_table_of_readme_has_the_extras_for_applications() -> None:
    text = (ROOT / "README.rst").read_text(encoding="utf-8")
    table = text[text.index("Extra  ") : text.index("\n\n", text.index("(none)"))]
    ours = {"example", "testing", "adoption", "applications", "browser", "api", "forks", "docs"}
    assert set(re.findall(r"^``([\w-]+)``", table, re.MULTILINE)) == EXTRAS - ours
