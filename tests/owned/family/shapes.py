"""The owned shapes of the family, and whose rows there are: Ada's, Bob's, and one that belongs to nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ForeignKey, String, Table
from sqlalchemy.orm import (
    DeclarativeBase,
    DynamicMapped,
    Mapped,
    WriteOnlyMapped,
    foreign,
    mapped_column,
    relationship,
    remote,
)

from pyramid_sessionkit.owned import owned_by

# Bob's id cannot be mistaken for a count or a number of Ada's: wherever it appears, it is Bob's.
ADA, BOB = 7, 8008
TEXT = String(200)


class Base(DeclarativeBase):
    pass


class Topic(Base):
    """Nobody's, and letters refer to it. There is no foreign key: what the database writes is not asked here."""

    __tablename__ = "topics"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(TEXT)
    letters: Mapped[list[Letter]] = relationship(
        primaryjoin=lambda: remote(foreign(Letter.topic_id)) == Topic.id, back_populates="topic", order_by="Letter.id"
    )


class Archive(Base):
    """Nobody's: anyone may write here."""

    __tablename__ = "archives"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(TEXT)
    stars: Mapped[int] = mapped_column(default=0)


@owned_by("id")
class Writer(Base):
    """The user's own row."""

    __tablename__ = "writers"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(TEXT)
    stars: Mapped[int] = mapped_column(default=0)
    letters: Mapped[list[Letter]] = relationship(back_populates="writer", passive_deletes=True, order_by="Letter.id")


@owned_by("writer_id")
class Letter(Base):
    """By a foreign key, which may be NULL."""

    __tablename__ = "letters"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(TEXT)
    stars: Mapped[int] = mapped_column(default=0)
    writer_id: Mapped[int | None] = mapped_column(ForeignKey("writers.id", ondelete="CASCADE"))
    topic_id: Mapped[int | None]
    writer: Mapped[Writer | None] = relationship(back_populates="letters")
    topic: Mapped[Topic | None] = relationship(
        primaryjoin=lambda: foreign(Letter.topic_id) == remote(Topic.id), back_populates="letters"
    )


@owned_by("writer_id")
class Shelf(Base):
    """With a relationship that is a query: the letters of all on a topic."""

    __tablename__ = "shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(TEXT)
    writer_id: Mapped[int]
    topic_id: Mapped[int]
    letters: DynamicMapped[Letter] = relationship(
        primaryjoin=lambda: remote(foreign(Letter.topic_id)) == Shelf.topic_id, viewonly=True
    )


@owned_by("writer_id")
class Rack(Base):
    """With a relationship that gives a ``select()``."""

    __tablename__ = "racks"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(TEXT)
    writer_id: Mapped[int]
    topic_id: Mapped[int]
    letters: WriteOnlyMapped[Letter] = relationship(
        primaryjoin=lambda: remote(foreign(Letter.topic_id)) == Rack.topic_id, viewonly=True
    )


@owned_by("writer_id")
class Vehicle(Base):
    """The parent of joined inheritance."""

    __tablename__ = "vehicles"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(TEXT)
    text: Mapped[str] = mapped_column(TEXT)
    stars: Mapped[int] = mapped_column(default=0)
    writer_id: Mapped[int]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "vehicle"}


class Car(Vehicle):
    """The child: its table has no owner's column, its rows belong to the owner of their parents."""

    __tablename__ = "cars"
    car_id: Mapped[int] = mapped_column(ForeignKey("vehicles.id", ondelete="CASCADE"), primary_key=True)
    extra: Mapped[str] = mapped_column(TEXT)
    wheels: Mapped[int] = mapped_column(default=4)
    __mapper_args__ = {"polymorphic_identity": "car"}


@owned_by("writer_id")
class Seat(Base):
    """A composite primary key, of which the owner is a part."""

    __tablename__ = "seats"
    writer_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(TEXT)
    stars: Mapped[int] = mapped_column(default=0)


