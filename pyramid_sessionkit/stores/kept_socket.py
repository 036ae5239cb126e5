"""A connection to a server that answers each message before the next is sent; it opens itself when one is sent.

Nobody waits for longer than the time-out: neither for a connection, nor for an answer as a whole, however it is cut
into pieces.

Where the kernel can end a ``recv`` that takes too long, the socket blocks: Python's own time-outs ask the kernel before
each ``recv`` whether something has arrived, which costs a third of a round trip on one machine. (Signals that come
faster than the time-out, as those of some profilers, start the kernel's anew.) Where gevent or eventlet has replaced
the sockets, a wait in the kernel would stop all greenlets, and their own time-outs are used.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
from _socket import socket as KernelSocket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import ceil
from time import monotonic
from typing import Any

PIECE = 8192
"""Bytes that are asked for at first: a usual session with its line."""
FITS_A_BUFFER = 16_384
"""Bytes that the kernel takes at once while nothing else is on its way."""
LEAST = 0.001
"""Seconds. A time-out of 0 has another meaning."""


class KeptSocket:
    """A connection to ``address``, a path or a host and a port. After any exception it has to be closed."""

    def __init__(self, address: str | tuple[str, int], timeout: float) -> None:
        self.socket: socket.socket | None = None
        self._address = address
        self._timeout = timeout
        self._deadline = 0.0
        self._python_timeout: float | None = None
        """The time-out of the socket for Python; None where the kernel has it."""
        self._arrived: Callable[[], object]

    def ask(self, message: bytes) -> bytes:
        """Send a message; the first piece of its answer."""
        connected = self.socket
        if connected is None:
            connected = self._connect()
        elif self._arrived():
            raise ConnectionResetError("it closed the connection, or sent what nobody asked for")
        self._deadline = monotonic() + self._timeout
        try:
            if len(message) > FITS_A_BUFFER:
                # With its own time-out, sendall() counts the time of all pieces together.
                connected.settimeout(self._timeout)
                connected.sendall(message)
                connected.settimeout(self._python_timeout)
            else:
                connected.sendall(message)
            piece = connected.recv(PIECE)
        except BlockingIOError:
            # The kernel's time-out.
            raise TimeoutError("timed out") from None
        if not piece:
            raise ConnectionResetError("it closed the connection")
        return piece

    def more(self, most: int) -> bytes:
        """The next piece of an answer that did not come in one. :meth:`complete` has to follow the last."""
        left = self._deadline - monotonic()
        if self.socket is None or left <= 0:
            raise TimeoutError("timed out")
        self.socket.settimeout(max(left, LEAST))
        piece = self.socket.recv(most)
        if not piece:
            raise ConnectionResetError("it closed the connection")
        return piece

    def complete(self) -> None:
        if self.socket is not None:
            self.socket.settimeout(self._python_timeout)

    def close(self) -> None:
        connected, self.socket = self.socket, None
        if connected is not None:
            with suppress(OSError):
                connected.close()

    def __del__(self) -> None:
        # When its thread has ended, or nobody in it is using this any more.
        self.close()

    def _connect(self) -> socket.socket:
        deadline = monotonic() + self._timeout
        failure = OSError("it has no address")
        addresses = self._addresses()
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            # The class of this moment: gevent may have replaced it since this module was imported.
            opened = socket.socket(family, kind, protocol)
            try:
                # Each has its share of what is left: after one that hangs, the others still have time to answer.
                opened.settimeout(max((deadline - monotonic()) / (len(addresses) - tried), LEAST))
                opened.connect(address)
                self._prepare(opened)
            except OSError as error:
                opened.close()
                failure = error
            except BaseException:
                opened.close()
                raise
            else:
                self.socket = opened
                return opened
        try:
            raise failure
        finally:
            del failure  # it refers to this frame

    def _addresses(self) -> list[Any]:
        if isinstance(self._address, str):
            return [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", self._address)]
        return socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)

    def _prepare(self, opened: socket.socket) -> None:
        if not isinstance(self._address, str):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if kernel_has_timeouts(opened):
            seconds, rest = divmod(max(1, ceil(self._timeout * 1_000_000)), 1_000_000)
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                opened.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", seconds, rest))
            poll = select.poll()
            poll.register(opened, select.POLLIN)
            self._python_timeout, self._arrived = None, partial(poll.poll, 0)
        else:
            self._python_timeout, self._arrived = self._timeout, partial(_has_arrived, opened, self._timeout)
        opened.settimeout(self._python_timeout)


def kernel_has_timeouts(opened: object) -> bool:
    """Whether the kernel takes a time-out for this socket, in the form that is known here, and may wait for it."""
    is_known = sys.platform in ("linux", "darwin") and sys.maxsize > 2**32
    return is_known and isinstance(opened, KernelSocket)


def _has_arrived(opened: socket.socket, timeout: float) -> bool:
    """Whether there is something to read, or the end of the connection."""
    opened.settimeout(0)
    try:
        opened.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        opened.settimeout(timeout)
    return True
