"""Contents to bytes and back, so that what is read equals what was written, or is refused."""

from __future__ import annotations

import marshal
from collections.abc import Iterable
from typing import Any, Final

import orjson

from pyramid_sessionkit.contents.refused import NotKept, not_serializable
from pyramid_sessionkit.contents.session_types import BUILT_IN, SessionType
from pyramid_sessionkit.contents.tagged import CUSTOM, Tagger, UnknownType, untagged
from pyramid_sessionkit.exceptions import SessionTooLarge

Contents = dict[str, Any]

TAGGED: Final = b"~"
"""What bytes with tags begin with. All others are JSON in which nothing has to be looked for."""

_ALWAYS_KEPT: Final = frozenset((bool, type(None)))


class Serializer:
    """Writes and reads contents with the types that JSON has, those that every session keeps, and ``types``."""

    def __init__(self, types: Iterable[SessionType] = ()) -> None:
        self._by_class = {session_type.cls: session_type for session_type in BUILT_IN}
        self._by_name = {session_type.name: session_type for session_type in BUILT_IN}
        for session_type in types:
            self.add(session_type)

    def add(self, session_type: SessionType) -> None:
        """Keep values of a type of the application's own."""
        added = session_type._replace(name=CUSTOM + session_type.name)
        self._by_class[added.cls] = self._by_name[added.name] = added

    def dumps(self, value: Any) -> bytes:
        """Contents, or one value of them, as bytes. Values that come back as the same are the same bytes.

        :exc:`SessionNotSerializable` names the path of what would not come back as it is.
        """
        try:
            data = orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
            # orjson writes an enum or a date as text without an error. marshal refuses types that are not Python's own,
            # except for those with a buffer: such as numpy.str_, a subclass of str, which orjson refuses here.
            marshal.dumps(value)
        except (orjson.JSONEncodeError, ValueError):
            return self._dumps_tagged(value)
        # It writes NaN as null, without an error too.
        return self._dumps_tagged(value) if b"null" in data and orjson.loads(data) != value else data

    def loads(self, data: bytes) -> Contents:
        """The contents in these bytes. Raises ValueError if they cannot be understood."""
        try:
            contents = orjson.loads(data)
        except orjson.JSONDecodeError:  # bytes with tags are not JSON: contents without tags cost nothing more
            if not data.startswith(TAGGED):
                raise
            contents = self._untagged(data)
        if type(contents) is not dict:
            raise ValueError("not a JSON object")
        return contents

    def encode(self, contents: Contents) -> tuple[bytes, Contents]:
        """The contents as bytes, and what those read back as. Raises as :meth:`dumps` does."""
        data = self.dumps(contents)
        return data, self.loads(data)

    def check(self, name: str, value: Any) -> None:
        """Raise if the contents could not have this value under this name."""
        kind = type(value)
        if kind is int:
            kept = -(2**63) <= value < 2**64
        elif kind is str:
            kept = value.isascii()
        else:
            kept = kind in _ALWAYS_KEPT
        if not (kept and type(name) is str and name.isascii()):
            self.dumps({name: value})

    def as_json(self, contents: Contents) -> Any:
        """The contents with tags, of JSON's own types alone: to show them."""
        data = self.dumps(contents)
        return orjson.loads(data.removeprefix(TAGGED))

    def read_back(self, name: str, value: Any) -> Any:
        """A copy of the value that has this name in the contents, as it will be read."""
        return self.loads(self.dumps({name: value}))[name]

    def check_size(
        self, contents: Contents, data: bytes, max_size: int, stored_size: int = 0, begins: str = "sessionkit."
    ) -> None:
        """Raise if ``data`` takes more than ``max_size`` bytes, and more than the ``stored_size`` of what is stored.

        A merge may have taken the session above ``max_size``, and such a session may still change and shrink.
        ``begins``: what the name of the setting begins with.
        """
        if not max_size < len(data) > stored_size:
            return
        sizes = {name: len(self.dumps(value)) for name, value in contents.items()}
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        listed = ", ".join(f"{name} ({sizes[name]})" for name in largest)
        limit = f"{begins}max_size is {max_size}"
        if stored_size > max_size:
            limit += f" and the {stored_size} bytes that are stored already exceed it, so that it may not grow"
        raise SessionTooLarge(
            f"The session takes {len(data)} bytes, but {limit}; its largest keys are {listed}. "
            "Keep large things in the application's database and their ids in the session."
        )

    def _dumps_tagged(self, value: Any) -> bytes:
        tagger = Tagger(self._by_class)
        try:
            made = tagger.tagged(value)
        except NotKept as refused:
            raise not_serializable(refused) from None
        # Not of ``value``: orjson may find something else in a subclass of dict or list than its iterator gives.
        return TAGGED + orjson.dumps(made) if tagger.used else orjson.dumps(untagged(made, {}))

    def _untagged(self, data: bytes) -> Any:
        try:
            return untagged(orjson.loads(data[len(TAGGED) :]), self._by_name)
        except (orjson.JSONDecodeError, UnknownType):
            raise
        except Exception as error:  # of a load, which is given whatever is stored
            raise ValueError(f"the load of a session type raised {type(error).__name__}") from error


BUILT_IN_ONLY: Final = Serializer()
"""Without types of an application's own."""
