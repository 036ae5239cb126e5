"""What ``psessions check`` says of sealed sessions: how many are sealed with which key, and how many are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyramid_sessionkit.exceptions import StoreError
from pyramid_sessionkit.scripts.result import FAILED, OK, WARNING, Result
from pyramid_sessionkit.settings import Settings


def seal_checks(settings: Settings, store: Any) -> Iterator[Result]:
    if not settings.seal_key:
        return
    if settings.seal_migrate == "read":
        yield Result(
            "seal", WARNING, "sessionkit.seal_migrate = read accepts sessions that are not sealed, and seals none"
        )
    elif settings.seal_migrate:
        yield Result(
            "seal",
            WARNING,
            "sessionkit.seal_migrate = true accepts sessions that are not sealed: remove it when all are",
        )
    try:
        counts = count_by_seal(store)
    except StoreError as error:
        yield Result("seal", FAILED, f"cannot count what is sealed: {error}")
        return
    if counts is None:
        yield Result(
            "seal", OK, "this store cannot say which of its sessions are sealed: memory, redis, sql and cached_sql can"
        )
        return
    heads = store.sealer.heads
    sealed = counts.get(heads[0], 0)
    yield Result("seal", OK, f"{sealed} of {sum(counts.values())} sessions are sealed with {_which(1, heads)}")
    for number, head in enumerate(heads[1:], 2):
        if counts.get(head):
            yield Result(
                "seal", WARNING, f"{counts[head]} with {_which(number, heads)}: psessions seal seals them with key 1"
            )
    yield from _others(settings, counts, heads)


def _others(settings: Settings, counts: dict[bytes, int], heads: list[bytes]) -> Iterator[Result]:
    unsealed = counts.get(b"", 0)
    unknown = sum(number for head, number in counts.items() if head and head not in heads)
    if unsealed and settings.seal_migrate == "read":
        yield Result("seal", WARNING, f"{unsealed} not sealed: nothing is, while sessionkit.seal_migrate = read")
    elif unsealed and settings.seal_migrate:
        yield Result("seal", WARNING, f"{unsealed} not sealed yet: psessions seal seals them")
    elif unsealed:
        yield Result(
            "seal", FAILED, f"{unsealed} not sealed, and so refused: was sessionkit.seal_migrate removed too early?"
        )
    if unknown:
        yield Result(
            "seal",
            FAILED,
            f"{unknown} with a key that is not in sessionkit.seal_key, and so refused: add it as the last",
        )


def count_by_seal(store: Any) -> dict[bytes, int] | None:
    """How many live sessions there are by how their data begin; None where a store cannot say."""
    count = getattr(getattr(store, "sql", store), "count_by_seal", None)
    return None if count is None else count()


def _which(number: int, heads: list[bytes]) -> str:
    return "the key" if len(heads) == 1 else f"key {number} of {len(heads)}"
