"""What psessions prints: tables for people, JSON for machines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from time import time
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from pyramid_sessionkit.saving import CSRF_KEY
from pyramid_sessionkit.scripts.result import FAILED, OK, WARNING, Result
from pyramid_sessionkit.user_sessions import SessionInfo

SHORT_KEY = 12
WIDE = 160
"""Columns in a pipe or a file, so that each session keeps its line."""

STYLES = {OK: "green", WARNING: "yellow", FAILED: "bold red"}
UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


class Output:
    """Prints answers to ``file``, as JSON or for people; anything else goes to stderr."""

    def __init__(self, file: TextIO, as_json: bool) -> None:
        self._file = file
        self._json = as_json
        self._errors = Console(stderr=True, markup=False, highlight=False)

    @property
    def shows_progress(self) -> bool:
        return self._errors.is_terminal

    def answer(self, data: Any, text: str) -> None:
        print(json.dumps(data, indent=2) if self._json else text, file=self._file)

    def note(self, text: str) -> None:
        """For people only."""
        if not self._json:
            self._errors.print(text, soft_wrap=True)

    def sessions(self, found: Sequence[SessionInfo]) -> None:
        if self._json or not found:
            return self.answer([_fields(info) for info in found], "No sessions")
        table = Table("Key", "User", "Created", "Renewed", "Expires", box=SIMPLE_HEAD)
        table.columns[0].no_wrap = True
        length = _distinct([info.key for info in found])
        for info in found:
            times = (local(when, "minutes") for when in (info.created, info.renewed or None, info.expires))
            table.add_row(info.key[:length], _user(info), *times)
        self._print(table)

    def session(self, info: SessionInfo, contents: dict[str, Any]) -> None:
        """With its contents, except for what goes into the CSRF token."""
        contents = {**contents, **({CSRF_KEY: "(hidden)"} if CSRF_KEY in contents else {})}
        if self._json:
            return self.answer({**_fields(info), "contents": contents}, "")
        table = Table.grid(padding=(0, 2))
        table.add_row("Key", info.key)
        table.add_row("User", _user(info))
        for name, when in (("Created", info.created), ("Renewed", info.renewed or None), ("Expires", info.expires)):
            table.add_row(name, local(when))
        self._print(table)
        lines = json.dumps(contents, indent=2, ensure_ascii=False).splitlines()
        self._print(Text("\n".join(["Contents", *map(printable, lines)])))

    def checks(self, results: Sequence[Result]) -> None:
        if self._json:
            return self.answer([asdict(result) for result in results], "")
        width = max(len(result.check) for result in results) + 1
        for result in results:
            check = result.check.ljust(width)
            self._print(Text.assemble((f"{result.status:8}", STYLES[result.status]), f"{check}{result.message}"))

    @contextmanager
    def progress(self, total: int | None, text: str) -> Iterator[Callable[[int], None]]:
        """Yield a function that is called with the progress; on a terminal a bar shows it, or a number.

        ``total`` is None where nobody knows how much there is.
        """
        if total == 0 or not self.shows_progress:
            yield lambda done: None
            return
        columns = Progress.get_default_columns() if total else ("{task.description} {task.completed}",)
        with Progress(*columns, console=self._errors, transient=True) as bar:
            task = bar.add_task(text, total=total)
            yield lambda done: bar.advance(task, done)

    def _print(self, what: Table | Text) -> None:
        console = Console(file=self._file, markup=False, emoji=False, highlight=False)
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = WIDE
        console.print(what, soft_wrap=isinstance(what, Text))


def local(when: int | None, precision: str = "seconds") -> str:
    """``2025-03-09 14:05:00 (3m ago)``, in the local time zone."""
    if when is None:
        return "never"
    try:
        return f"{datetime.fromtimestamp(when).isoformat(' ', precision)} ({relative(when - round(time()))})"
    except (ValueError, OverflowError, OSError):
        return str(when)  # no time that a calendar has: the record was damaged


def relative(seconds: int) -> str:
    """Only the largest unit."""
    for unit, length in UNITS:
        if abs(seconds) >= length:
            amount = f"{abs(seconds) // length}{unit}"
            return f"in {amount}" if seconds > 0 else f"{amount} ago"
    return "now"


def printable(text: str) -> str:
    """Without the control characters by which a visitor's text could play tricks on a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _distinct(keys: Sequence[str]) -> int:
    """How much of each key tells them apart: those of an application with ``key_prefix`` begin alike."""
    return next(length for length in range(SHORT_KEY, 99) if len({key[:length] for key in keys}) == len(set(keys)))


def _user(info: SessionInfo) -> str:
    return "-" if info.userid is None else printable(info.userid)


def _fields(info: SessionInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in ("key", "userid", "created", "renewed", "expires")}
