"""``psessions check`` and ``psessions seal``."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.scripts import output
from pyramid_sessionkit.sealing.format import MAGIC
from pyramid_sessionkit.sealing.keys import Sealer
from pyramid_sessionkit.sealing.store import SealedStore
from pyramid_sessionkit.stores.redis import RedisStore
from pyramid_sessionkit.stores.sql import SQLStore
from pyramid_sessionkit.testing.conformance import make_record, numbered
from tests.scripts.test_psessions import ADA, Place, Run, Terminal, answer
from tests.sealing.site import KEY, OTHER_KEY, UNKNOWN_KEY
from tests.sealing.test_stores import sealed

ONE, TWO, UNKNOWN = map(urlsafe_b64decode, (KEY, OTHER_KEY, UNKNOWN_KEY))


def fill(place: Place, *keys: bytes | None) -> None:
    """A session for each of these keys; None for one that is not sealed."""
    place.store.create_table()
    for number, key in enumerate(keys):
        store = place.store if key is None else sealed(place.store, key)
        store.create(numbered(number), make_record(userid="ada", renewed=make_record().renewed - 5))


def heads(place: Place) -> list[bytes]:
    """How the data of each session begin."""
    return [place.store.load(key).data[:12] for key in sorted(place.store.all_keys())]  # type: ignore[union-attr]


FIRST, SECOND, THIRD = Sealer([ONE, TWO, UNKNOWN], "session").heads


def check(run: Run) -> tuple[int, list[tuple[str, str]]]:
    code, out, _ = run("check", "--json")
    return code, [(line["status"], line["message"]) for line in json.loads(out) if line["check"] == "seal"]


@pytest.mark.parametrize(
    ("keys", "settings", "code", "lines"),
    [
        ([ONE, ONE], {}, 0, [("ok", "2 of 2 sessions are sealed with the key")]),
        ([], {}, 0, [("ok", "0 of 0 sessions are sealed with the key")]),
        (
            [ONE, TWO, TWO],
            {"sessionkit.seal_key": f"{KEY} {OTHER_KEY}"},
            0,
            [
                ("ok", "1 of 3 sessions are sealed with key 1 of 2"),
                ("warning", "2 with key 2 of 2: psessions seal seals them with key 1"),
            ],
        ),
        (
            [ONE, None],
            {},
            1,
            [
                ("ok", "1 of 2 sessions are sealed with the key"),
                ("failed", "1 not sealed, and so refused: was sessionkit.seal_migrate removed too early?"),
            ],
        ),
        (
            [ONE, None, UNKNOWN],
            {"sessionkit.seal_migrate": "true"},
            1,
            [
                (
                    "warning",
                    "sessionkit.seal_migrate = true accepts sessions that are not sealed: remove it when all are",
                ),
                ("ok", "1 of 3 sessions are sealed with the key"),
                ("warning", "1 not sealed yet: psessions seal seals them"),
                ("failed", "1 with a key that is not in sessionkit.seal_key, and so refused: add it as the last"),
            ],
        ),
        (
            [ONE, None],
            {"sessionkit.seal_migrate": "read"},
            0,
            [
                ("warning", "sessionkit.seal_migrate = read accepts sessions that are not sealed, and seals none"),
                ("ok", "1 of 2 sessions are sealed with the key"),
                ("warning", "1 not sealed: nothing is, while sessionkit.seal_migrate = read"),
            ],
        ),
    ],
)
def test_check_counts_what_is_sealed(
    place: Place,
    run: Run,
    keys: Any,
    settings: dict[str, str],
    code: int,
    lines: Any,
) -> None:
    fill(place, *keys)
    place.configure(**{"sessionkit.seal_key": KEY, **settings})
    assert check(run) == (code, lines)


def test_check_says_nothing_of_seals_without_a_key(place: Place, run: Run) -> None:
    fill(place, None)
    assert check(run) == (0, [])


@pytest.mark.parametrize("store", ["tests.scripts.test_psessions.bare_store"])
def test_check_says_where_a_store_cannot_count(place: Place, run: Run, store: str) -> None:
    place.configure(**{"sessionkit.seal_key": KEY, "sessionkit.store": store})
    code, lines = check(run)
    assert (code, [status for status, _ in lines]) == (0, ["ok"])
    assert "cannot say" in lines[0][1]


def test_check_without_a_table_does_not_stop(place: Place, run: Run) -> None:
    place.configure(**{"sessionkit.seal_key": KEY, "sessionkit.sql.create_table": "false"})
    code, lines = check(run)
    assert (code, [status for status, _ in lines]) == (1, ["failed"])


def migrating(place: Place) -> None:
    place.configure(**{"sessionkit.seal_key": f"{KEY} {OTHER_KEY}", "sessionkit.seal_migrate": "true"})


def test_seal_rewrites_the_rest(place: Place, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyramid_sessionkit.stores.sql.KEYS_BATCH", 2)
    fill(place, ONE, TWO, None, UNKNOWN, None)
    migrating(place)
    before = heads(place)
    times = [place.store.load(numbered(number)).renewed for number in range(5)]  # type: ignore[union-attr]
    assert run("seal", "--dry-run")[:2] == (0, "4 of 5 sessions are not sealed with the first key\n")
    assert answer(run, "seal", "--dry-run") == {"unsealed": 4}
    assert heads(place) == before
    assert run("seal")[:2] == (0, "3 sessions sealed; not changed, since they cannot be opened: 1 (the log says why)\n")
    assert heads(place) == [FIRST, FIRST, FIRST, THIRD, FIRST]
    assert [place.store.load(numbered(number)).renewed for number in range(5)] == times  # type: ignore[union-attr]
    assert answer(run, "seal") == {"sealed": 0, "unreadable": 1, "refused": 0}


@pytest.mark.servers
def test_sessions_in_redis_are_counted_and_sealed(place: Place, run: Run, redis: Any) -> None:
    store = RedisStore(redis.url)
    store.clear()
    for number, key in enumerate([ONE, TWO, None]):
        kept = store if key is None else sealed(store, key)
        kept.create(numbered(number), make_record(userid="ada"))
    keys = {"sessionkit.seal_key": f"{KEY} {OTHER_KEY}", "sessionkit.seal_migrate": "true"}
    place.configure(**keys, **{"sessionkit.store": "redis", "sessionkit.redis.url": redis.url})
    assert ("ok", "1 of 3 sessions are sealed with key 1 of 2") in check(run)[1]
    assert answer(run, "seal", "--dry-run") == {"unsealed": 2}
    assert answer(run, "seal") == {"sealed": 2, "unreadable": 0, "refused": 0}
    assert [store.load(numbered(number)).data[:12] for number in range(3)] == [FIRST] * 3  # type: ignore[union-attr]
    assert len(store.sessions_of("ada")) == 3
    store.close()


def test_one_sealed_session_is_one(place: Place, run: Run) -> None:
    fill(place, TWO)
    migrating(place)
    assert run("seal")[1] == "1 session sealed\n"


def test_seal_goes_on_where_it_was_interrupted(place: Place, run: Run, monkeypatch: Any) -> None:
    fill(place, *[None] * 6)
    migrating(place)
    update, calls = SQLStore.update, []

    def fail(self: SQLStore, key: str, record: Record) -> Any:
        calls.append(key)
        if len(calls) == 4:
            raise StoreUnavailable("gone")
        return update(self, key, record)

    monkeypatch.setattr(SQLStore, "update", fail)
    assert run("seal")[0] == 3
    assert [head == FIRST for head in heads(place)] == [True] * 3 + [False] * 3
    assert answer(run, "seal") == {"sealed": 3, "unreadable": 0, "refused": 0}
    assert heads(place) == [FIRST] * 6


def test_a_session_that_ends_meanwhile_is_not_counted(place: Place, run: Run, monkeypatch: Any) -> None:
    fill(place, None, None)
    migrating(place)
    reseal = SealedStore.reseal

    def end_first(self: SealedStore, key: str) -> Any:
        if key == numbered(0):
            place.store.delete(key)
        return reseal(self, key)

    monkeypatch.setattr(SealedStore, "reseal", end_first)
    assert answer(run, "seal") == {"sealed": 1, "unreadable": 0, "refused": 0}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "sessionkit.seal_key is not set"),
        ({"sessionkit.seal_key": KEY, "sessionkit.seal_migrate": "read"}, "first set it to true"),
        (
            {"sessionkit.seal_key": KEY, "sessionkit.store": "tests.scripts.test_psessions.bare_store"},
            "cannot list its sessions",
        ),
    ],
)
def test_seal_says_why_it_does_nothing(place: Place, run: Run, settings: Any, says: str) -> None:
    fill(place, None)
    place.configure(**settings)
    code, out, err = run("seal")
    assert (code, out) == (1, "")
    assert says in err
    assert not heads(place)[0].startswith(MAGIC)


def test_a_bar_shows_how_far_it_is(place: Place, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place, None, None, None)
    migrating(place)
    shown: list[str] = []
    add_task = output.Progress.add_task

    def noted(self: Any, text: str, **options: Any) -> Any:
        shown.append(text)
        return add_task(self, text, **options)

    monkeypatch.setattr(output.Progress, "add_task", noted)
    monkeypatch.setattr("sys.stderr", Terminal())
    run("seal")
    assert shown == ["Sealing"]


def test_the_other_commands_work_on_sealed_sessions(place: Place, run: Run) -> None:
    fill(place, ONE, ONE)
    place.configure(**{"sessionkit.seal_key": KEY})
    with place.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sessions SET userid = 'bob' WHERE session_key = ?", (numbered(1),))
    assert [info["key"] for info in answer(run, "list")] == [numbered(0)]
    assert [info["key"] for info in answer(run, "list", "--user", "ada")] == [numbered(0)]
    assert answer(run, "list", "--user", "bob") == []
    assert answer(run, "show", numbered(0))["contents"] == {"a": 1}
    assert answer(run, "count") == {"alive": 2, "expired": 0}
    assert answer(run, "revoke", numbered(1)) == {"revoked": 1}
    assert answer(run, "create-table")["created"] is False
    assert answer(run, "purge") == {"purged": 0}


def test_no_command_shows_a_key(place: Place, run: Run) -> None:
    fill(place, ONE, None)
    place.configure(**{"sessionkit.seal_key": KEY})
    assert Path(place.ini).read_text(encoding="utf-8").count(KEY) == 1
    texts = [text for command in ("check", "seal", "list") for text in run(command)[1:]]
    assert not any(part in text for text in texts for part in (KEY[:20], repr(ONE)[2:20], ADA + KEY))
