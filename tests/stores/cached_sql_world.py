"""All that can happen when operations of the store ``cached_sql`` run at the same time.

An operation runs the store's own code, on a memcached and a database that are values here. It is stopped at each
command. Which command comes next depends on nothing but the answers that it got so far. So it can be run again from its
beginning with these answers, and every order of the commands of several operations can be visited. Orders that lead to
the same state are followed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import pytest

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.stores import copies, resting_nodes
from pyramid_sessionkit.stores.cached_sql import CachedSQLStore
from pyramid_sessionkit.stores.copies import Cache, versioned

KEY = "k" * 22
NODE = "node"
NOW = 1_800_000_000
MADE = Record(b'{"by":"start"}', "first", "", None, None, None, None, NOW, NOW, 1200, None, False)

Command = tuple[Any, ...]


class Pause(BaseException):
    """An operation has come to a command whose answer is not known yet."""


class Violation(AssertionError):
    """A promise was broken; says how."""


# What the operations do ----------------------------------------------------------------------------------------------


class Script:
    """One run of an operation from its beginning, with the answers to the commands that it got before."""

    def __init__(self, name: str, answers: tuple[Any, ...]) -> None:
        self.name = name
        self.next: Command | None = None
        self._answers = iter(answers)
        self._tokens = 0

    def do(self, *command: Any) -> Any:
        if self.next is not None:
            raise Pause
        try:
            answer = next(self._answers)
        except StopIteration:
            self.next = command
            raise Pause from None
        if isinstance(answer, type) and issubclass(answer, Exception):
            raise answer
        return answer

    def token(self, _: int = 16) -> str:
        """What takes the place of random tokens: each is used once, and the same in each run."""
        self._tokens += 1
        return f"{sum(self.name.encode()):08x}{self._tokens:024x}"


class Client:
    """Enough of a memcached client."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connected = False

    def gets(self, name: str) -> Any:
        return self._do("gets")

    def add(self, name: str, value: bytes, expire: int) -> Any:
        return self._do("add", value, expire)

    def set(self, name: str, value: bytes, expire: int) -> Any:
        return self._do("set", value, expire)

    def cas(self, name: str, value: bytes, token: bytes, expire: int) -> Any:
        return self._do("cas", value, token, expire)

    def _do(self, *command: Any) -> Any:
        try:
            answer = self._script.do("cache", *command)
        except OSError:
            self.connected = False
            raise
        self.connected = True
        return answer


class Nodes:
    """One node, with the rules of :class:`~pyramid_sessionkit.stores.memcached_nodes.Nodes` for what is tried again."""

    def __init__(self, script: Script) -> None:
        self._client = Client(script)

    def node_of(self, key: str) -> str:
        return NODE

    def call(self, key: str, command: Callable[[Any], Any], again: bool) -> Any:
        was_connected = self._client.connected
        try:
            return command(self._client)
        except ConnectionError as error:
            if not (again and was_connected):
                raise StoreUnavailable("gone") from error
        except OSError as error:
            raise StoreUnavailable("no answer") from error
        return self.call(key, command, False)


class SQL:
    """A database with one row."""

    find_keys = purge = count = live_sessions = create_table = has_table = None

    def __init__(self, script: Script) -> None:
        self._do = script.do

    def load(self, key: str, fresh: bool = False, at: float | None = None) -> Any:
        return self._do("row", "load")

    def create(self, key: str, record: Record) -> Any:
        return self._do("row", "create", record)

    def update(self, key: str, record: Record) -> Any:
        return self._do("row", "update", record)

    def delete(self, key: str, record: Record | None = None) -> Any:
        return self._do("row", "delete", record)


def load(store: CachedSQLStore, name: str) -> Any:
    return store.load(KEY)


def create(store: CachedSQLStore, name: str) -> Any:
    return store.create(KEY, MADE._replace(data=name.encode(), verifier=name))


def update(store: CachedSQLStore, name: str) -> Any:
    record = store.load(KEY, True)
    return record and store.update(KEY, record._replace(data=name.encode()))


def reverify(store: CachedSQLStore, name: str) -> Any:
    record = store.load(KEY, True)
    return record and store.update(KEY, record._replace(data=name.encode(), verifier=name))


