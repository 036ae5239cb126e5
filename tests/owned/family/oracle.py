"""Looks at the rows before and after, and says what a statement did that it must not do."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Result, inspect, select
from sqlalchemy.exc import InvalidRequestError, ResourceClosedError, SQLAlchemyError
from sqlalchemy.orm import Session, WriteOnlyCollection

from pyramid_sessionkit.owned import NotLoggedIn, NotOwned, guard
from tests.owned.conftest import Visitor
from tests.owned.family import forms
from tests.owned.family.forms import Case
from tests.owned.family.shapes import ADA, NOT_ADAS_NUMBERS, NOT_ADAS_TEXTS, Letter, Topic, Writer
from tests.owned.family.worlds import Rows, World, of_ada_in, of_others_in

REFUSALS = (NotOwned, NotLoggedIn, TypeError)


@dataclass
class Ran:
    """What became of a statement on one database."""

    refused: str | None = None
    error: str | None = None
    # A sign that the library broke: neither of its own exceptions nor one of SQLAlchemy or the driver.
    crashed: bool = False
    shown: list[str] | None = None
    leaked: list[str] = field(default_factory=list)
    after: Rows | None = None

    @property
    def executed(self) -> bool:
        return self.refused is None and self.error is None


@dataclass
class Violation:
    kind: str
    case: Case
    told: str

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.case.recipe}\n  {self.case.one_line}\n"
            f"  SQL: {' '.join(self.case.sql.split())[:600]}\n  {self.told}"
        )


def judge(case: Case, world: World) -> tuple[Ran, list[Violation]]:
    """Execute a statement of the family, and compare."""
    ran = run(case, world.full, world)
    found = list(_written(case, ran, world)) + list(_shown(case, ran, world))
    if case.promised:
        found += _kept(case, ran, world)
    return ran, found


def run(case: Case, engine: Any, world: World) -> Ran:
    """In a session of Ada's, whose transaction is rolled back."""
    ada, ran = Visitor(ADA), Ran()
    session = guard(Session(engine), ada) if case.guarded else Session(engine)
    with session:
        driver = session.connection().connection.driver_connection
        if case.preloaded:
            _preload(session)
        statement = _attempt(ran, lambda: case.build(ada))
        if statement is not None:
            _note_sql(case, statement, engine)
            _attempt(ran, lambda: _execute(case, ran, session, statement))
        ran.after = None if _is_lost(driver) else world.rows(driver)
        _close(session)
    if world.name == "mariadb" and ran.refused is None and case.commits:
        world.restore_if_changed()
    return ran


def _execute(case: Case, ran: Ran, session: Session, statement: Any) -> bool:
    parameters = case.parameters(statement)
    returned = fetched(lambda: forms.perform(case, session, statement, parameters))
    if returned is not None and (case.form.reads or case.limited):
        ran.shown = sorted(dump(row, session, ran.leaked) for row in returned)
    session.flush()
    return True


def _close(session: Session) -> None:
    try:
        session.rollback()
    except SQLAlchemyError:
        session.invalidate()


def _attempt(ran: Ran, act: Any) -> Any:
    try:
        return act()
    except REFUSALS as error:
        ran.refused = f"{type(error).__name__}: {error}"
    except SQLAlchemyError as error:
        ran.error = type(getattr(error, "orig", None) or error).__name__
    except Exception as error:
        ran.error, ran.crashed = f"{type(error).__name__}: {error}", _is_of_the_library(error)
    return None


def _is_of_the_library(error: Exception) -> bool:
    """Whether it was raised by the library's code, or by its parser: not by SQLAlchemy, a driver or the generator."""
    raised = traceback.extract_tb(error.__traceback__)[-1].filename
    return "pyramid_sessionkit" in raised or "sqlglot" in raised


def _is_lost(driver: Any) -> bool:
    """Whether PostgreSQL does nothing more in this transaction: what was done in it is gone."""
    info = getattr(driver, "info", None)
    return info is not None and info.transaction_status.name == "INERROR"


def _note_sql(case: Case, statement: Any, engine: Any) -> None:
    if hasattr(statement, "compile"):
        try:
            case.sql = str(statement.compile(dialect=engine.dialect))
        except Exception as error:
            case.sql = f"(does not compile: {error})"


def _preload(session: Session) -> None:
    """As a view may have: without owned(), everything of everybody."""
    topics = session.scalars(select(Topic)).all()
    session.info["kept"] = [topics, *(topic.letters for topic in topics), session.scalars(select(Letter)).all()]
    session.info["kept"] += [letter.writer for letter in session.info["kept"][-1]]
    session.info["kept"] += [session.scalars(select(Writer)).all()]


def fetched(execute: Callable[[], Any]) -> list[Any] | None:
    """The rows, if it returns any. The ORM's result of an INSERT tells only when it is asked that it has none."""
    result = execute()
    if not isinstance(result, Result) or not getattr(result, "returns_rows", True):
        return None
    try:
        return list(result.all())
    except ResourceClosedError:
        return None
    except InvalidRequestError as error:
        if "unique()" not in str(error):
            raise
        return list(execute().unique().all())


