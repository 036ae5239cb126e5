"""A session ID as a client has it: ``<key>.<secret>.<signature>``.

The signature is HMAC-SHA256 under a key derived from the application's secret, the kind of carrier and its name. So a
value that was signed for one cookie or header is worth nothing in another. A made-up one costs no store call.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from pyramid_sessionkit.session_id.tokens import MessageKey
from pyramid_sessionkit.state import Presented

_SIGNED_ID = re.compile(r"((-|[A-Za-z0-9_-]{22,64})\.[A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})").fullmatch


class IDSigner:
    """Signs session IDs with the first of its secrets, and accepts what any of them signed."""

    def __init__(self, carrier: str, secrets: Sequence[bytes]) -> None:
        self._keys = [MessageKey(secret, carrier) for secret in secrets]

    def sign(self, presented: Presented) -> str:
        """The value of the cookie or header."""
        signed = f"{presented.key}.{presented.secret}"
        return f"{signed}.{self._keys[0].text(signed)}"

    def verify(self, value: str) -> Presented | None:
        """The key and the secret in such a value, or None if we did not sign it."""
        match = _SIGNED_ID(value)
        if match is None:
            return None
        signed, key, signature = match.groups()
        for message_key in self._keys:
            if hmac.compare_digest(message_key.text(signed), signature):
                return Presented(key, signed[len(key) + 1 :])
        return None


def claimed_key(value: str) -> str:
    """The key that a value claims which we did not sign; "" for one that does not look like ours."""
    return value.partition(".")[0] if _SIGNED_ID(value) else ""
