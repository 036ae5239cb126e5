"""Test suites of applications, each in a fresh process as on somebody's desk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.test_docs import ROOT, named_blocks

AT_THE_START = """\
import sys

assert "pytest_pyramid_sessionkit" in sys.modules
# What is imported before the tests begin is not seen by those who measure coverage.
assert not {"pyramid", "pyramid_sessionkit", "webtest"} & set(sys.modules)
"""

RunSuite = Callable[[dict[str, str]], str]


@pytest.fixture
def run_suite(tmp_path: Path) -> RunSuite:
    """Run files with pytest, where the package is installed as ``setup.cfg`` says; what pytest said in the end."""
    declared = ConfigParser()
    declared.read(ROOT / "setup.cfg")
    installed = tmp_path / "site" / "pyramid_sessionkit-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: pyramid_sessionkit\nVersion: 0\n")
    (installed / "entry_points.txt").write_text(f"[pytest11]{declared['options.entry_points']['pytest11']}\n")

    def run(files: dict[str, str]) -> str:
        for name, text in {"pytest.ini": "[pytest]\n", **files}.items():
            path = tmp_path / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        project = tmp_path / "project"
        path_list = os.pathsep.join(map(str, (project, installed.parent, ROOT)))
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
            cwd=project,
            env={**os.environ, "PYTHONPATH": path_list},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout.splitlines()[-1]

    return run


def test_the_page_on_tests_is_a_suite_that_passes(run_suite: RunSuite) -> None:
    files: dict[str, str] = {"myapp.py": "from tests.testing_helpers.shop import main\n"}
    blocks = named_blocks("howto/test.rst").values()
    for block in blocks:
        before = files.get(block.caption, AT_THE_START if block.caption.endswith("conftest.py") else "")
        files[block.caption] = f"{before}\n{block.text}"
    # The project has a folder of tests too, which is not this one.
    files = {name.replace("tests/", "shop_tests/"): text for name, text in files.items()}
    assert f"{sum(block.text.count('def test_') for block in blocks)} passed" in run_suite(files)


def test_sessions_of_unit_tests_need_no_webtest(run_suite: RunSuite) -> None:
    test = "def test_it(sessionkit_make_session):\n    assert sessionkit_make_session({'a': 1})['a'] == 1\n"
    files = {"conftest.py": AT_THE_START, "webtest.py": "raise ImportError('not installed')", "test_it.py": test}
    assert "1 passed" in run_suite(files)