def delete(store: CachedSQLStore, name: str) -> Any:
    return store.delete(KEY)


def delete_version(store: CachedSQLStore, name: str) -> Any:
    record = store.load(KEY, True)
    return record and store.delete(KEY, record)


class Restart:
    """memcached restarts, and counts from the beginning again."""


class Jump(NamedTuple):
    """Time passes in memcached."""

    seconds: int


EVENTS = (Restart(), Jump(11), Jump(3601))
OPERATIONS = (load, create, update, reverify, delete, delete_version)


# What the world is ---------------------------------------------------------------------------------------------------


class World(NamedTuple):
    item: tuple[bytes, int, int] | None = None
    """What memcached has: value, token, end."""
    tokens: int = 0
    now: int = 0
    server: int = 0
    """How often memcached was restarted."""
    history: tuple[Record | None, ...] = (None,)
    """All states of the row, the present one last."""
    floor: int = 0
    """A load that starts now must not see what came earlier in the history."""
    late: tuple[Command, ...] = ()
    """Commands that memcached got and has not carried out, though nobody waits for an answer any more."""
    late_row: tuple[Command, ...] = ()
    """The same for the database."""
    faults: int = 0
    """How many commands to memcached may still get no answer."""
    row_faults: int = 0
    """How many writes to the database may still get no answer."""

    @property
    def found(self) -> tuple[bytes, int] | None:
        return None if self.item is None or self.item[2] <= self.now else self.item[:2]

    def stored(self, value: bytes, expire: int) -> World:
        item = (value, self.tokens + 1, self.now + expire)
        return self._replace(item=item, tokens=self.tokens + 1)

    def committed(self, row: Record | None) -> World:
        return self._replace(history=(*self.history, row))


def cached(world: World, command: Command) -> tuple[World, Any]:
    """What memcached makes of a command."""
    found = world.found
    name, *args = command
    if name == "gets":
        return world, (None, None) if found is None else (found[0], b"%d" % found[1])
    if name == "add":
        return (world.stored(*args), True) if found is None else (world, False)
    if name == "set":
        return world.stored(*args), True
    value, token, expire = args
    if found is None or token != b"%d" % found[1]:
        return world, None if found is None else False
    return world.stored(value, expire), True


def in_database(world: World, command: Command) -> tuple[World, Any]:
    """What the database makes of a command."""
    row = world.history[-1]
    name, *args = command
    if name == "load":
        return world, row
    word = 100 + len(world.history)
    if name == "create":
        return (world, None) if row is not None else (world.committed(args[0].versioned(word)), args[0].versioned(word))
    if name == "update":
        if row is None or row.version != args[0].version:
            return world, None
        return world.committed(args[0].versioned(word)), args[0].versioned(word)
    if row is None or (args[0] is not None and row.version != args[0].version):
        return world, False
    return world.committed(None), True


# Every order ---------------------------------------------------------------------------------------------------------


class Running(NamedTuple):
    """How far an operation has come."""

    point: int = 0
    """A number for the answers that it got so far, 0 for none."""
    connection: int | None = None
    """The run of memcached that it is connected to."""
    floor: int = 0
    """That of the world when it started."""
    claim: int = 0
    """What it committed, or found committed, by its place in the history."""
    over: bool = False


State = tuple[World, tuple[Running, ...]]
Label = tuple[Any, ...]


