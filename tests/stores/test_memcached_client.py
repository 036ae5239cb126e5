"""The client for memcached gives the answer that came for its command, or an error; never that to another command.

``SESSIONKIT_ANSWERS`` is the number of random wrong answers, each in several pieces.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pymemcache
import pytest

from pyramid_sessionkit.stores import kept_socket, memcached_client
from pyramid_sessionkit.stores.memcached_client import Client, ProtocolError, ServerError, TooLarge
from tests.servers.memcached import Memcached
from tests.servers.process import free_port

RANDOM_ANSWERS = int(os.environ.get("SESSIONKIT_ANSWERS", "3000"))

KEY = "sessionkit:" + "k" * 22
OTHER = "sessionkit:" + "o" * 22
MINE = b'["word"]\n{"userid":"ada"}'
OTHERS = b'["word"]\n{"userid":"eve"}'


def value_line(value: bytes, key: str = KEY, token: bytes = b"7", length: object = None) -> bytes:
    size = str(len(value) if length is None else length).encode()
    return b"VALUE %b 0 %b %b\r\n%b\r\n" % (key.encode(), size, token, value)


def found(value: bytes, **changes: Any) -> bytes:
    return value_line(value, **changes) + b"END\r\n"


COMMANDS: dict[str, Callable[[Client], Any]] = {
    "gets": lambda client: client.gets(KEY),
    "add": lambda client: client.add(KEY, MINE, 5),
    "set": lambda client: client.set(KEY, MINE, 5),
    "cas": lambda client: client.cas(KEY, MINE, b"7", 5),
    "delete": lambda client: client.delete(KEY),
    "touch": lambda client: client.touch(KEY, 5),
    "version": lambda client: client.version(),
}
LINES: dict[str, dict[bytes, Any]] = {
    "gets": {b"END\r\n": (None, None)},
    "add": {b"STORED\r\n": True, b"NOT_STORED\r\n": False},
    "set": {b"STORED\r\n": True, b"NOT_STORED\r\n": False},
    "cas": {b"STORED\r\n": True, b"EXISTS\r\n": False, b"NOT_FOUND\r\n": False},
    "delete": {b"DELETED\r\n": True, b"NOT_FOUND\r\n": False},
    "touch": {b"TOUCHED\r\n": True, b"NOT_FOUND\r\n": False},
    "version": {b"VERSION 1.6.18\r\n": "1.6.18"},
}
VALUES = (b"", MINE, b"\r\n", b"END\r\n", b"\r\nEND\r\n", found(OTHERS), bytes(range(256)))
ERRORS = (b"ERROR\r\n", b"CLIENT_ERROR bad data chunk\r\n", b"SERVER_ERROR out of memory storing object\r\n")
NUMBER = rb"(?:0|[1-9][0-9]*)"


def meaning(command: str, answer: bytes) -> tuple[Any] | None:
    """What the command should return for this answer; None if it should raise. Written apart from the client's way."""
    if answer in LINES[command]:
        return (LINES[command][answer],)
    if command == "version":
        version = re.fullmatch(rb"VERSION ([!-~]+)\r\n", answer)
        return version and (version[1].decode(),)
    head = re.match(rb"VALUE (\S+) (%b) (%b) (%b)\r\n" % (NUMBER, NUMBER, NUMBER), answer)
    if command != "gets" or not head or head[1] != KEY.encode() or len(head[2]) > 10 or len(head[4]) > 20:
        return None
    value = answer[head.end() :][: int(head[3])]
    return ((value, head[4]),) if answer == head[0] + value + b"\r\nEND\r\n" and len(value) == int(head[3]) else None


class Connection:
    """A socket whose server is a list: what it sends for each message, in pieces."""

    def __init__(self, answers: list[list[bytes]], then_closed: bool) -> None:
        self._answers = answers
        self._then_closed = then_closed
        self._pieces: list[bytes] = []
        self.timeout: float | None = None
        self.closed = False
        self.read = 0

    def sendall(self, message: bytes) -> None:
        assert not self.closed
        self._pieces += self._answers.pop(0) if self._answers else []

    def recv(self, most: int) -> bytes:
        assert not self.closed
        if not self._pieces:
            if self._then_closed:
                return b""
            raise BlockingIOError if self.timeout is None else TimeoutError
        piece, self._pieces[0] = self._pieces[0][:most], self._pieces[0][most:]
        if not self._pieces[0]:
            del self._pieces[0]
        self.read += len(piece)
        return piece

    def settimeout(self, timeout: float | None) -> None:
        self.timeout = timeout

    def close(self) -> None:
        self.closed = True

    def has_arrived(self) -> bool:
        return bool(self._pieces)


