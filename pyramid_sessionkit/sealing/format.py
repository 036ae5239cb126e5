"""How the data of a sealed record begin. This needs no package: others ask it whether a record is sealed."""

from __future__ import annotations

from hashlib import blake2b

MAGIC = b"\xffsk\x01"
"""No JSON begins so, nor any text in UTF-8. The last byte is the format: it changes with what ``keys.py`` binds."""

ID_SIZE = 8
HEAD_SIZE = len(MAGIC) + ID_SIZE
"""Bytes of the magic and of the key's id behind it: all that can be said of a record without opening it."""


def head_of(seal_key: bytes) -> bytes:
    """How everything begins that was sealed with this key."""
    return MAGIC + blake2b(key=seal_key, person=b"sessionkit id", digest_size=ID_SIZE).digest()


def head_in(data: bytes) -> bytes:
    """How these data begin, if they are sealed; empty if they are not."""
    return data[:HEAD_SIZE] if data.startswith(MAGIC) else b""