class Explorer:
    """Visits all states that operations and events can reach, and checks each.

    ``at_commit``: what ends a session, or changes who can open it, must hold from its commit on, and not only when it
    has returned. That is promised unless memcached restarts, or is away, in the middle of it.
    """

    def __init__(self, things: Iterable[Any], at_commit: bool = False) -> None:
        self.things = tuple(things)
        self._names = [f"{getattr(thing, '__name__', '')}{number}" for number, thing in enumerate(self.things)]
        self._at_commit = at_commit
        self._answers: list[tuple[Any, ...]] = [()]
        self._points: dict[tuple[int, int, Any], int] = {}
        self._next: dict[tuple[int, int], Command] = {}
        self._copies: dict[bytes, Record | None] = {}

    def explore(self, world: World) -> int:
        """How many states there are."""
        first: State = (world, tuple(Running() for _ in self.things))
        came_from: dict[State, tuple[State, Label] | None] = {first: None}
        waiting = [first]
        while waiting:
            state = waiting.pop()
            for label, step in self._steps(state):
                try:
                    following = step()
                    self._check(following[0])
                except Violation as error:
                    raise Violation(f"{error}\n{_story(came_from, state, label)}") from None
                if following not in came_from:
                    came_from[following] = state, label
                    waiting.append(following)
        return len(came_from)

    def _steps(self, state: State) -> Iterable[tuple[Label, Callable[[], State]]]:
        world, running = state
        for number, (thing, one) in enumerate(zip(self.things, running, strict=True)):
            if one.over or (not one.point and self._has_a_twin_to_start_first(number, running)):
                continue
            if isinstance(thing, Restart):
                yield ("restart",), partial(self._event, state, number, _restarted(world))
                continue
            if isinstance(thing, Jump):
                later = world._replace(now=world.now + thing.seconds)
                yield (thing,), partial(self._event, state, number, later)
                continue
            command = self._command(number, one.point)
            yield (self._names[number], command), partial(self._step, state, number, command)
            if world.faults if command[0] == "cache" else world.row_faults and command != ("row", "load"):
                yield (self._names[number], command, "no answer"), partial(self._fault, state, number, command)
        for late in world.late:
            yield ("late", late), partial(self._late, state, late)
        for late in world.late_row:
            yield ("late", late), partial(self._late_row, state, late)

    def _has_a_twin_to_start_first(self, number: int, running: tuple[Running, ...]) -> bool:
        """Of equal operations one may as well start before the other: the other order is the same story."""
        earlier = zip(self.things[:number], running, strict=False)
        return any(thing is self.things[number] and not one.point and not one.over for thing, one in earlier)

    def _command(self, number: int, point: int) -> Command:
        """What the operation does next."""
        where = number, point
        if where not in self._next:
            self._next[where] = _run(self.things[number], self._names[number], self._answers[point])
        return self._next[where]

    def _step(self, state: State, number: int, command: Command) -> State:
        world, one = state[0], self._started(state, number)
        kind, *args = command
        if kind == "row":
            return self._answered(state, number, *self._wrote(number, world, one, tuple(args)))
        if one.connection not in (None, world.server):
            return self._answered(state, number, world, one._replace(connection=None), ConnectionResetError)
        world, answer = cached(world, tuple(args))
        return self._answered(state, number, world, one._replace(connection=world.server), answer)

    def _fault(self, state: State, number: int, command: Command) -> State:
        """The command is carried out later, or never, and its answer does not come."""
        world, one = state[0], self._started(state, number)
        kind, *args = command
        if kind == "row":
            world = world._replace(late_row=(*world.late_row, (number, *args)), row_faults=world.row_faults - 1)
            return self._answered(state, number, world, one, StoreUnavailable)
        world = world._replace(faults=world.faults - 1)
        if args[0] != "gets" and one.connection in (None, world.server):
            world = world._replace(late=(*world.late, tuple(args)))
        return self._answered(state, number, world, one._replace(connection=None), TimeoutError)

    def _started(self, state: State, number: int) -> Running:
        one = state[1][number]
        return one if one.point else one._replace(floor=state[0].floor)

    def _wrote(self, number: int, world: World, one: Running, command: Command) -> tuple[World, Running, Any]:
        before = len(world.history)
        world, answer = in_database(world, command)
        if len(world.history) > before or command == ("delete", None):
            one = one._replace(claim=len(world.history) - 1)
            if self._at_commit and self.things[number] in (reverify, delete, delete_version):
                world = world._replace(floor=one.claim)
        return world, one, answer

    def _answered(self, state: State, number: int, world: World, one: Running, answer: Any) -> State:
        way = number, one.point, answer
        if way not in self._points:
            self._points[way] = len(self._answers)
            self._answers.append((*self._answers[one.point], answer))
        one = one._replace(point=self._points[way])
        # It returns at once: whoever starts later may rely on it, and it may not rely on what comes later.
        kind, *args = self._command(number, one.point)
        if kind == "end":
            result, untold = args
            self._judge(self.things[number], one, world, result)
            if untold:
                return self._answered(state, number, world, one, None)
        if kind in ("end", "told"):
            world = world._replace(floor=max(world.floor, one.claim))
            one = Running(claim=one.claim, over=True)
        return _with(state, number, world, one)

    def _event(self, state: State, number: int, world: World) -> State:
        return _with(state, number, world, Running(over=True))

    def _late(self, state: State, late: Command) -> State:
        world = state[0]._replace(late=_without(state[0].late, late))
        return cached(world, late)[0], state[1]

    def _late_row(self, state: State, late: Command) -> State:
        number, *command = late
        world, one, _ = self._wrote(
            number, state[0]._replace(late_row=_without(state[0].late_row, late)), state[1][number], tuple(command)
        )
        if one.over:
            world = world._replace(floor=max(world.floor, one.claim))
        return _with(state, number, world, one)

    def _judge(self, thing: Any, one: Running, world: World, result: Any) -> None:
        if thing is load and result not in [row and versioned(row) for row in world.history[one.floor :]]:
            raise Violation(f"a load returned {result}, and not one of {world.history[one.floor :]}")

    def _check(self, world: World) -> None:
        """What a load would see that started here, and was answered by the cache."""
        found = world.found
        if found is None:
            return
        if found[0] not in self._copies:
            self._copies[found[0]] = copies._unpack_copy(found[0], 60)
        copy = self._copies[found[0]]
        if copy is not None and copy not in [row and versioned(row) for row in world.history[world.floor :]]:
            raise Violation(f"the cache has {copy}, and not one of {world.history[world.floor :]}")


