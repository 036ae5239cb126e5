"""``psessions seal``: seal what is not sealed with the first key, while the site is up."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from pyramid_sessionkit.exceptions import NotSupported
from pyramid_sessionkit.scripts.commands import DONE, Refused, number_of_sessions
from pyramid_sessionkit.scripts.seal_checks import count_by_seal
from pyramid_sessionkit.user_sessions import Sessions

if TYPE_CHECKING:
    from pyramid_sessionkit.scripts.output import Output


def seal(args: argparse.Namespace, sessions: Sessions, out: Output, registry: Any) -> int:
    store: Any = sessions.store
    _refuse_without_key(sessions.settings)
    counts = count_by_seal(store)
    if counts is None:
        raise NotSupported("This store cannot list its sessions: memory, redis, sql and cached_sql can")
    head = store.sealer.heads[0]
    others = sum(counts.values()) - counts.get(head, 0)
    if args.dry_run:
        out.answer(
            {"unsealed": others}, f"{others} of {sum(counts.values())} sessions are not sealed with the first key"
        )
        return DONE
    done: Counter[str] = Counter()
    with out.progress(others, "Sealing") as advance:
        for key in getattr(store, "sql", store).keys_without_seal(head):
            done[store.reseal(key).name] += 1
            advance(1)
    _report(out, done)
    return DONE


def _refuse_without_key(settings: Any) -> None:
    if not settings.seal_key:
        raise Refused("sessionkit.seal_key is not set")
    if settings.seal_migrate == "read":
        raise Refused("Nothing is sealed while sessionkit.seal_migrate = read: first set it to true, for all processes")


def _report(out: Output, done: Counter[str]) -> None:
    sealed, unreadable, refused = done["DONE"], done["UNREADABLE"], done["REFUSED"]
    text = f"{number_of_sessions(sealed)} sealed"
    left = f"; not changed, since they cannot be opened: {unreadable} (the log says why)" if unreadable else ""
    if refused:
        left += f"; {refused} were changed again and again: run it once more"
    out.answer({"sealed": sealed, "unreadable": unreadable, "refused": refused}, text + left)
