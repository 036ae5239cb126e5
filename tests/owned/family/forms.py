"""The generator: a number makes a statement, always the same one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from random import Random
from typing import Any

import sqlalchemy
from sqlalchemy import text
from sqlalchemy.orm import Session

from pyramid_sessionkit.owned import owned
from tests.owned.family import alterations, criteria, flushes, pinned, reads, texts, writes
from tests.owned.family.pick import ABSENT, Form, Pick
from tests.owned.family.pinned import Pin
from tests.owned.family.shapes import ADA, BOB, SHAPES, Shape
from tests.owned.family.shapes import BY_NAME as SHAPES_BY_NAME
from tests.owned.family.targets import PROMISED, draw, dressed, plain

FORMS: tuple[Form, ...] = (*writes.WRITES, *reads.READS, *flushes.FLUSHES, *texts.TEXTS)

# How a statement is given to the guarded session.
WAYS = ("session", "connection", "text", "driver")
# Whether owned() made it: never, at last, and was altered afterwards, before, is given parameters that name the owner.
LIMITS = ("none", "owned", "owned, then altered", "altered, then owned", "owned, with parameters", "owned, no guard")
# Where nothing but owned() stands between a statement and the rows of others.
UNGUARDED = ("owned, no guard", "altered, then owned, no guard", "owned, with parameters, no guard")
READ_LIMITS = LIMITS[1:]


@dataclass
class Case:
    """A statement of the family. ``make`` builds it and ``perform`` executes it, of which each may be refused."""

    database: str
    number: int
    form: Form
    shape: Shape
    way: str
    limit: str
    dress: str = ""
    criterion: str = ""
    # Among what must be allowed, and have its effect.
    promised: bool = False
    # Objects of others were loaded by the session before.
    preloaded: bool = False
    notes: list[str] = field(default_factory=list)
    # What somebody does to it, if it is not drawn.
    alteration: str = ""
    sql: str = ""
    build: Callable[[Any], Any] = lambda visitor: None
    unlimited: Callable[[], Any] = lambda: None
    parameters: Callable[[Any], Any] = lambda statement: None

    @property
    def limited(self) -> bool:
        return self.limit != "none"

    @property
    def guarded(self) -> bool:
        return self.limit not in UNGUARDED

    @property
    def commits(self) -> bool:
        """Whether MariaDB may commit it by itself."""
        return self.form.name.startswith("text ") or self.form.name in ("drop", "create_all")

    @property
    def recipe(self) -> str:
        parts = [self.form.name, self.shape.name, self.dress, self.criterion, self.way, self.limit, *self.notes]
        if self.preloaded:
            parts.append("preloaded")
        return " | ".join(part for part in parts if part)

    @property
    def one_line(self) -> str:
        return f'SESSIONKIT_FAMILY_CASE="{self.database} {self.number}" pytest -s tests/owned/family -k one_case'


BY_NAME = {form.name: form for form in FORMS}


@lru_cache
def _systematic(database: str) -> tuple[tuple[Form, ...], dict[str, list[tuple[Shape, str, str]]]]:
    """Each form, and all of its shapes, ways and limits in an order of chance."""
    built = [form for form in (*writes.WRITES, *reads.READS) if database in form.databases]
    others = [form for form in (*flushes.FLUSHES, *texts.TEXTS) if database in form.databases]
    # Most of what text can be is refused alike; what SQLAlchemy builds is where a criterion can lose its meaning.
    forms = (*built, *others, *built, *built)
    return forms, {form.name: _combinations(form) for form in forms}


@lru_cache
def _pins(database: str) -> list[Pin]:
    return pinned.of(database)


def _combinations(form: Form) -> list[tuple[Shape, str, str]]:
    ways, limits = WAYS, LIMITS
    if form in texts.TEXTS:
        ways, limits = ("text", "driver", "driver"), ("none",)
    elif form in flushes.FLUSHES:
        ways, limits = ("session",), ("none",)
    elif form.reads:
        ways, limits = ("session", "session", "connection"), READ_LIMITS
    found = [
        (shape, way, limit)
        for shape, way, limit in product(SHAPES, ways, limits)
        if limit == "none" or way in ("session", "connection")
    ]
    Random(form.name).shuffle(found)
    return found


def make(database: str, number: int) -> Case:
    """In turn a statement of each form; what is not in the product is drawn. The first are pinned."""
    pins = _pins(database)
    if number < len(pins):
        return _pinned(database, number, pins[number])
    forms, combinations = _systematic(database)
    form = forms[(number - len(pins)) % len(forms)]
    every = combinations[form.name]
    shape, way, limit = every[_turn(number - len(pins), forms) % len(every)]
    case = Case(database, number, form, shape, way, limit)
    _complete(case, Random(f"{database} {number}"))
    return case


def _turn(number: int, forms: tuple[Form, ...]) -> int:
    """How often the form was there before."""
    form, place = forms[number % len(forms)], number % len(forms)
    return number // len(forms) * forms.count(form) + forms[:place].count(form)


def _pinned(database: str, number: int, pin: Pin) -> Case:
    shape = SHAPES_BY_NAME[pin.shape]
    form = Form(f"text {pin.sql}", lambda _: pin.sql) if pin.sql else BY_NAME[pin.form]
    case = Case(database, number, form, shape, pin.way, pin.limit)
    case.dress, case.criterion = pin.dress, pin.criterion
    case.alteration, case.preloaded = pin.alteration, pin.preloaded
    target = dressed(pin.dress, shape, database)
    criterion = {**criteria.ORDINARY, **criteria.ODD}[pin.criterion]
    seed = Random(f"{database} {number}").random()
    _prepare(case, lambda: Pick(Random(seed), database, target, criterion))
    return case


def _complete(case: Case, random: Random) -> None:
    form = case.form
    calm = case.limit in ("owned", "owned, no guard") and form.promised and random.random() < 0.6
    gives = ABSENT if case.limited else random.choice([ADA, BOB, BOB, None])
    if case.limited and not calm and random.random() < 0.25:
        gives = random.choice([ADA, BOB, None])
    # Those who flush load objects: theirs or the user's.
    if form in flushes.FLUSHES:
        gives = random.choice([ADA, ADA, BOB, None])
    simple = calm or form in flushes.FLUSHES or (case.limited and random.random() < 0.4)
    target = plain(case.shape) if simple else draw(random, case.shape, case.database, writes=not form.reads)
    case.criterion, criterion = criteria.draw(random, case.database, calm)
    case.dress = target.dress
    case.promised = form.promised and (form in flushes.FLUSHES or (calm and target.dress in PROMISED))
    case.promised = case.promised and case.guarded and not _is_left_open(case, form)
    case.preloaded = form.reads and not calm and random.random() < 0.25
    if form is _FREE:
        case.promised = case.limit == "none" and case.way in ("session", "connection")
    _prepare(case, lambda: Pick(Random(random_seed), case.database, target, criterion, gives, calm))
    random_seed = random.random()


_FREE = next(form for form in writes.WRITES if form.name == "nobody's")


def _is_left_open(case: Case, form: Form) -> bool:
    """What SQLAlchemy does not limit, so that it is refused."""
    if form.name == "EXISTS" and (case.shape.inherited or sqlalchemy.__version__ < "2.1"):
        return True
    # The table of a child has no owner's column that a statement could have: objects are what is promised there.
    return case.shape.inherited and ("join of owned" in form.name or not (form.reads or form in flushes.FLUSHES))


def _prepare(case: Case, pick: Callable[[], Pick]) -> None:
    def build(visitor: Any) -> Any:
        drawn = pick()
        try:
            return _built(case, drawn, visitor)
        finally:
            case.notes = drawn.notes

    def unlimited() -> Any:
        """What Ada would write who is alone: the same, with her as the owner of what is new."""
        drawn = pick()
        if case.limited and "insert" in case.form.name and drawn.gives is ABSENT:
            drawn.gives = ADA
        return case.form.build(drawn), case.form.rows(drawn) if case.form.rows else None

    def parameters(statement: Any) -> Any:
        drawn = pick()
        rows = [dict(row) for row in case.form.rows(drawn)] if case.form.rows else None
        if "with parameters" not in case.limit:
            return rows
        drawn.random.seed(case.number)
        named = alterations.of_parameters(drawn, binds(statement))
        case.notes.append(f"parameters {named}")
        return [row | named for row in rows] if rows else named

    case.build, case.unlimited, case.parameters = build, unlimited, parameters


def binds(statement: Any) -> list[str]:
    """The names of the parameters that hold the user's id, as anybody can find them out."""
    found = statement.compile().params
    return [name for name, value in found.items() if str(value) == str(ADA)]