class Played:
    """A client whose first connection gives the answers of a test; each later one those of a memcached."""

    def __init__(self, *answers: list[bytes], then_closed: bool = False) -> None:
        self.connections = [Connection(list(answers), then_closed)]
        self.client = Client("127.0.0.1", 1)
        self.client._socket._connect = self._connect  # type: ignore[method-assign]

    def _connect(self) -> Any:
        kept = self.client._socket
        connection = self.connections[-1]
        if connection.closed:
            connection = Connection([[found(OTHERS, key=OTHER)]] * 2, False)
            self.connections.append(connection)
        kept.socket, kept._arrived = connection, connection.has_arrived  # type: ignore[assignment]
        return connection


def check(command: str, pieces: list[bytes], then_closed: bool = False) -> None:
    """A command whose answer comes in these pieces, and then another command."""
    played = Played(pieces, [found(OTHERS, key=OTHER)], then_closed=then_closed)
    client = played.client
    # What comes after a full answer was given may be seen only before the next command.
    expected = [meaning(command, b"".join(pieces[:number])) for number in range(len(pieces) + 1)]
    try:
        result = COMMANDS[command](client)
    except (ProtocolError, ServerError, OSError):
        assert expected[-1] is None, "a right answer was refused"
        assert played.connections[0].closed
        assert not client.is_open
    else:
        assert (result,) in expected, "a wrong answer was taken"
        assert played.connections[0].timeout is None, "the next answer has less time"
        if (result,) != expected[-1]:
            with pytest.raises(ConnectionError):
                client.gets(OTHER)
            assert played.connections[0].closed
    assert client.gets(OTHER) == (OTHERS, b"7")


def in_pieces(answer: bytes) -> Iterator[list[bytes]]:
    """At once, in two pieces cut at each place, and byte by byte."""
    yield [answer]
    yield from ([answer[:place], answer[place:]] for place in range(1, len(answer)))
    yield [answer[place : place + 1] for place in range(len(answer))]


def right_answers(command: str) -> list[bytes]:
    values = [found(value) for value in VALUES] if command == "gets" else []
    return [*LINES[command], *values]


ALL_ANSWERS = list(dict.fromkeys(chain(*map(right_answers, COMMANDS), ERRORS)))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_right_answer_may_come_in_any_pieces(command: str) -> None:
    for answer in right_answers(command):
        assert meaning(command, answer)
        for pieces in in_pieces(answer):
            check(command, pieces)
    if command == "gets":
        for size in (memcached_client.PIECE - 20, memcached_client.PIECE, 3 * memcached_client.LARGE_PIECE):
            check(command, [found(b"x" * size)])
            check(command, [found(b"x" * size) + b"END\r\n"])


