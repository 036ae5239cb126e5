"""A store in front of the store, which notes the calls of one request and how long each took."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

from pyramid_sessionkit.interfaces import UNREADABLE, Record

SHOWN_OF_KEY = 8
"""How many characters of a key logs and lists show."""


class Call(NamedTuple):
    """One call of a store."""

    method: str
    key: str
    """Its first characters; empty where the call is about something else."""
    milliseconds: float
    result: str


class RecordingStore:
    """Does what ``store`` does, and has what it has, its interfaces included.

    Made for one request, so that the calls of others are not among its own, whatever thread they come from.
    """

    def __init__(self, store: Any, calls: list[Call]) -> None:
        self._store = store
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        attribute, result_of = getattr(self._store, name), _RESULTS.get(name)
        return attribute if result_of is None else self._timed(name, attribute, result_of)

    def _timed(self, name: str, method: Callable[..., Any], result_of: Callable[[Any], str]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            started = perf_counter()
            try:
                answer = method(*args)
            except Exception as error:
                self._note(name, args, started, f"error: {type(error).__name__}")
                raise
            self._note(name, args, started, result_of(answer))
            return answer

        return timed

    def _note(self, name: str, args: tuple[Any, ...], started: float, result: str) -> None:
        key = "" if name == "sessions_of" else args[0][:SHOWN_OF_KEY]
        self._calls.append(Call(name, key, (perf_counter() - started) * 1000, result))


def _loaded(record: Record | None) -> str:
    if record is None:
        return "miss"
    return "unreadable" if record.data == UNREADABLE else "hit"


def _updated(record: Record | None) -> str:
    return "conflict: it changed, or is gone" if record is None else "stored"


_RESULTS: dict[str, Callable[[Any], str]] = {
    "load": _loaded,
    "create": lambda record: "conflict: the key is taken" if record is None else "stored",
    "update": _updated,
    "update_contents": _updated,
    "delete": lambda deleted: "deleted" if deleted else "miss: nothing to delete",
    "sessions_of": lambda sessions: "listed",
}
"""What each answer of a store means."""
