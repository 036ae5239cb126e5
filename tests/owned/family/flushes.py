"""What the unit of work writes, bulk statements of the ORM, and the older ways: ``Query`` and ``bulk_...``."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session, make_transient_to_detached

from tests.owned.family.pick import Form, Pick
from tests.owned.family.shapes import ADA, BOB, Archive, Letter, Topic, Writer

Act = Callable[[Session], Any]


def _found(session: Session, pick: Pick, mine: bool) -> Any:
    shape = pick.shape
    key = shape.mine if mine else shape.theirs
    column = getattr(shape.model, shape.key)
    statement = select(shape.model).where(column == key).order_by(column)
    if shape.name == "seat":
        statement = statement.where(shape.model.writer_id == (ADA if mine else BOB))
    return session.scalars(statement).one()


def _values(pick: Pick, **more: Any) -> dict[str, Any]:
    """Of a whole object, as the ORM names them."""
    values = pick.new(**more)
    values.pop("kind", None)
    if pick.shape.inherited:
        values |= {"text": "new", "id": values.pop("car_id", 500)}
    return values


def add(pick: Pick) -> Act:
    def act(session: Session) -> None:
        session.add(pick.shape.model(**_values(pick)))

    return act


def add_many(pick: Pick) -> Act:
    def act(session: Session) -> None:
        for number in range(3):
            session.add(
                pick.shape.model(**_values(pick) | {"id" if pick.shape.inherited else pick.shape.key: number + 500})
            )

    return act


def change(pick: Pick) -> Act:
    how = pick.choose(plain=None, expired="expire", detached="detach", pickled="pickle", nested="nested", late="late")

    def act(session: Session) -> None:
        row = _altered(session, _found(session, pick, mine=pick.gives == ADA), how)
        setattr(row, pick.shape.text, "changed")
        if how == "nested":
            with session.begin_nested():
                session.flush()

    return act


def change_own(pick: Pick) -> Act:
    def act(session: Session) -> None:
        row = _found(session, pick, mine=True)
        setattr(row, pick.shape.text, "changed")
        setattr(row, pick.shape.number, 3)

    return act


def _altered(session: Session, row: Any, how: str | None) -> Any:
    if how == "expire":
        session.expire(row)
    if how in ("detach", "pickle"):
        session.expunge(row)
        row = pickle.loads(pickle.dumps(row)) if how == "pickle" else row
        session.add(row)
    return row


def delete_row(pick: Pick) -> Act:
    mine = pick.gives == ADA

    def act(session: Session) -> None:
        session.delete(_found(session, pick, mine))

    return act


def delete_own(pick: Pick) -> Act:
    def act(session: Session) -> None:
        session.delete(_found(session, pick, mine=True))

    return act


def give_away(pick: Pick) -> Act:
    person = pick.choose(bob=BOB, nobody=None, unknown=9)

    def act(session: Session) -> None:
        setattr(_found(session, pick, mine=True), pick.shape.owner, pick.shape.whose(person))

    return act


def take(pick: Pick) -> Act:
    def act(session: Session) -> None:
        setattr(_found(session, pick, mine=False), pick.shape.owner, pick.shape.whose(ADA))

    return act


def rename_key(pick: Pick) -> Act:
    """Takes the primary key that a row of Bob's has, or gives one of Bob's another."""
    mine = pick.choose(mine=True, theirs=False)
    key = "id" if pick.shape.inherited else pick.shape.key

    def act(session: Session) -> None:
        setattr(_found(session, pick, mine), key, 1003 if mine else 999)

    return act


def merge(pick: Pick) -> Act:
    key = pick.choose(mine=pick.shape.mine, theirs=pick.shape.theirs, new=640)
    load = pick.choose(loaded=True, unloaded=False)

    def act(session: Session) -> None:
        values = _values(pick, **{} if pick.shape.inherited else {pick.shape.key: key})
        values |= {"id": key} if pick.shape.inherited else {}
        made = pick.shape.model(**values)
        if not load:
            make_transient_to_detached(made)
        row = session.merge(made, load=load)
        setattr(row, pick.shape.text, "changed")

    return act


def detached(pick: Pick) -> Act:
    """An object that claims to be stored as Ada's, which is not true."""
    shape = pick.shape

    def act(session: Session) -> None:
        values = {"id" if shape.inherited else shape.key: shape.theirs, shape.owner: shape.whose(ADA)}
        if shape.inherited:
            values["car_id"] = shape.theirs
        if shape.name == "writer":
            values = {"id": BOB}
        made = shape.model(**values)
        make_transient_to_detached(made)
        session.add(made)
        pick_delete = pick.gives == ADA
        session.delete(made) if pick_delete else setattr(made, shape.text, "changed")

    return act


def by_relationship(pick: Pick) -> Act:
    how = pick.choose(append="append", replace="replace", owner="owner", remove="remove", cascade="cascade")

    def act(session: Session) -> None:
        ada, bob = session.get_one(Writer, ADA), session.get_one(Writer, BOB)
        own, theirs = session.get_one(Letter, 1), session.get_one(Letter, 1001)
        if how == "append":
            bob.letters.append(own)
        elif how == "replace":
            ada.letters = [own, theirs]
        elif how == "owner":
            own.writer = bob
        elif how == "remove":
            bob.letters.remove(theirs)
        else:
            bob.letters.append(Letter(id=640, text="new"))

    return act


def of_nobodys_relationship(pick: Pick) -> Act:
    """A topic's letters are others' too: taking them away changes their rows."""

    def act(session: Session) -> None:
        topic = session.get_one(Topic, 1)
        session.delete(topic) if pick.gives == ADA else topic.letters.clear()

    return act


