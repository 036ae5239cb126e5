"""The sizes in ``docs/reference/values.rst``."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup
from pyramid.i18n import TranslationString

from pyramid_sessionkit.contents.serializer import BUILT_IN_ONLY


def size(value: Any) -> int:
    """Of the value alone."""
    return len(BUILT_IN_ONLY.dumps({"": [value, date.min]})) - len(BUILT_IN_ONLY.dumps({"": [date.min]})) - 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", 6),
        (Markup("text"), 4 + 14),
        (TranslationString("a", default="b"), 2 + 45),
        (datetime(2026, 1, 1), 35),
        (datetime(2026, 1, 1, microsecond=1), 42),
        (datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), 35 + 7 + 13),
        (date(2026, 1, 1), 22),
        (time(12, 30), 20),
        (time(12, 30, 1, 1), 27),
        (timedelta(0), 22),
        (timedelta.max, 39),
        (UUID(int=0), 44),
        (Decimal("1.00"), 4 + 15),
        (b"", 13),
        (b"abcd", 8 + 13),
        (set(), 11),
        ({1, 2}, 11 + 3),
        (frozenset(), 17),
    ],
    ids=repr,
)
def test_size(value: Any, expected: int) -> None:
    assert size(value) == expected
