"""What a form is given to build a statement with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.owned.family.criteria import Criterion
from tests.owned.family.shapes import ADA, BY_NAME, Shape
from tests.owned.family.targets import Target, draw, plain

ALL = ("sqlite", "postgresql", "mariadb")
ABSENT = object()


@dataclass
class Pick:
    random: Random
    database: str
    target: Target
    criterion: Criterion | None
    # Who becomes the owner of what is inserted or updated; ``ABSENT``: the statement does not say.
    gives: Any = ABSENT
    calm: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        return self.target.shape

    def where(self, statement: Any, target: Target | None = None) -> Any:
        if self.criterion is None:
            return statement
        return statement.where(self.criterion(target or self.target))

    def on(self, joined: Any, target: Target) -> Any:
        """The ON of a join, with the criterion in it."""
        return joined if self.criterion is None else joined & self.criterion(target)

    def note(self, what: str) -> None:
        self.notes.append(what)

    def choose(self, **choices: Any) -> Any:
        """One of these, told by its name in the recipe."""
        name = self.random.choice(list(choices))
        self.note(name)
        return choices[name]

    def other(self, *dresses: str) -> Target:
        """Another owned table beside that of the statement."""
        name = self.random.choice([name for name in BY_NAME if name != self.shape.name and name != "car"])
        found = plain(BY_NAME[name]) if self.calm else draw(self.random, BY_NAME[name], self.database, writes=True)
        if found.name in ("m", "m_1"):
            found = plain(BY_NAME[name])
        self.note(f"with {found.dress} {name}")
        return found

    def new(self, number: int = 0, **more: Any) -> dict[str, Any]:
        """The values of a new row, with ids that no row has."""
        shape = self.shape
        values: dict[str, Any] = {shape.text: f"new {number}", shape.number: number + 1}
        if shape.name != "writer":
            values[shape.key] = 500 + number
        if shape.name == "vehicle" and (not self.target.orm or self.calm):
            values["kind"] = "vehicle"
        if shape.inherited and self.target.orm:
            values |= {"text": "new"}
        return values | self.given() | more

    def given(self) -> dict[str, Any]:
        if self.gives is ABSENT or (self.shape.inherited and not self.target.orm):
            return {}
        return {self.shape.owner: self.shape.whose(self.gives)}

    def owner(self) -> dict[str, Any]:
        """The owner as a value of an UPDATE."""
        return self.given()


@dataclass(frozen=True)
class Form:
    """A way to write or read; ``build`` gives a statement, SQL as text, or a function of the session."""

    name: str
    build: Callable[[Pick], Any]
    reads: bool = False
    databases: tuple[str, ...] = ALL
    # Whether owned() must allow it, with ordinary criteria, and give it its effect.
    promised: bool = False
    # Whether it needs its own rows, as a list that ``execute`` is given.
    rows: Callable[[Pick], list[Mapping[str, Any]]] | None = None


OWNERS = {"absent": ABSENT, "Ada": ADA}
