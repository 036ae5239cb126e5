"""What keeps a copy in memcached as it is: a MAC in the place of a checksum, so that its time cannot be changed."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any


class CopyMac:
    """Keyed BLAKE2b (RFC 7693) of the name of a copy and of all that is in it. The first key makes it, all accept it.

    The keys are derived from the seal keys and the name of the application's cookie.
    """

    size = 16

    def __init__(self, seal_keys: Sequence[bytes], application: str) -> None:
        self._keys = [
            blake2b(application.encode(), key=seal_key, person=b"sessionkit copy", digest_size=32).digest()
            for seal_key in seal_keys
        ]

    def make(self, name: str, body: bytes) -> bytes:
        return _mac(self._keys[0], name, body)

    def accepts(self, found: bytes, name: str, body: Any) -> bool:
        return any(hmac.compare_digest(_mac(key, name, body), found) for key in self._keys)


def _mac(key: bytes, name: str, body: Any) -> bytes:
    # The name of an item has no spaces.
    mac = blake2b(name.encode() + b" ", key=key, digest_size=CopyMac.size)
    mac.update(body)
    return mac.digest()
