"""Sealing one record: its contents are encrypted, and bound to its key and to all its fields.

The data of a sealed record are the magic, the id of the seal key, a nonce, and what AES-256-GCM makes of the contents
(NIST SP 800-38D). Each session has a cipher key of its own, which keyed BLAKE2b (RFC 7693) derives from the seal key.
So random nonces of 96 bits are enough: a session would have to be saved billions of times before two are likely to be
the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from os import urandom
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pyramid_sessionkit.interfaces import UNREADABLE, Record
from pyramid_sessionkit.sealing.format import HEAD_SIZE, MAGIC, head_of

FORMAT = MAGIC[-1]
NONCE_SIZE = 12
_SEALED_FROM = HEAD_SIZE + NONCE_SIZE

_VERSION = Record._fields.index("version")
_LATER = Record._fields[_VERSION + 1 :]
_DEFAULTS = tuple(Record._field_defaults[name] for name in _LATER)


class NotOpened(Exception):
    """A record cannot be opened. The message is one of ``damaged``, ``unsealed``, ``unknown key`` and ``changed``."""


class Sealer:
    """Seals with the first of its keys, and opens what any of them sealed.

    ``application`` tells apart applications that share a key and a table. ``takes_unsealed``: records that are not
    sealed are opened as they are. ``seals``: whether it seals at all, or only opens.
    """

    def __init__(
        self, seal_keys: Sequence[bytes], application: str, takes_unsealed: bool = False, seals: bool = True
    ) -> None:
        self.heads = [head_of(seal_key) for seal_key in seal_keys]
        """How the data of records begin that its keys sealed, in the order of the keys."""
        self.takes_unsealed = takes_unsealed
        self.seals = seals
        self._first = seal_keys[0]
        self._by_head = dict(zip(self.heads, seal_keys, strict=True))
        self._application = application

    def seal(self, key: str, record: Record) -> Record:
        """The record with its contents sealed. Each time with a new nonce: one used twice breaks the encryption."""
        if not self.seals:
            return record
        nonce = urandom(NONCE_SIZE)
        sealed = _cipher(self._first, key).encrypt(nonce, record.data, self._bound(key, record))
        return record.with_data(self.heads[0] + nonce + sealed)

    def open(self, key: str, record: Record) -> Record:
        """The record with its contents as they were sealed; raises :exc:`NotOpened`."""
        data = record.data
        if data[: len(MAGIC)] != MAGIC:
            if self.takes_unsealed and data != UNREADABLE:
                return record
            raise NotOpened("unsealed" if data != UNREADABLE else "damaged")
        seal_key = self._by_head.get(data[:HEAD_SIZE])
        if seal_key is None:
            raise NotOpened("unknown key")
        try:
            cipher, bound = _cipher(seal_key, key), self._bound(key, record)
            return record.with_data(cipher.decrypt(data[HEAD_SIZE:_SEALED_FROM], data[_SEALED_FROM:], bound))
        except (InvalidTag, ValueError, TypeError):  # of the nonce, where the data were cut off; of a number too large
            raise NotOpened("changed") from None

    def _bound(self, key: str, record: Record) -> bytes:
        """What was sealed opens only with the same of all these. JSON, so that none of them runs into the next."""
        return orjson.dumps((FORMAT, self._application, key, *_bound_fields(record)))


def _bound_fields(record: Record) -> Sequence[Any]:
    """All that is bound: every field but the data, which are encrypted, and the version, which the store makes.

    Those behind the version came later. Each is bound unless it has its default: so an older row still opens, and
    nobody can write another value into a new column of it.
    """
    fields, later = record[1:_VERSION], record[_VERSION + 1 :]
    if later == _DEFAULTS:
        return fields
    named = zip(_LATER, later, _DEFAULTS, strict=True)
    return *fields, {name: value for name, value, default in named if value != default}


@lru_cache(1000)
def _cipher(seal_key: bytes, key: str) -> AESGCM:
    """The cipher of one session: a request that reads it is likely to write it too."""
    return AESGCM(blake2b(key.encode(), key=seal_key, person=b"sessionkit data", digest_size=32).digest())