def _built(case: Case, pick: Pick, visitor: Any) -> Any:
    statement = case.form.build(pick)
    if not case.limited:
        return statement
    if case.limit.startswith("altered, then owned"):
        statement = _altered(case, pick, statement)
    statement = owned(visitor, statement)
    if case.limit == "owned, then altered":
        statement = _altered(case, pick, statement)
    return statement


def _altered(case: Case, pick: Pick, statement: Any) -> Any:
    """By the first alteration that such a statement can have."""
    kinds = list((alterations.READS if case.form.reads else alterations.WRITES).items())
    pick.random.shuffle(kinds)
    kinds.sort(key=lambda kind: kind[0] != case.alteration)
    for name, alter in kinds:
        try:
            altered = alter(statement, pick)
        except (AttributeError, KeyError):
            continue
        pick.note(name)
        return altered
    return statement


def perform(case: Case, session: Session, statement: Any, parameters: Any) -> Any:
    """Give the statement to the session in the way of the case; returns the result, if it has one."""
    if case.form in flushes.FLUSHES:
        return statement(session)
    if isinstance(statement, str):
        return _text(case, session, statement)
    if case.way in ("text", "driver"):
        return _compiled(case, session, statement, parameters)
    if case.way == "connection":
        return session.connection().execute(statement, parameters)
    return session.execute(statement, parameters)


def _text(case: Case, session: Session, sql: str) -> Any:
    case.sql = sql
    if case.way == "text":
        return session.execute(text(sql.replace(":", r"\:")))
    return session.connection().exec_driver_sql(sql)


def _compiled(case: Case, session: Session, statement: Any, parameters: Any) -> Any:
    """As text that SQLAlchemy wrote, and that somebody spells in another way."""
    dialect = session.get_bind().dialect
    if parameters:
        statement = statement.values(parameters)
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    how, sql = texts.spelled(sql.replace("%%", "%"), Random(case.number), case.database)
    case.notes.append(how)
    return _text(case, session, sql)
