"""What a session ID is made of, and what is derived from it with the application's secrets.

A session ID is a split token: a key, which names the session and may be seen by anyone, and a secret, which opens it.
The store holds the SHA-256 of the secret, the *verifier*. So a copy of the store opens no session.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import sha256, sha512

from pyramid_sessionkit.interfaces import FIRST, Record
from pyramid_sessionkit.state import NewSecret, Presented

KEY_LENGTH = 22
"""Characters of ``[A-Za-z0-9]``: 131 bits."""

MARK = "adopted-"
"""What the keys of marks begin with, after the application's prefix: see ``adoption/adopting.py``."""

TRACE = "ended-"
"""What the keys of traces begin with, after the application's prefix: see ``traces.py``."""

LONGEST_KEY = 64
"""Characters, with the application's prefix."""

_TOKEN = re.compile(r"([0-9a-f]{0,16})\.([A-Za-z0-9_-]{0,43})\.([A-Za-z0-9_-]{43})").fullmatch
_is_nonce = re.compile(r"[A-Za-z0-9_-]{1,43}").fullmatch


def new_secret() -> str:
    """256 random bits in URL-safe base64: 43 characters (OWASP ASVS 3.2.2 asks for 64 bits)."""
    return secrets.token_urlsafe(32)


def new_salt() -> str:
    return secrets.token_urlsafe(16)


def new_nonce() -> str:
    return secrets.token_urlsafe(16)


def verifier_of(secret: str) -> str:
    """What the store holds of a secret."""
    return sha256(secret.encode("ascii")).hexdigest()


def opens(secret: str, record: Record) -> bool:
    """Whether this is the secret of the stored session."""
    return hmac.compare_digest(sha256(secret.encode("ascii")).hexdigest(), record.verifier)


class Tokens:
    """All that is derived with ``sessionkit.secret`` for the sessions of one name.

    The first of several secrets derives; to compare, all are tried.
    """

    def __init__(self, application_secrets: Sequence[bytes], name: str = FIRST) -> None:
        # A second session on requests has keys of its own: what is derived for one is worth nothing to another.
        of = "" if name == FIRST else f" of {name}"
        self._keys = [MessageKey(secret, f"new key{of}") for secret in application_secrets]
        self._secrets = [MessageKey(secret, f"new secret{of}") for secret in application_secrets]
        self._csrf = [MessageKey(secret, f"csrf{of}") for secret in application_secrets]
        self._marks = [MessageKey(secret, f"adoption mark{of}") for secret in application_secrets]
        self._adopted = [MessageKey(secret, f"adopted secret{of}") for secret in application_secrets]

    def key_from(self, seed: Presented, prefix: str = "", number: int = 0) -> str:
        """The key of the session that a visitor with this cookie begins; ``number``: of the next one, if it is taken.

        It is derived, so that requests that run at once with one cookie begin one session and not several.
        """
        return prefix + _letters(self._keys[0], seed, number)

    def keys_from(self, seed: Presented, prefix: str = "") -> list[str]:
        """The same with each of the application's secrets: a form may have been shown before they were rotated."""
        return [prefix + _letters(key, seed, 0) for key in self._keys]

    def secret_after(self, secret: str, key: str, why: NewSecret, userid: str | None, salt: str) -> str:
        """The secret that replaces another. To compute it takes the old one, the application's secret and the salt."""
        return self._secrets[0].text(_succession(secret, key, why, userid, salt))

    def succession(self, secret: str, key: str, record: Record) -> tuple[NewSecret, str] | None:
        """Why the record's secret replaced this one, and that secret; None unless this one came right before it."""
        for message_key in self._secrets:
            for why in NewSecret:
                current = message_key.text(_succession(secret, key, why, record.userid, record.salt))
                if opens(current, record):
                    return why, current
        return None

    def mark_keys(self, token: str, prefix: str = "") -> list[str]:
        """The keys that the mark of an old token may have, the one that it gets first: as long as any other key."""
        return [f"{prefix}{MARK}{_letters_of(key.digest(token))[: KEY_LENGTH - len(MARK)]}" for key in self._marks]

    def adopted_secrets(self, token: str, key: str) -> list[str]:
        """The secrets that a session may have which was adopted with this old token, the one that it gets first."""
        return [message_key.text(f"{key}.{token}") for message_key in self._adopted]

    def csrf_token(self, key: str, authenticated: int | None, nonce: str) -> str:
        """The token of a session, or of one that is still to begin: nothing has to be stored for it.

        It changes with a login, and with the nonce, and not with the secret.
        """
        at = f"{authenticated or 0:x}"
        return f"{at}.{nonce}.{self._csrf[0].text(f'{key}.{at}.{nonce}')}"

    def csrf_claims(self, token: object, key: str) -> tuple[int, str] | None:
        """The time of the login and the nonce that a token was made for; None if it is not one of this key's."""
        match = _TOKEN(token) if isinstance(token, str) else None
        if match is None:
            return None
        at, nonce, signature = match.groups()
        for message_key in self._csrf:
            if hmac.compare_digest(message_key.text(f"{key}.{at}.{nonce}"), signature):
                return int(at or "0", 16), nonce
        return None


def trace_key(key: str) -> str:
    """The key of the trace that the session with this key leaves: as long as that, and with the same prefix."""
    prefix, random = key[:-KEY_LENGTH], key[-KEY_LENGTH:]
    return f"{prefix}{TRACE}{random[len(TRACE) :]}"


def is_trace(key: str) -> bool:
    """Whether this is the key of a trace."""
    return key[-KEY_LENGTH:].startswith(TRACE)


def is_no_session(key: str) -> bool:
    """Whether this is the key of a mark or a trace and not of a session: what is random in those has no hyphen."""
    return key[-KEY_LENGTH:].startswith((MARK, TRACE))


def has_form_of_csrf_token(token: object) -> bool:
    """Whether it has the form of a token of any session."""
    return isinstance(token, str) and _TOKEN(token) is not None


def _letters(key: MessageKey, seed: Presented, number: int) -> str:
    return _letters_of(key.digest(f"{seed.key}.{seed.secret}.{number}"))[:KEY_LENGTH]


def _letters_of(digest: bytes) -> str:
    wide = sha512(digest).digest()  # enough letters in any case
    return urlsafe_b64encode(wide).decode("ascii").translate(_WITHOUT_SIGNS)


def clean_nonce(value: object) -> str:
    """The nonce in the contents; empty if there is none, or something that we did not put there."""
    return value if isinstance(value, str) and _is_nonce(value) else ""


def _succession(secret: str, key: str, why: NewSecret, userid: str | None, salt: str) -> str:
    # A userid is printable, so that the zero byte keeps the parts apart.
    return "\0".join((secret, key, why.value, salt, userid or ""))


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_WITHOUT_SIGNS = {ord("-"): None, ord("_"): None, ord("="): None}


class MessageKey:
    """A key for HMAC-SHA256 that is derived from a secret for one purpose.

    Both key blocks are hashed beforehand: half the price of :func:`hmac.digest` (RFC 2104).
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: bytes, purpose: str) -> None:
        key = hmac.digest(secret, f"pyramid_sessionkit {purpose}".encode(), "sha256")
        block = key.ljust(64, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, message: str) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message.encode())
        outer.update(inner.digest())
        return outer.digest()

    def text(self, message: str) -> str:
        """The digest in URL-safe base64: 43 characters."""
        return b2a_base64(self.digest(message), newline=False)[:43].translate(_URL_SAFE).decode("ascii")
