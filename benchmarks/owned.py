"""What a guard adds to the statements of a session, beside the same statements without one, in one run."""

from __future__ import annotations

import argparse
import gc
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, String, create_engine, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

Job = Callable[[], object]


def measure(jobs: dict[str, Job], rounds: int, count: int) -> dict[str, float]:
    """Seconds for one call, in turns, so that a slow moment of the machine is shared."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(rounds):
        for name, job in jobs.items():
            gc.collect()
            start = time.perf_counter()
            for _ in range(count):
                job()
            times[name].append((time.perf_counter() - start) / count)
    return {name: min(each) for name, each in times.items()}


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "bench_notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    text: Mapped[str] = mapped_column(String(50))


class Request:
    authenticated_userid = "7"


def database() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Note(id=number, user_id=7, text="a") for number in range(1, 101))
        session.commit()
    return engine


def statements(session: Session, limited: Callable[[Any], Any]) -> dict[str, Job]:
    """What views do; ``limited`` is ``owned`` where there is a guard, and adds the user's id where there is none."""
    note = session.get_one(Note, 1)
    texts = iter(range(10**9))

    def flush() -> None:
        note.text = f"text {next(texts)}"
        session.flush()

    return {
        "select columns": lambda: session.execute(select(Note.id).where(Note.id == 1)).all(),
        "text": lambda: session.execute(text("SELECT id FROM bench_notes WHERE id = 1")).all(),
        "owned select": lambda: session.execute(limited(select(Note.id).where(Note.id == 1))).all(),
        "owned objects": lambda: session.scalars(limited(select(Note).where(Note.id < 50))).all(),
        "owned update": lambda: session.execute(
            limited(update(Note).where(Note.id == 1).values(text="b")).execution_options(synchronize_session=False)
        ),
        "flush of one": flush,
    }


def by_hand(statement: Any) -> Any:
    return statement.where(Note.user_id == 7)


def seen_before(engine: Engine, rounds: int, count: int) -> dict[str, float]:
    with Session(engine) as session:
        return {name: measure({name: job}, rounds, count)[name] for name, job in statements(session, by_hand).items()}


def compare(plain: Engine, guarded: Engine, rounds: int, count: int) -> None:
    """Statements that were seen before: what the guard adds, and what ``owned`` adds to a WHERE by hand."""
    from pyramid_sessionkit.owned import guard, owned

    request = Request()
    with Session(plain) as reference, guard(Session(guarded), request) as session:
        hand = statements(reference, by_hand)
        free = statements(reference, lambda statement: owned(request, statement))
        ours = statements(session, lambda statement: owned(request, statement))
        for name in ours:
            found = measure({"hand": hand[name], "free": free[name], "ours": ours[name]}, rounds, count)
            report(f"guard: {name}", found["free"], found["ours"])
            if name.startswith("owned"):
                report(f"owned(): {name}", found["hand"], found["free"])


def report(name: str, before: float, after: float) -> None:
    print(f"{name:<28} {before * 1e6:8.1f} us   +{(after - before) * 1e6:7.1f} us   ratio {after / before:5.2f}")


def first_sight(guarded: Engine, plain: Engine, rounds: int) -> None:
    from pyramid_sessionkit.owned import guard, owned

    request, numbers = Request(), iter(range(10**9))

    def unseen(limited: Callable[[Any], Any]) -> dict[str, Callable[[], Any]]:
        return {
            "first: select": lambda: limited(select(Note.id.label(f"c{next(numbers)}")).where(Note.id == 1)),
            "first: update": lambda: limited(update(Note).where(Note.text == str(next(numbers)), Note.id == 1)).values(
                {Note.text: Note.text + text(f"'{next(numbers)}'")}
            ),
        }

    with Session(plain) as reference, guard(Session(guarded), request) as session:
        theirs, ours = unseen(by_hand), unseen(lambda statement: owned(request, statement))
        options = {"synchronize_session": False}
        for name in ours:
            found = measure(
                {
                    "theirs": lambda: reference.execute(theirs[name](), execution_options=options),  # noqa: B023
                    "ours": lambda: session.execute(ours[name](), execution_options=options),  # noqa: B023
                },
                rounds,
                100,
            )
            report(name, found["theirs"], found["ours"])


def many_rows(guarded: Engine, plain: Engine, rounds: int, size: int) -> None:
    from pyramid_sessionkit.owned import guard

    request = Request()

    def add(session: Session) -> None:
        session.add_all(Note(user_id=7, text="x") for _ in range(size))
        session.flush()
        session.rollback()

    with Session(plain) as reference, guard(Session(guarded), request) as session:
        found = measure({"theirs": lambda: add(reference), "ours": lambda: add(session)}, rounds, 1)
        report(f"flush of {size} new", found["theirs"], found["ours"])


def memory(guarded: Engine, count: int) -> None:
    from pyramid_sessionkit.owned import guard, owned

    def request(number: int) -> None:
        visitor = Request()
        visitor.authenticated_userid = str(number)  # type: ignore[misc]
        with guard(Session(guarded), visitor) as session:
            session.execute(owned(visitor, select(Note.id).where(Note.id == number))).all()
            session.execute(text(f"SELECT {number} FROM bench_notes LIMIT 1"))
            session.scalars(owned(visitor, select(Note).where(Note.id == 1))).all()

    tracemalloc.start()
    for number in range(3000):  # fills the caches
        request(number)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(3000, 3000 + count):
        request(number)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    print(f"memory: {(after - before) / 1024:+.0f} KiB after {count} requests of as many users and statements")


def without_guard(rounds: int, count: int) -> dict[str, float]:
    return seen_before(database(), rounds, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--count", type=int, default=1000, help="statements in a round")
    parser.add_argument("--requests", type=int, default=2000, help="for the memory")
    options = parser.parse_args()
    before = without_guard(options.rounds, options.count)

    from pyramid_sessionkit.owned import owned_by

    after = without_guard(options.rounds, options.count)
    for name in before:
        report(f"no guard: {name}", before[name], after[name])
    owned_by("user_id")(Note)
    guarded, plain = database(), database()
    compare(plain, guarded, options.rounds, options.count)
    first_sight(guarded, plain, options.rounds)
    many_rows(guarded, plain, max(3, options.rounds // 3), 20_000)
    memory(guarded, options.requests)


if __name__ == "__main__":
    main()
