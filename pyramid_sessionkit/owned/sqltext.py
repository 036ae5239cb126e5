"""SQL that came as text: whether it seems to write to an owned table."""

from __future__ import annotations

import re
from functools import lru_cache

VERBS = "insert|update|delete|merge|replace|truncate|copy|drop|alter"
_QUOTES = r"\"'`\[\]"
_writing = re.compile(
    # A name in quotes or after a point is a column's, and what has a parenthesis behind it a function's: replace(a, b).
    rf"(?<![\w.{_QUOTES}])(?P<verb>{VERBS})(?![\w{_QUOTES}]|\s*\()",
    re.IGNORECASE,
)
_harmless = re.compile(
    r"\bfor\s+(no\s+key\s+)?update\b|\bon\s+(delete|update)\b|\bdo\s+update\b|\bon\s+duplicate\s+key\s+update\b",
    re.IGNORECASE,
)
_reading = re.compile(r"\b(select|from|join|table|using)\b", re.IGNORECASE)


def writes_in(text: str) -> int:
    """How many words in it may begin a statement that changes data."""
    return len(_writing.findall(_harmless.sub(" ", text)))


def reads_in(text: str) -> bool:
    """Whether it has a word that comes before the name of a table to read."""
    return _reading.search(text) is not None


def table_named_in(text: str, names: frozenset[str]) -> str | None:
    """The first of these tables whose name is in it as a word."""
    if not names:
        return None
    found = _any_of(names).search(text)
    return None if found is None else found[0].lower()


@lru_cache(8)
def _any_of(names: frozenset[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names)))})(?!\w)", re.IGNORECASE)
