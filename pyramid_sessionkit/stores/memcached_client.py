"""A client for one memcached server: the few commands that sessions need, one at a time on one kept connection.

It is strict, since the protocol does not number its answers, and what came for one command must never be taken for the
answer to another. An answer has to be one of those that memcached has for the command, for the very key that was asked
for, with nothing after it, and nothing may arrive between two commands. Whatever else happens, an interruption too,
closes the connection, and the next command opens a new one.

Each command raises

- :exc:`OSError` where the server cannot be reached: :exc:`ConnectionError` if it closed the connection,
  :exc:`TimeoutError` if its answer takes too long;
- :exc:`ServerError` for what the server cannot do at the moment, and :exc:`TooLarge` for a value that it never takes;
- :exc:`ProtocolError` for anything else. It does not quote the answer, which may be somebody's session.
"""

from __future__ import annotations

import re

from pymemcache.client.base import normalize_server_spec

from pyramid_sessionkit.stores.kept_socket import PIECE, KeptSocket

LARGE_PIECE = 262_144
LONGEST_LINE = 2048
LARGEST_VALUE = 1 << 30
"""memcached can be started with items of up to 1 GB."""

STORED = {b"STORED\r\n": True, b"NOT_STORED\r\n": False}
EXCHANGED = {b"STORED\r\n": True, b"EXISTS\r\n": False, b"NOT_FOUND\r\n": False}
DELETED = {b"DELETED\r\n": True, b"NOT_FOUND\r\n": False}
TOUCHED = {b"TOUCHED\r\n": True, b"NOT_FOUND\r\n": False}
NOTHING = b"END\r\n"
AFTER_VALUE = b"\r\nEND\r\n"

KEY = re.compile(r"[!-~]{1,250}")
FOUND = re.compile(
    rb"VALUE ([!-~]{1,250}) (?:0|[1-9][0-9]{0,9}) (0|[1-9][0-9]{0,9}) (0|[1-9][0-9]{0,19})\r\n"  # flags, length, token
)
VERSION = re.compile(rb"VERSION ([!-~]{1,200})\r\n")
REFUSED = re.compile(rb"(ERROR|CLIENT_ERROR|SERVER_ERROR)(?: ([ -~]{1,1000}))?\r\n")
TOO_LARGE = "object too large for cache"


class ProtocolError(Exception):
    """An answer that memcached does not give to that command, or a command that it does not take."""


class ServerError(Exception):
    """The server could not do it, and says why."""


class TooLarge(ServerError):
    """The value is larger than the server takes."""


class Client:
    """Talks to the server at ``host:port``, ``host``, ``[IPv6]:port`` or ``unix:/path``; for one thread.

    ``timeout``: the seconds that connecting, and each answer, may take.
    """

    def __init__(self, server: str, timeout: float) -> None:
        self._socket = KeptSocket(normalize_server_spec(server), timeout)

    @property
    def is_open(self) -> bool:
        return self._socket.socket is not None

    def close(self) -> None:
        self._socket.close()

    # All of a command is in one "try": wherever it is interrupted, its answer may still be on the way.

    def get(self, name: str) -> bytes | None:
        return self.gets(name)[0]

    def gets(self, name: str) -> tuple[bytes | None, bytes | None]:
        """The value, and its token for :meth:`cas`; None and None if there is nothing."""
        key = _key(name)
        try:
            answer = self._socket.ask(b"gets %b\r\n" % key)
            if answer == NOTHING:
                return None, None
            found = FOUND.match(answer)
            if found is None:
                answer = self._first_line(answer)
                if answer == NOTHING:
                    return None, None
                found = FOUND.match(answer)
                if found is None:
                    raise _refusal(answer)
            shown, length, token = found.groups()
            start = found.end()
            end = start + int(length)
            if shown != key or end - start > LARGEST_VALUE:
                raise _not_memcached()
            if len(answer) != end + len(AFTER_VALUE):
                answer = self._at_least(answer, end + len(AFTER_VALUE))
            if answer[end:] != AFTER_VALUE:
                raise _not_memcached()
        except BaseException:
            self._socket.close()
            raise
        return answer[start:end], token

    def add(self, name: str, value: bytes, expire: int) -> bool:
        """Store it where nothing is; False if something is."""
        return self._ask(b"add %b 0 %d %d\r\n%b\r\n" % (_key(name), expire, len(value), value), STORED)

    def set(self, name: str, value: bytes, expire: int) -> bool:
        return self._ask(b"set %b 0 %d %d\r\n%b\r\n" % (_key(name), expire, len(value), value), STORED)

    def cas(self, name: str, value: bytes, token: bytes, expire: int) -> bool:
        """Store it in the place of what has this token; False if that is not there any more."""
        command = _key(name), expire, len(value), int(token), value
        return self._ask(b"cas %b 0 %d %d %d\r\n%b\r\n" % command, EXCHANGED)

    def delete(self, name: str) -> bool:
        """False if there was nothing."""
        return self._ask(b"delete %b\r\n" % _key(name), DELETED)

    def touch(self, name: str, expire: int) -> bool:
        """Give it another expiry; False if there is nothing."""
        return self._ask(b"touch %b %d\r\n" % (_key(name), expire), TOUCHED)

    def version(self) -> str:
        try:
            line = self._first_line(self._socket.ask(b"version\r\n"))
            found = VERSION.fullmatch(line)
            if found is None:
                raise _refusal(line)
        except BaseException:
            self._socket.close()
            raise
        return found[1].decode("ascii")

    def _ask(self, message: bytes, answers: dict[bytes, bool]) -> bool:
        """What the answer means, which is one line."""
        try:
            line = self._socket.ask(message)
            if line not in answers:
                line = self._first_line(line)
                if line not in answers:
                    raise _refusal(line)
        except BaseException:
            self._socket.close()
            raise
        return answers[line]

    def _first_line(self, answer: bytes) -> bytes:
        """The answer, with its first line complete, and what came after that."""
        while b"\r\n" not in answer:
            if len(answer) > LONGEST_LINE:
                raise _not_memcached()
            answer += self._socket.more(PIECE)
        self._socket.complete()
        return answer

    def _at_least(self, answer: bytes, length: int) -> bytes:
        """The answer with so many bytes at least; with more only if there are more than there should be."""
        pieces, missing = [answer], length - len(answer)
        while missing > 0:
            # One more than is missing: to see what should not be there.
            piece = self._socket.more(min(missing + 1, LARGE_PIECE))
            pieces.append(piece)
            missing -= len(piece)
        self._socket.complete()
        return b"".join(pieces)


def _key(name: str) -> bytes:
    if not KEY.fullmatch(name):
        raise ProtocolError("a key is up to 250 characters of printable ASCII without spaces")
    return name.encode("ascii")


def _refusal(answer: bytes) -> Exception:
    """The error that an answer reports; one of our own if it is something else."""
    found = REFUSED.fullmatch(answer)
    if found is None:
        return _not_memcached()
    kind, reason = (b"" if part is None else part for part in found.groups())
    text = reason.decode("ascii") or kind.decode("ascii")
    if kind != b"SERVER_ERROR":
        return ProtocolError(text)
    return TooLarge(text) if text == TOO_LARGE else ServerError(text)


def _not_memcached() -> ProtocolError:
    return ProtocolError("its answer is none that memcached gives to this command")