@pytest.mark.parametrize("then_closed", [True, False], ids=["closed", "silent"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_answer_that_breaks_off_is_an_error(command: str, then_closed: bool) -> None:
    for answer in right_answers(command):
        for place in range(len(answer)):
            check(command, [answer[:place]] if place else [], then_closed)


WRONG_BYTES = (b"", b"\0", b"\n", b"\r", b"\r\n", b" ", b"-", b"+", b"_", b"0", b"1", b"9", b"E", b"\xb2", "٣".encode())


@pytest.mark.parametrize("command", COMMANDS)
def test_an_answer_with_a_wrong_byte_is_an_error(command: str) -> None:
    for answer in right_answers(command):
        for place in range(len(answer)):
            for wrong in (*WRONG_BYTES, answer[place : place + 1] * 2):
                check(command, [answer[:place] + wrong + answer[place + 1 :]])
                check(command, [answer[:place] + wrong + answer[place:]])


@pytest.mark.parametrize("command", COMMANDS)
def test_the_answer_to_another_command_is_an_error(command: str) -> None:
    for answer in ALL_ANSWERS:
        check(command, [answer])
        for after in ALL_ANSWERS:
            check(command, [answer + after])
            check(command, [answer, after])


HOSTILE = {
    "of another key": found(OTHERS, key=OTHER),
    "of no key": found(OTHERS, key=""),
    "of a longer key": found(OTHERS, key=KEY + "k"),
    "of a shorter key": found(OTHERS, key=KEY[:-1]),
    "of the key in capitals": found(OTHERS, key=KEY.upper()),
    "of two keys": found(OTHERS, key=f"{OTHER} {KEY}"),
    "two values": value_line(MINE) + found(OTHERS),
    "another value first": value_line(OTHERS, key=OTHER) + found(MINE),
    "no end": value_line(MINE),
    "an end before": b"END\r\n" + found(MINE),
    "shorter than it says": found(MINE, length=len(MINE) + 1),
    "longer than it says": found(MINE, length=len(MINE) - 1),
    "no length": found(MINE, length=""),
    "negative": found(MINE, length=-1),
    "a huge length": found(MINE, length=9_999_999_999),
    "a length beyond the largest item": found(MINE, length=(1 << 30) + 1),
    "a length of a thousand digits": found(MINE, length="9" * 1000),
    "a length with zeros before": found(MINE, length=f"0{len(MINE)}"),
    "a length in other digits": found(b"xxx", length="٣"),
    "a length with an underscore": found(b"x" * 10, length="1_0"),
    "no token": b"VALUE %b 0 1\r\nx\r\nEND\r\n" % KEY.encode(),
    "a token that is none": found(MINE, token=b"7x"),
    "a token that is negative": found(MINE, token=b"-7"),
    "a token of a thousand digits": found(MINE, token=b"7" * 1000),
    "lines that end alike": found(MINE).replace(b"\r\n", b"\n"),
    "in small letters": found(MINE).lower(),
    "binary": b"\x81\x00\x00\x00\x00\x00\x00\x00",
    "of a web server": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_an_error(answer: bytes) -> None:
    assert meaning("gets", answer) is None
    for command in COMMANDS:
        for pieces in in_pieces(answer):
            check(command, pieces)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_line_without_an_end_is_not_read_for_ever(command: str) -> None:
    for start in (b"", b"VALUE ", b"VALUE " + KEY.encode() + b" 0 ", b"STORED", b"SERVER_ERROR "):
        played = Played([start + b"1" * 1000, *[b"1" * 1000] * 1000])
        with pytest.raises(ProtocolError):
            COMMANDS[command](played.client)
        assert played.connections[0].closed
        assert played.connections[0].read < 20_000


def test_a_length_beyond_any_item_is_refused_before_it_is_read() -> None:
    played = Played([value_line(b"x" * 100, length=(1 << 30) + 1)])
    with pytest.raises(ProtocolError):
        played.client.gets(KEY)
    assert played.connections[0].closed


def test_random_wrong_answers() -> None:
    chance = random.Random(RANDOM_ANSWERS)
    for _ in range(RANDOM_ANSWERS):
        command = chance.choice(list(COMMANDS))
        answer = bytearray(chance.choice(right_answers(command)))
        for _ in range(chance.randrange(1, 4)):
            start = chance.randrange(len(answer) + 1)
            other = chance.choice(ALL_ANSWERS)
            cut = chance.randrange(len(other))
            piece = chance.choice((b"", chance.randbytes(1), other[cut : cut + chance.randrange(1, 12)], other))
            answer[start : start + chance.choice((0, 1, len(piece)))] = piece
        places = sorted(chance.choices(range(1, len(answer)), k=chance.randrange(3))) if len(answer) > 1 else []
        pieces = [bytes(answer[a:b]) for a, b in zip([0, *places], [*places, len(answer)], strict=True)]
        check(command, [piece for piece in pieces if piece], chance.random() < 0.5)


# What errors mean ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"SERVER_ERROR object too large for cache\r\n", TooLarge, "object too large for cache"),
        (b"SERVER_ERROR out of memory storing object\r\n", ServerError, "out of memory storing object"),
        (b"CLIENT_ERROR bad data chunk\r\n", ProtocolError, "bad data chunk"),
        (b"ERROR\r\n", ProtocolError, "ERROR"),
        (b"SERVER_ERROR " + b"x" * 2000 + b"\r\n", ProtocolError, "none that memcached gives"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_each_refusal_has_its_error(command: str, answer: bytes, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        COMMANDS[command](Played([answer]).client)
    assert type(raised.value) is error


def test_an_error_does_not_quote_a_session() -> None:
    for answer in (found(OTHERS, key=OTHER), OTHERS + b"\r\n", b"CLIENT_ERROR " + b"x" * 1001 + OTHERS):
        with pytest.raises((ProtocolError, TimeoutError)) as raised:
            Played([answer]).client.gets(KEY)
        assert "eve" not in str(raised.value)


@pytest.mark.parametrize("name", ["", "k" * 251, "a b", "a\r\nflush_all", "a\nb", "a\0", "ä", "a\x7f"])
def test_what_is_no_key_is_not_sent(name: str) -> None:
    played = Played([b"END\r\n"])
    for command in (Client.get, Client.gets, Client.delete):
        with pytest.raises(ProtocolError, match="a key is"):
            command(played.client, name)
    assert not played.client.is_open


@pytest.mark.parametrize("moment", ["sendall", "recv"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_interrupted_command_closes_the_connection(command: str, moment: str) -> None:
    class Interruption(BaseException):
        """As KeyboardInterrupt, GreenletExit, and the time-outs of gevent."""

    def interrupt(*_: object) -> None:
        raise Interruption

    played = Played([b"END\r\n"])
    setattr(played.connections[0], moment, interrupt)
    with pytest.raises(Interruption):
        COMMANDS[command](played.client)
    assert played.connections[0].closed
    assert played.client.gets(OTHER) == (OTHERS, b"7")


# Real sockets --------------------------------------------------------------------------------------------------------


class GreenSocket:
    """As those of gevent and eventlet: a socket in which there is one of the kernel's."""

    def __init__(self, *args: Any) -> None:
        self._socket = REAL_SOCKET(*args)

    def settimeout(self, timeout: float | None) -> None:
        assert timeout is not None, "it would wait for ever, as it does not know the time-out of the kernel"
        self._socket.settimeout(timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


REAL_SOCKET = socket.socket


@pytest.fixture(params=["kernel", "green"])
def sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whose time-outs there are."""
    if request.param == "green":
        replaced = type("socket", (), dict(vars(socket), socket=GreenSocket))
        monkeypatch.setattr(kept_socket, "socket", replaced)
    return str(request.param)


class Server:
    """Does with its first connection, once a message came, what the test wants."""

    def __init__(self, play: Callable[[socket.socket], object]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._play = play
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        connection, _ = self._listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            self._play(connection)

    def close(self) -> None:
        self._thread.join(10)
        self._listening.close()


def test_a_server_that_is_silent_is_an_error_in_time(sockets: str) -> None:
    over = threading.Event()
    server = Server(lambda connection: over.wait(10))
    client = Client(server.address, 0.1)
    with pytest.raises(TimeoutError, match="timed out"):
        client.gets(KEY)
    assert not client.is_open
    over.set()
    server.close()


def test_a_server_that_sends_a_byte_at_a_time_gets_no_longer(sockets: str) -> None:
    over = threading.Event()

    def trickle(connection: socket.socket) -> None:
        for byte in found(b"x" * 300):
            connection.sendall(bytes([byte]))
            over.wait(0.01)

    server = Server(trickle)
    client = Client(server.address, 0.3)
    with pytest.raises(TimeoutError, match="timed out"):
        client.gets(KEY)
    over.set()
    server.close()


def test_a_server_that_does_not_read_is_an_error_in_time(sockets: str) -> None:
    over = threading.Event()
    server = Server(lambda connection: over.wait(10))
    client = Client(server.address, 0.1)
    with pytest.raises(TimeoutError, match="timed out"):
        client.set(KEY, b"x" * 50_000_000, 0)
    assert not client.is_open
    over.set()
    server.close()


def test_a_server_that_reads_a_little_at_a_time_gets_no_longer(sockets: str) -> None:
    over = threading.Event()
    value = b"x" * 50_000_000

    def read_slowly(connection: socket.socket) -> None:
        left = len(value) - 4096  # that many came with the command
        while left > 0 and not over.wait(0.02):
            left -= len(connection.recv(1_000_000))
        connection.sendall(b"STORED\r\n")

    server = Server(read_slowly)
    client = Client(server.address, 0.3)
    with pytest.raises(TimeoutError, match="timed out"):
        client.set(KEY, value, 0)
    over.set()
    server.close()


def test_a_large_value_leaves_the_time_out_as_it_was() -> None:
    played = Played([b"STORED\r\n"])
    assert played.client.set(KEY, b"x" * 100_000, 0)
    assert played.connections[0].timeout is None


def test_what_comes_between_two_commands_is_no_answer(sockets: str) -> None:
    answered, sent, over = threading.Event(), threading.Event(), threading.Event()

    def send_twice(connection: socket.socket) -> None:
        connection.sendall(found(MINE))
        answered.wait(10)
        connection.sendall(found(OTHERS))
        sent.set()
        over.wait(10)

    server = Server(send_twice)
    client = Client(server.address, 5)
    assert client.gets(KEY) == (MINE, b"7")
    answered.set()
    assert sent.wait(10)
    with pytest.raises(ConnectionError):
        client.gets(KEY)
    assert not client.is_open
    over.set()
    server.close()


def test_nobody_is_there(sockets: str) -> None:
    client = Client(f"127.0.0.1:{free_port()}", 1)
    with pytest.raises(ConnectionRefusedError):
        client.gets(KEY)
    with pytest.raises(FileNotFoundError):
        Client(f"unix:{tempfile.gettempdir()}/there-is-no-such-socket", 1).gets(KEY)
    assert not client.is_open


@pytest.mark.servers
def test_each_address_of_a_name_is_tried(memcached: Memcached, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = free_port(), memcached.port
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kw: addresses)
    client = Client("cache", 1)
    assert client.version()
    client.close()


def test_an_address_that_hangs_leaves_time_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    class Hangs(socket.socket):
        def connect(self, address: Any) -> None:
            left = self.gettimeout()
            assert left
            given.append(left)
            time.sleep(left)
            raise TimeoutError("timed out")

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (1, 2, 3)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kw: addresses)
    monkeypatch.setattr(socket, "socket", Hangs)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        Client("cache", 0.6).gets(KEY)
    assert min(given) > 0.15
    assert time.monotonic() - begun < 0.9


# Beside pymemcache ---------------------------------------------------------------------------------------------------

ORDINARY = (b"", b"x", b"\0", b"\r\n", b"END\r\n", b"\r\nEND\r\n", found(OTHERS), bytes(range(256)) * 5)
SIZES = (8000, 8192, 16_384, 65_536, 262_144, 1_000_000)


@pytest.mark.servers
@pytest.mark.parametrize("value", [*ORDINARY, *(random.Random(size).randbytes(size) for size in SIZES)], ids=len)
def test_it_answers_as_pymemcache(memcached: Memcached, sockets: str, value: bytes) -> None:
    memcached.flush()
    ours = Client(memcached.address, 5)
    theirs = pymemcache.Client(memcached.address, default_noreply=False, timeout=5)
    assert ours.version().encode() == theirs.version()
    assert ours.gets(KEY) == theirs.gets(KEY) == (None, None)
    assert ours.cas(KEY, value, b"1", 60) is False
    assert [ours.touch(KEY, 60), ours.delete(KEY)] == [theirs.touch(KEY, 60), theirs.delete(KEY)] == [False, False]
    assert ours.add(KEY, value, 60) is True
    assert ours.add(KEY, MINE, 60) is theirs.add(KEY, MINE, 60) is False
    assert ours.get(KEY) == theirs.get(KEY) == value
    assert ours.gets(KEY) == theirs.gets(KEY)
    token = ours.gets(KEY)[1]
    assert token
    assert theirs.cas(KEY, value + b"2", token, 60) is True
    assert ours.cas(KEY, value, token, 60) is theirs.cas(KEY, value, token, 60) is False
    token = ours.gets(KEY)[1]
    assert token
    assert ours.cas(KEY, value, token, 60) is True
    assert theirs.get(KEY) == value
    assert ours.set(KEY, value + b"3", 0) is True
    assert theirs.get(KEY) == value + b"3"
    assert ours.touch(KEY, -1) is True
    assert ours.get(KEY) is theirs.get(KEY) is None
    theirs.set(KEY, value, flags=2**32 - 1)
    assert ours.get(KEY) == value
    assert ours.delete(KEY) is True
    assert ours.gets(KEY) == (None, None)
    with pytest.raises(TooLarge):
        ours.set(KEY, b"x" * 2_000_000, 0)
    assert ours.gets(KEY) == (None, None)
    ours.close()
    theirs.close()