def _with(state: State, number: int, world: World, one: Running) -> State:
    running = list(state[1])
    running[number] = one
    return world, tuple(running)


def _without(commands: tuple[Command, ...], one: Command) -> tuple[Command, ...]:
    where = commands.index(one)
    return commands[:where] + commands[where + 1 :]


def _restarted(world: World) -> World:
    return world._replace(item=None, tokens=0, server=world.server + 1, late=())


def _run(operation: Callable[..., Any], name: str, answers: tuple[Any, ...]) -> Command:
    script = Script(name, answers)
    store = CachedSQLStore(SQL(script), Cache(Nodes(script), "", 60))
    copies.token_hex = script.token
    try:
        try:
            result = operation(store, name)
        except StoreUnavailable:
            result = StoreUnavailable
        script.do("end", result, bool(_untold(store)))
        while not store.cache._resting.tell(NODE):
            pass
        script.do("told")
    except Pause:
        pass
    assert script.next
    return script.next


def _untold(store: CachedSQLStore) -> Any:
    away = store.cache._resting._away.get(NODE)
    return away and away.untold


def _story(came_from: dict[State, tuple[State, Label] | None], state: State, last: Label) -> str:
    """What happened, a line for each step."""
    labels = [last]
    while (step := came_from[state]) is not None:
        state, label = step
        labels.append(label)
    return "\n".join(" ".join(map(str, label)) for label in reversed(labels))


@pytest.fixture
def stopped_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the store's own code depends on when it runs."""
    monkeypatch.setattr(copies, "time", lambda: NOW)
    monkeypatch.setattr("pyramid_sessionkit.stores.cached_sql.time", lambda: NOW)
    monkeypatch.setattr(resting_nodes, "monotonic", lambda: 0.0)
    monkeypatch.setattr(copies, "token_hex", copies.token_hex)
    monkeypatch.setattr(resting_nodes.RestingNodes, "_start_telling", lambda *_: None)
    monkeypatch.setattr(resting_nodes.RestingNodes, "_log", lambda *_: None)


def copy_of(row: Record) -> bytes:
    return Cache(Nodes(Script("", ())), "", 60)._pack_copy(KEY, versioned(row))


ROW = MADE.versioned(100)


def starts() -> dict[str, World]:
    """What there may be before: nothing, a row, a row with a copy."""
    row = World(history=(ROW,))
    return {"nothing": World(), "row": row, "copy": row.stored(copy_of(ROW), 60)}
