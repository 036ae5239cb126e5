"""What was judged before: a verdict is kept for each compiled statement, and for the text of the last thousand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Executable, Table
from sqlalchemy.sql.compiler import SQLCompiler

from pyramid_sessionkit.owned.declaration import OWNED, Ownership
from pyramid_sessionkit.owned.judge import Verdict, judge
from pyramid_sessionkit.owned.parameter import MARK, OwnerType, parts_of
from pyramid_sessionkit.owned.sqltext import Text, only_reads, style_of, text_of, text_of_sql

Owners = tuple[tuple[str, Ownership], ...]

NOTHING = Verdict()


class Case:
    """A statement as SQLAlchemy compiled it, or text.

    ``owners`` are the parameters in it that ``owned`` added. ``reads`` says whether what it reads has to be the user's
    too: it is made with ``owned``, or a part of it is.
    """

    __slots__ = ("_verdict", "_version", "owners", "reads")

    def __init__(self, compiled: Any) -> None:
        binds: Any = compiled.bind_names.items() if isinstance(compiled, SQLCompiler) else ()
        self.owners: Owners = tuple((name, bind.type.ownership) for bind, name in binds if _is_owners(bind))
        self.reads = bool(self.owners) or any(map(_is_marked, _parts(compiled)))
        self._verdict: Verdict | None = None
        self._version: Any = None

    def verdict(self, context: Any) -> Verdict:
        """Raises :class:`~pyramid_sessionkit.owned.judge.Refused`, and NotOwned for what cannot be understood."""
        version = OWNED.version, style_of(context)
        if self._verdict is None or self._version != version:
            self._verdict, self._version = self._judge(context), version
        return self._verdict

    def _judge(self, context: Any) -> Verdict:
        text = text_of(context)
        if not self.reads and only_reads(text.sql):
            return NOTHING
        return _judged(text, self.owners, tuple(_tables(context.compiled)), self.reads, OWNED.version)


@lru_cache(1024)
def _judged(text: Text, owners: Owners, tables: tuple[Table, ...], reads: bool, version: int) -> Verdict:
    return judge(text, dict(owners), tables, reads)


def _is_owners(bind: Any) -> bool:
    return isinstance(bind.type, OwnerType)


def _is_marked(part: Any) -> bool:
    return isinstance(part, Executable) and MARK in part.get_execution_options()


def _parts(compiled: Any) -> Iterator[Any]:
    return parts_of(compiled.statement) if isinstance(compiled, SQLCompiler) else iter(())


def _tables(compiled: Any) -> Iterator[Table]:
    """The tables, of which there is a model or another declaration, that a statement was made from."""
    found = {id(table): table for table in map(_table, _parts(compiled)) if table is not None}
    yield from found.values()


def _table(element: Any) -> Table | None:
    table = getattr(element, "table", element)
    return table if isinstance(table, Table) else None


class _TextCase(Case):
    """Text that the driver gets as it is: nothing of it is kept by object."""

    __slots__ = ()

    def verdict(self, context: Any) -> Verdict:
        return _of_text(context.statement, style_of(context), context.dialect.name, OWNED.version)


@lru_cache(1024)
def _of_text(sql: str, style: str, dialect: str, version: int) -> Verdict:
    text = text_of_sql(sql, style, dialect)
    return NOTHING if only_reads(text.sql) else judge(text, {}, (), False)


_TEXT = _TextCase(None)


_cases: WeakKeyDictionary[Any, Case] = WeakKeyDictionary()


def case_of(context: Any) -> Case:
    compiled = context.compiled
    if compiled is None:
        return _TEXT
    case = _cases.get(compiled)
    if case is None:
        case = _cases[compiled] = Case(compiled)
    return case