def dump(value: Any, session: Session, leaked: list[str], depth: int = 2) -> str:
    """All that one can see of it: the values, and those of the objects that it refers to."""
    if isinstance(value, tuple) or type(value).__name__ == "Row":
        return f"({', '.join(dump(each, session, leaked, depth) for each in value)})"
    state = inspect(value, raiseerr=False)
    if state is not None and hasattr(state, "mapper"):
        return _dump_object(value, state.mapper, session, leaked, depth)
    if _is_of_others(value):
        leaked.append(repr(value))
    return repr(value)


def _is_of_others(value: Any) -> bool:
    if isinstance(value, int):
        return value in NOT_ADAS_NUMBERS
    return isinstance(value, str) and (any(word in value for word in NOT_ADAS_TEXTS) or value == "8008")


def _dump_object(value: Any, mapper: Any, session: Session, leaked: list[str], depth: int) -> str:
    parts = [dump(getattr(value, column.key), session, leaked) for column in mapper.column_attrs]
    for relationship in mapper.relationships if depth else ():
        related = getattr(value, relationship.key)
        parts.append(str(sorted(dump(each, session, leaked, depth - 1) for each in _each(related, session))))
    return f"{type(value).__name__}({', '.join(parts)})"


def _each(related: Any, session: Session) -> Iterable[Any]:
    if related is None:
        return []
    if isinstance(related, WriteOnlyCollection):
        return list(session.scalars(related.select()))
    return list(related) if hasattr(related, "__iter__") else [related]


def _written(case: Case, ran: Ran, world: World) -> Iterable[Violation]:
    if ran.after is None:
        return
    before, after = of_others_in(world.before), of_others_in(ran.after)
    if before != after:
        kind = "refused too late" if ran.refused else "written"
        yield Violation(kind, case, f"of others it is\n  {_differing(after, before)}")


def _shown(case: Case, ran: Ran, world: World) -> Iterable[Violation]:
    if ran.leaked and case.limited:
        yield Violation("shown", case, f"of others: {ran.leaked[:5]}")
    elif case.form.reads and ran.executed and ran.shown is not None:
        # What others have must make no difference at all, by a count for example.
        alone = run(case, world.alone, world)
        if alone.executed and alone.shown != ran.shown:
            yield Violation("influenced", case, f"it is\n  {ran.shown}\n  and without others\n  {alone.shown}")


def _kept(case: Case, ran: Ran, world: World) -> list[Violation]:
    """What must be allowed has the effect that it has for Ada alone, without a guard."""
    expected = _unlimited(case, world)
    if expected.error or expected.refused:
        return []
    if ran.refused or ran.error:
        return [Violation("not allowed", case, str(ran.refused or ran.error))]
    if case.form.reads and ran.shown != expected.shown:
        return [Violation("less", case, f"it is\n  {ran.shown}\n  and should be\n  {expected.shown}")]
    if ran.after is None or expected.after is None or not _compares(case):
        return []
    after, wanted = of_ada_in(ran.after), of_ada_in(expected.after)
    if after != wanted:
        return [Violation("without effect", case, f"it is\n  {_differing(after, wanted)}")]
    return []


def _compares(case: Case) -> bool:
    """Nobody's table is filled from the rows of all, which is allowed, and differs."""
    return not any(note in ("from_owned", "of_owned", "sql_insert", "exists") for note in case.notes)


def _differing(after: Rows, wanted: Rows) -> str:
    told = [
        f"{table}: {after[table]}\n  should be {wanted[table]}" for table in wanted if after[table] != wanted[table]
    ]
    return "\n  ".join(told)


def _unlimited(case: Case, world: World) -> Ran:
    """The same, without owned() and guard, where Ada is alone."""
    ran = Ran()
    if case.form.name == "read anything":
        return ran
    with Session(world.alone) as session:
        driver = session.connection().connection.driver_connection

        def act() -> bool:
            statement, rows = case.unlimited()
            returned = fetched(lambda: forms.perform(case, session, statement, rows))
            if returned is not None:
                ran.shown = sorted(dump(row, session, []) for row in returned)
            session.flush()
            return True

        _attempt(ran, act)
        ran.after = None if _is_lost(driver) else world.rows(driver)
        _close(session)
    return ran


@dataclass
class Summary:
    """Counts, for the report at the end."""

    database: str
    counts: Counter[str] = field(default_factory=Counter)
    distinct: set[tuple[str, ...]] = field(default_factory=set)
    violations: list[Violation] = field(default_factory=list)
    crashes: Counter[str] = field(default_factory=Counter)

    def add(self, case: Case, ran: Ran, found: list[Violation]) -> None:
        self.distinct.add((case.way, case.limit, case.sql or case.recipe, case.recipe))
        self.counts["promised"] += case.promised
        self.counts["refused" if ran.refused else "error" if ran.error else "executed"] += 1
        if ran.crashed:
            self.crashes[str(ran.error)[:80]] += 1
        self.violations += found

    def __str__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        kinds = Counter(violation.kind for violation in self.violations)
        return f"{self.database}: {len(self.distinct)} distinct statements, {told}; violations: {dict(kinds)}"
