"""What ``psessions check`` prints can be read, however long the name of a check is."""

from __future__ import annotations

import io

from pyramid_sessionkit.scripts.output import Output
from pyramid_sessionkit.scripts.result import OK, WARNING, Result


def test_messages_stand_in_one_column() -> None:
    printed = io.StringIO()
    Output(printed, False).checks([Result("store", OK, "it answers"), Result("persistence", WARNING, "none")])
    assert printed.getvalue().splitlines() == ["ok      store       it answers", "warning persistence none"]