def nobodys(pick: Pick) -> Act:
    how = pick.choose(add="add", change="change", delete="delete")

    def act(session: Session) -> None:
        if how == "add":
            session.add_all([Archive(id=50, text="new"), Topic(id=9, name="new")])
        elif how == "change":
            session.get_one(Archive, 1).text = "changed"
            session.get_one(Topic, 1).name = "changed"
        else:
            session.delete(session.get_one(Archive, 1))

    return act


def savepoint(pick: Pick) -> Act:
    def act(session: Session) -> None:
        with session.begin_nested():
            _found(session, pick, mine=True).stars = 4
        with session.begin_nested() as nested:
            session.add(Archive(id=50, text="new"))
            session.flush()
            nested.rollback()

    return act


def create_all(pick: Pick) -> Act:
    return lambda session: Topic.metadata.create_all(session.connection())


def read_anything(pick: Pick) -> Act:
    how = pick.choose(orm="orm", core="core", sql="sql", get="get", query="query", count="count")
    model, table = pick.shape.model, pick.shape.table

    def act(session: Session) -> None:
        if how == "orm":
            assert len(session.scalars(select(model)).all()) > 1
        elif how == "core":
            assert len(session.connection().execute(select(table)).all()) > 1
        elif how == "sql":
            assert len(session.execute(text(f"SELECT * FROM {table.name}")).all()) > 1
        elif how == "count":
            driver = session.connection().exec_driver_sql(
                f"SELECT count(*) FROM {table.name} AS m WHERE 1 = 1 OR 1 = 1"
            )
            assert driver.scalar_one() > 1
        elif how == "get":
            _found(session, pick, mine=False)
        else:
            assert session.query(model).count() > 1

    return act


def bulk_update(pick: Pick) -> Act:
    """By primary keys, as lists of values."""
    keys = {"mine": [pick.shape.mine], "theirs": [pick.shape.theirs], "both": [pick.shape.mine, pick.shape.theirs]}
    rows = [_by_key(pick, key) for key in pick.choose(**keys)]
    how = pick.choose(execute=0, mappings=1, table=2)

    def act(session: Session) -> None:
        if how == 0:
            session.execute(update(pick.shape.model), rows)
        elif how == 1:
            session.bulk_update_mappings(pick.shape.model, rows)
        else:
            session.connection().execute(update(pick.shape.table), [{pick.shape.text: "changed"}])

    return act


def _by_key(pick: Pick, key: int) -> dict[str, Any]:
    row = {pick.shape.text: "changed", "id" if pick.shape.inherited else pick.shape.key: key}
    row |= {"car_id": key} if pick.shape.inherited else {}
    if pick.shape.name == "seat":
        row["writer_id"] = ADA if key == 1 else BOB
    return row


def bulk_insert(pick: Pick) -> Act:
    how = pick.choose(execute=0, mappings=1, objects=2, returning=3, all=4)
    rows = [_values(pick) | {"id" if pick.shape.inherited else pick.shape.key: key} for key in (510, 511)]
    model = pick.shape.model

    def act(session: Session) -> Any:
        if how == 0:
            return session.execute(insert(model), rows)
        if how == 1:
            return session.bulk_insert_mappings(model, rows)
        if how == 2:
            return session.bulk_save_objects([model(**row) for row in rows])
        if how == 3:
            return session.scalars(insert(model).returning(model), rows).all() and None
        return session.add_all([model(**row) for row in rows])

    return act


def save_theirs(pick: Pick) -> Act:
    def act(session: Session) -> None:
        row = _found(session, pick, mine=False)
        setattr(row, pick.shape.text, "changed")
        session.expunge(row)
        session.bulk_save_objects([row])

    return act


def by_query(pick: Pick) -> Act:
    sync: Any = pick.choose(none=False, fetch="fetch", evaluate="evaluate")
    how = pick.choose(update="update", delete="delete", joined="joined")

    def act(session: Session) -> Any:
        query = session.query(pick.shape.model)
        if pick.criterion is not None:
            query = query.filter(pick.criterion(pick.target))
        if how == "delete":
            return query.delete(synchronize_session=sync) and None
        if how == "joined":
            query = query.filter(getattr(pick.shape.model, pick.shape.number) == Topic.id)
        return query.update({pick.shape.text: "changed"}, synchronize_session=sync) and None

    return act


def executemany(pick: Pick) -> Act:
    """SQL as text, for several sets of parameters."""
    shape, name = pick.shape, pick.shape.table.name
    sql = f"UPDATE {name} SET {shape.text} = :x WHERE {shape.key} = :k"
    rows = [{"x": "changed", "k": shape.mine}, {"x": "changed", "k": shape.theirs}]
    return lambda session: session.execute(text(sql), rows) and None


FLUSHES = (
    Form("flush: add", add),
    Form("flush: add many", add_many),
    Form("flush: change", change),
    Form("flush: change own", change_own, promised=True),
    Form("flush: delete", delete_row),
    Form("flush: delete own", delete_own, promised=True),
    Form("flush: give away", give_away),
    Form("flush: take", take),
    Form("flush: new key", rename_key),
    Form("flush: merge", merge),
    Form("flush: detached", detached),
    Form("flush: by relationship", by_relationship),
    Form("flush: of nobody's relationship", of_nobodys_relationship),
    Form("flush: nobody's", nobodys, promised=True),
    Form("savepoint", savepoint, promised=True),
    Form("create_all", create_all, promised=True),
    Form("read anything", read_anything, promised=True),
    Form("bulk update", bulk_update),
    Form("bulk insert", bulk_insert),
    Form("bulk save", save_theirs),
    Form("Query", by_query),
    Form("executemany", executemany),
)
