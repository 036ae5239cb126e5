"""Somebody who does what our pages say, in an application that pyramid-cookiecutter-starter has laid out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

from tests.test_docs import Block, named_blocks

ROOT = Path(__file__).parents[2]
APPLICATION = Path(__file__).parent / "app"

ADD = named_blocks("howto/add.rst")
# All is installed, and there are no ACLs.
SHOWN_ALONE = {"add-install", "add-install-argon2", "add-principals"}
# What follows the last one is for applications that keep a policy of their own.
STEPS = [ADD[name] for name in list(ADD)[: list(ADD).index("add-run") + 1] if name not in SHOWN_ALONE]

PROGRAMS = {
    "alembic": ["-m", "alembic"],
    "pytest": ["-m", "pytest", "-q", "-p", "no:cacheprovider"],
    "initialize_myapp_db": ["-c", "from myapp.scripts.initialize_db import main; main()"],
    "python": [],
    # It would not end, so that it does not begin either: visit() starts the application.
    "pserve": ["-c", ""],
}

BROWSER = """
from pathlib import Path
from pyramid.paster import get_app, setup_logging
from webtest import TestApp

setup_logging("{ini}")
browser = TestApp(get_app("{ini}"))
cookie = Path("cookie")
if cookie.exists():
    browser.set_cookie("session", cookie.read_text())
{do}
cookie.write_text(browser.cookies["session"])
"""


class Newcomer:
    """Works in a copy of the application."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: dict[str, str] = {}
        """What each program printed when it ran last."""
        shutil.copytree(APPLICATION, folder, ignore=shutil.ignore_patterns("__pycache__"))
        self._install()
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "SESSION_SECRET"},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{folder}:{ROOT}",
        }

    def _install(self) -> None:
        """What ``pip install -e .`` leaves behind, without the network that pip would ask."""
        info = self.folder / "myapp.egg-info"
        info.mkdir()
        (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: myapp\nVersion: 0.0\n")
        (info / "entry_points.txt").write_text("[paste.app_factory]\nmain = myapp:main\n")

    # Commands.

    def run(self, command: str) -> None:
        program, *arguments = shlex.split(command)
        answer = subprocess.run(
            [sys.executable, *PROGRAMS[program], *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.printed[program] = answer.stdout + answer.stderr
        assert answer.returncode == 0, f"{command}\n{self.printed[program]}"

    def run_all(self, block: Block) -> None:
        for command in block.text.splitlines():
            self.run(command)

    def export(self, block: Block) -> None:
        """Run a block in a shell, and keep the variables that it exports."""
        shell = subprocess.run(
            ["sh", "-c", f"{block.text}\nenv"], env=self._environment, capture_output=True, text=True, check=True
        )
        lines = [line for line in shell.stdout.splitlines() if line.startswith("SESSION_")]
        self._environment |= dict(line.split("=", 1) for line in lines)

    def visit(self, ini: str, do: str) -> str:
        """Start the application, do this with ``browser``, which keeps its cookie, and return what that prints."""
        (self.folder / "visit.py").write_text(BROWSER.format(ini=ini, do=do))
        self.run("python visit.py")
        return self.printed["python"]

    # Files.

    def edit(self, block: Block) -> None:
        """Do with a block of docs/howto/add.rst what the page says."""
        if block.name in ("add-include", "add-csrf"):
            self.add_to_main(block)
        elif block.name == "add-user-import":
            self.add_import(block)
        elif block.name == "add-routes":
            self.add_routes(block)
        elif block.name == "add-first-user":
            self.replace_function(block)
        elif block.language == "ini":
            self.add_settings(block, *block.caption.split(", "))
        else:
            self.write(block, block.caption)

    def write(self, block: Block, file: str) -> None:
        """Make a new file."""
        path = self.folder / file
        assert not path.exists()
        path.write_text(block.text, encoding="utf-8")

    def add_settings(self, block: Block, *files: str) -> None:
        for file in files:
            self._replace(file, r"^\[app:main\]\n", lambda found: found[0] + block.text)

    def add_to_main(self, block: Block) -> None:
        self._add_below("myapp/__init__.py", r"^ +config\.include\(.*\)\n", block)

    def add_routes(self, block: Block) -> None:
        self._add_below("myapp/routes.py", r"^ +config\.add_route\(.*\)\n", block)

    def add_import(self, block: Block) -> None:
        self._add_below("myapp/models/__init__.py", r"^from \..*\n", block)

    def replace_function(self, block: Block) -> None:
        name = block.text.partition("(")[0]
        self._replace(block.caption, rf"^{name}\(.*\n(?:(?: +.*)?\n)*", lambda found: f"{block.text}\n\n")

    def _add_below(self, file: str, pattern: str, block: Block) -> None:
        """Below the lines that match, as far to the right as they are."""

        def add(found: re.Match[str]) -> str:
            return found[0] + indent(block.text, " " * (len(found[0]) - len(found[0].lstrip())))

        self._replace(file, f"(?:{pattern})+", add)

    def _replace(self, file: str, pattern: str, make: Callable[[re.Match[str]], str]) -> None:
        path = self.folder / file
        text, count = re.subn(pattern, make, path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
        assert count == 1, f"{file} has no {pattern}"
        path.write_text(text, encoding="utf-8")
