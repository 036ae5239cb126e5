"""Models of every kind that can be owned; their tables have names that no other test uses."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from pyramid_sessionkit.owned import owned_by


class Base(DeclarativeBase):
    pass


note_tags = Table(
    "note_tags",
    Base.metadata,
    Column("note_id", ForeignKey("notes.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Tag(Base):
    """Nobody's."""

    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    notes: Mapped[list[Note]] = relationship(secondary=note_tags, back_populates="tags")


@owned_by("id")
class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    notes: Mapped[list[Note]] = relationship(back_populates="person", foreign_keys="Note.person_id")
    folders: Mapped[list[Folder]] = relationship(back_populates="person", cascade="all, delete-orphan")


@owned_by("owner")
class Folder(Base):
    """The attribute with the owner has another name than its column."""

    __tablename__ = "folders"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    owner: Mapped[int] = mapped_column("person_id", ForeignKey("people.id"))
    cover_id: Mapped[int | None] = mapped_column(ForeignKey("notes.id", use_alter=True, name="folders_cover"))
    person: Mapped[Person] = relationship(back_populates="folders")
    notes: Mapped[list[Note]] = relationship(
        back_populates="folder", foreign_keys="Note.folder_id", cascade="all, delete-orphan"
    )
    cover: Mapped[Note | None] = relationship(foreign_keys=cover_id, post_update=True)
    people: Mapped[list[Person]] = relationship(
        secondary="notes",
        primaryjoin="Folder.id == Note.folder_id",
        secondaryjoin="Note.person_id == Person.id",
        viewonly=True,
    )


@owned_by("person_id")
class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    stars: Mapped[int] = mapped_column(default=0)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    folder_id: Mapped[int | None] = mapped_column(ForeignKey("folders.id"))
    person: Mapped[Person | None] = relationship(back_populates="notes", foreign_keys=person_id)
    folder: Mapped[Folder | None] = relationship(back_populates="notes", foreign_keys=folder_id)
    tags: Mapped[list[Tag]] = relationship(secondary=note_tags, back_populates="notes")


@owned_by("person_id")
class Line(Base):
    """A composite primary key, of which the owner is a part."""

    __tablename__ = "lines"
    person_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@owned_by("login")
class Token(Base):
    __tablename__ = "tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(String(50))
    text: Mapped[str]


@owned_by("person_uuid")
class Badge(Base):
    __tablename__ = "badges"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_uuid: Mapped[UUID] = mapped_column(Uuid)
    text: Mapped[str]


@owned_by("person_id")
class Thing(Base):
    """With a subclass in the same table, and one in another."""

    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    text: Mapped[str]
    person_id: Mapped[int]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "thing"}


class Sheet(Thing):
    __mapper_args__ = {"polymorphic_identity": "sheet"}


class Book(Thing):
    __tablename__ = "books"
    book_id: Mapped[int] = mapped_column(ForeignKey("things.id"), primary_key=True)
    pages: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "book"}


@owned_by("person_id")
class Draft(Base):
    __tablename__ = "drafts"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    person_id: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}


class Product(Base):
    """Nobody's."""

    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


ADA, BOB = 7, 8
UUIDS = {ADA: UUID("7" * 32), BOB: UUID("8" * 32)}
OWNED = (Person, Folder, Note, Line, Token, Badge, Thing, Draft)


def rows() -> list[object]:
    """Ada's and Bob's, the same of each; Bob's have the higher ids."""
    found: list[object] = [Product(id=1, name="apple"), Tag(id=1, name="red")]
    for person, n in ((ADA, 0), (BOB, 10)):
        found += [
            Person(id=person, name=f"person {person}"),
            Folder(id=n + 1, name=f"folder of {person}", owner=person),
            Note(id=n + 1, text=f"one of {person}", person_id=person, folder_id=n + 1),
            Note(id=n + 2, text=f"two of {person}", person_id=person),
            Line(person_id=person, number=1, text=f"line of {person}"),
            Token(id=n + 1, login=str(person), text=f"token of {person}"),
            Badge(id=n + 1, person_uuid=UUIDS[person], text=f"badge of {person}"),
            Thing(id=n + 1, person_id=person, text=f"thing of {person}"),
            Sheet(id=n + 2, person_id=person, text=f"sheet of {person}"),
            Book(id=n + 3, book_id=n + 3, person_id=person, text=f"book of {person}", pages=1),
            Draft(id=n + 1, person_id=person, text=f"draft of {person}"),
        ]
    return found