@owned_by("login")
class Ticket(Base):
    """The owner is text."""

    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(TEXT)
    text: Mapped[str] = mapped_column(TEXT)
    stars: Mapped[int] = mapped_column(default=0)


@dataclass(frozen=True)
class Shape:
    """An owned class, and the names of those of its columns that the generator writes to."""

    name: str
    model: Any
    key: str
    text: str
    number: str
    owner: str
    mine: int
    theirs: int
    # Which column the ORM calls the key, where the table of the class has another.
    inherited: bool = False

    @property
    def table(self) -> Table:
        return self.model.__table__  # type: ignore[no-any-return]

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.key, self.text, self.number)

    def whose(self, person: int | None) -> Any:
        """An owner's id as this shape stores it."""
        return str(person) if self.name == "ticket" and person is not None else person


SHAPES = (
    Shape("writer", Writer, "id", "text", "stars", "id", ADA, BOB),
    Shape("letter", Letter, "id", "text", "stars", "writer_id", 1, 1001),
    Shape("vehicle", Vehicle, "id", "text", "stars", "writer_id", 1, 1001),
    Shape("car", Car, "car_id", "extra", "wheels", "writer_id", 2, 1002, inherited=True),
    Shape("seat", Seat, "number", "text", "stars", "writer_id", 1, 1001),
    Shape("ticket", Ticket, "id", "text", "stars", "login", 1, 1001),
)
BY_NAME = {shape.name: shape for shape in SHAPES}


def of_nobody() -> list[Any]:
    return [Topic(id=1, name="Topic 1"), Topic(id=2, name="Topic 2"), Archive(id=1, text="old")]


def of_ada() -> list[Any]:
    return [
        Writer(id=ADA, text="writer of ADA", stars=1),
        Letter(id=1, text="first of ADA", stars=1, writer_id=ADA, topic_id=1),
        Letter(id=2, text="second of ADA", stars=2, writer_id=ADA, topic_id=None),
        Vehicle(id=1, text="vehicle of ADA", stars=1, writer_id=ADA),
        Car(id=2, text="car of ADA", extra="extra of ADA", wheels=1, stars=1, writer_id=ADA),
        Seat(writer_id=ADA, number=1, text="seat of ADA", stars=1),
        Seat(writer_id=ADA, number=2, text="other seat of ADA", stars=2),
        Ticket(id=1, login=str(ADA), text="ticket of ADA", stars=1),
        Shelf(id=1, name="shelf of ADA", writer_id=ADA, topic_id=1),
        Rack(id=1, name="rack of ADA", writer_id=ADA, topic_id=1),
    ]


def of_others() -> list[Any]:
    """Bob's, and a letter without an owner, which is not Ada's either. Topics have letters of all."""
    return [
        Writer(id=BOB, text="writer of BOB", stars=1),
        Letter(id=1001, text="first of BOB", stars=1, writer_id=BOB, topic_id=1),
        Letter(id=1002, text="second of BOB", stars=2, writer_id=BOB, topic_id=2),
        Letter(id=1003, text="of NOBODY", stars=2, writer_id=None, topic_id=1),
        Vehicle(id=1001, text="vehicle of BOB", stars=1, writer_id=BOB),
        Car(id=1002, text="car of BOB", extra="extra of BOB", wheels=1, stars=1, writer_id=BOB),
        Seat(writer_id=BOB, number=1, text="seat of BOB", stars=1),
        Seat(writer_id=BOB, number=1001, text="other seat of BOB", stars=2),
        Ticket(id=1001, login=str(BOB), text="ticket of BOB", stars=1),
        Shelf(id=1001, name="shelf of BOB", writer_id=BOB, topic_id=1),
        Rack(id=1001, name="rack of BOB", writer_id=BOB, topic_id=1),
    ]


# What only the rows of others hold. New rows get ids above these.
NOT_ADAS_NUMBERS = frozenset({BOB, 1001, 1002, 1003})
NOT_ADAS_TEXTS = ("BOB", "NOBODY")
