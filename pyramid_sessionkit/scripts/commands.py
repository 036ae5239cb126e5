"""What psessions can do, a function each: it prints its answer and returns the exit code."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any

from pyramid_sessionkit.exceptions import NotSupported
from pyramid_sessionkit.interfaces import UNREADABLE, IListable
from pyramid_sessionkit.scripts.checks import all_checks
from pyramid_sessionkit.scripts.result import FAILED
from pyramid_sessionkit.scripts.seal_checks import seal_checks
from pyramid_sessionkit.user_sessions import SessionInfo, Sessions

if TYPE_CHECKING:
    from pyramid_sessionkit.scripts.output import Output

DONE, REFUSED, USAGE, UNAVAILABLE = 0, 1, 2, 3

SHORTEST_KEY = 22
EVERY = 2**31 - 1
"""The largest limit that all databases take."""

BATCH = 1000
KEY_CHARACTERS = f"{ascii_letters}{digits}-_"


class Refused(Exception):
    """What was asked for is not there, or is not done; the message says why."""


def list_(args: argparse.Namespace, sessions: Sessions, out: Output, registry: Any) -> int:
    found = sessions.all(args.limit) if args.user is None else sessions.of_user(args.user)[::-1][: args.limit]
    out.sessions(found)
    if len(found) == args.limit:
        out.note(f"The first {args.limit}; for more give --limit")
    return DONE


def show(args: argparse.Namespace, sessions: Sessions, out: Output, registry: Any) -> int:
    info = _find(sessions, args.key)
    record = sessions.store.load(info.key, True)
    if record is not None and record.data == UNREADABLE:
        raise Refused(f"Session {_begun(info.key)} cannot be read, and the log says why; `revoke` removes it")
    out.session(info, sessions.contents_as_json(info))
    return DONE


def revoke(args: argparse.Namespace, sessions: Sessions, out: Output, registry: Any) -> int:
    keys: Iterable[str]
    if args.all:
        keys = _all_keys(args, sessions)
    elif args.user is not None:
        keys = sessions.keys_of(args.user)
        if not keys:
            raise Refused("This user has no sessions")
    else:
        keys = [_find(sessions, args.key).key]
    revoked = sum(sessions.revoke(key) for key in keys)
    out.answer({"revoked": revoked}, f"{number_of_sessions(revoked)} revoked")
    return DONE


def count(args: argparse.Namespace, sessions: Sessions, out: Output, registry: Any) -> int:
    alive, expired = sessions.count(), sessions.count(expired=True)
    out.answer({"alive": alive, "expired": expired}, f"{alive} alive, {expired} expired and not purged yet")
    return DONE


def purge(args: argparse.Namespace, sessions: Sessions, out: Output, registry: Any) -> int:
    if getattr(sessions.store, "purges_itself", False):
        out.answer({"expired" if args.dry_run else "purged": 0}, "Redis removes expired sessions by itself")
        return DONE
    if args.dry_run:
        expired = sessions.count(expired=True)
        out.answer({"expired": expired}, f"{number_of_sessions(expired)} would be removed")
        return DONE
    total = sessions.count(expired=True) if out.shows_progress else 0
    purged = 0
    with out.progress(total if total > args.batch else 0, "Purging") as advance:
        while removed := sessions.purge(limit=args.batch):
            purged += removed
            advance(removed)
            if removed < args.batch:
                break
    out.answer({"purged": purged}, f"{number_of_sessions(purged)} removed")
    return DONE


def create_table(args: argparse.Namespace, sessions: Sessions, out: Output, registry: Any) -> int:
    store: Any = sessions.store
    if not hasattr(store, "create_table"):
        raise NotSupported("This store has no table: sql and cached_sql do")
    name = sessions.settings.sql.table
    there = store.has_table()
    store.create_table()
    out.answer({"table": name, "created": not there}, f"The table {name} {'was there already' if there else 'is made'}")
    return DONE


def check(args: argparse.Namespace, sessions: Sessions, out: Output, registry: Any) -> int:
    settings = sessions.settings
    results, reachable = all_checks(settings, sessions.store)
    if reachable:
        results.extend(seal_checks(settings, sessions.store))
    out.checks(results)
    if not reachable:
        return UNAVAILABLE
    return REFUSED if any(result.status == FAILED for result in results) else DONE


def _find(sessions: Sessions, key: str) -> SessionInfo:
    """The session whose key begins so. Anything but a key is not repeated in the message: it may be a session ID."""
    if not _begins_a_key(key):
        raise Refused("A session key is up to 64 letters, digits, - and _, as `list` shows them")
    found = _with_key(sessions, key)
    if found is not None:
        return found
    keys = sessions.keys_beginning_with(key) if _may_be_abbreviated(sessions, key) else []
    if len(keys) > 1:
        raise Refused(f"Several sessions have keys that begin with {_begun(key)}: give more of it")
    found = sessions.get(keys[0]) if keys else None
    if found is None:
        raise Refused(f"No session that is alive has a key that begins with {_begun(key)}")
    return found


_begins_a_key = re.compile("[A-Za-z0-9_-]{1,64}").fullmatch


def _with_key(sessions: Sessions, key: str) -> SessionInfo | None:
    return sessions.get(key) if len(key) >= SHORTEST_KEY else None


def _may_be_abbreviated(sessions: Sessions, key: str) -> bool:
    """A store that cannot list has none for an abbreviation, and none for a whole key that it does not have either."""
    return len(key) < SHORTEST_KEY or bool(IListable.providedBy(sessions.store))


def _begun(key: str) -> str:
    """How it begins, in case it is the secret of a session by mistake."""
    return key if len(key) <= SHORTEST_KEY else f"{key[:12]}..."


def _all_keys(args: argparse.Namespace, sessions: Sessions) -> Iterator[str]:
    if not args.yes and not sys.stdin.isatty():
        raise Refused("There is no terminal to ask on: to revoke all sessions, give --yes")
    if not args.yes and (alive := sessions.count()):
        print(f"Revoke all {number_of_sessions(alive)}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Refused("Nothing was revoked")
    return _keys_in_batches(sessions, "")


def _keys_in_batches(sessions: Sessions, prefix: str) -> Iterator[str]:
    """All keys with this prefix, at most a thousand at a time. If there are more, one query for each next character."""
    keys = sessions.keys_beginning_with(prefix, BATCH)
    if len(keys) < BATCH:
        yield from keys
        return
    if prefix and sessions.get(prefix):
        yield prefix
    for character in KEY_CHARACTERS:
        yield from _keys_in_batches(sessions, prefix + character)


def number_of_sessions(number: int) -> str:
    return "1 session" if number == 1 else f"{number} sessions"
