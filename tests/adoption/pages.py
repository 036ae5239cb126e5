"""What docs/howto/migrate says to write into a module of the application."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

PAGES = Path(__file__).parents[2] / "docs" / "howto" / "migrate"


def modules(page: str) -> list[str]:
    """The text of each ``myapp/old_sessions.py`` on a page."""
    text = (PAGES / f"{page}.rst").read_text(encoding="utf-8")
    return [dedent(found) for found in re.findall(r":caption: myapp/old_sessions\.py\n\n(.*?)\n   (?=\S)", text, re.S)]


def old_sessions(module: str) -> Any:
    """What the function returns that such a module has."""
    names: dict[str, Any] = {}
    exec(module, names)
    return names["old_sessions"]({})
