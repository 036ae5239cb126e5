"""Somebody can write to the table and to memcached, has sessions of their own, and knows no secret.

Each attack is a function that says whether it succeeded. Those that succeed without sealing are tried without it too:
so it is known that they are attacks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from pyramid_sessionkit.interfaces import Record
from pyramid_sessionkit.sealing.format import HEAD_SIZE, MAGIC, head_of
from pyramid_sessionkit.sealing.keys import Sealer
from tests.sealing.conftest import Make
from tests.sealing.site import COLUMNS, KEY, OTHER_KEY, UNKNOWN_KEY, Site, verifier_of

Attack = Callable[[Site], bool]

ON_TABLE: dict[str, tuple[Attack, bool]] = {}
"""By name: the attack, and whether it succeeds without sealing."""
ON_COPIES: dict[str, tuple[Attack, bool]] = {}

HOUR = 3600
FAR = 2**40
OURS = ("verifier", "version")
"""What the attacker leaves as it is in a row of their own: their cookie has to open it."""


def attack(where: dict[str, tuple[Attack, bool]], succeeds_unsealed: bool = True) -> Callable[[Attack], Attack]:
    def declare(function: Attack) -> Attack:
        where[function.__name__] = function, succeeds_unsealed
        return function

    return declare


on_table, on_copies = attack(ON_TABLE), attack(ON_COPIES)
vain_on_table, vain_on_copies = attack(ON_TABLE, False), attack(ON_COPIES, False)


def pair(site: Site) -> tuple[Any, str, Any, str]:
    """Ada and Mallory, both logged in, and the keys of their sessions."""
    ada, mallory = site.logged_in("ada", "a secret"), site.logged_in("mallory")
    return ada, site.key_of(ada), mallory, site.key_of(mallory)


def but(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def is_ada(browser: Any) -> bool:
    return browser.get("/who").json["user"] == "ada"


# Become another user.


@on_table
def write_the_user_into_a_row(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    site.write(own, userid="ada", credentials=site.row(ada)["credentials"])
    return is_ada(mallory)


@on_table
def copy_a_row_to_the_own_key(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    site.write(own, **but(site.row(ada), *OURS))
    return is_ada(mallory)


@on_table
def copy_the_contents_to_the_own_key(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    site.write(own, data=site.row(ada)["data"])
    return bool(mallory.get("/who").json["note"] == "a secret")


@on_table
def copy_the_fields_without_the_contents(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    site.write(own, **but(site.row(ada), "data", *OURS))
    return is_ada(mallory)


@on_table
def swap_contents(site: Site) -> bool:
    ada, of_ada, _, own = pair(site)
    first, second = site.row(of_ada)["data"], site.row(own)["data"]
    site.write(of_ada, data=second)
    site.write(own, data=first)
    return bool(ada.get("/who").json["note"] == "of mallory")


@on_table
def log_an_anonymous_session_in(site: Site) -> bool:
    _, ada, _, _ = pair(site)
    visitor = site.browser()
    visitor.get("/put", {"note": "of nobody"})
    row = site.row(ada)
    site.write(site.key_of(visitor), **{name: row[name] for name in ("userid", "authenticated", "credentials")})
    return is_ada(visitor)


def planted(site: Site) -> tuple[Any, Any]:
    """Mallory's cookie was in Ada's browser before Ada logged in: whose browsers these are."""
    mallory = site.browser()
    mallory.get("/put", {"note": "planted"})
    ada = site.with_cookie_of(mallory)
    ada.get("/login", {"user": "ada"})
    return ada, mallory


@on_table
def write_the_verifier_of_an_old_cookie(site: Site) -> bool:
    ada, mallory = planted(site)
    site.write(site.key_of(ada), verifier=verifier_of(mallory))
    return is_ada(mallory)


@on_table
def write_the_verifier_and_make_it_the_first(site: Site) -> bool:
    ada, mallory = planted(site)
    site.write(site.key_of(ada), verifier=verifier_of(mallory), replaced=None, salt="")
    return is_ada(mallory)


@vain_on_table
def say_that_an_old_cookie_was_just_replaced(site: Site) -> bool:
    ada, mallory = planted(site)
    site.write(site.key_of(ada), replaced=int(time.time()) * 1_000_000)
    return is_ada(mallory)


@on_table
def insert_an_unsealed_row(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    site.insert(own, {**site.row(ada), "verifier": verifier_of(mallory), "data": b"{}"})
    return is_ada(mallory)


@on_table
def write_unsealed_contents(site: Site) -> bool:
    _, _, mallory, own = pair(site)
    site.write(own, data=b'{"note":"administrator"}')
    return bool(mallory.get("/who").json["note"] == "administrator")


@on_table
def edit_the_time_of_the_login(site: Site) -> bool:
    _, _, mallory, own = pair(site)
    site.write(own, authenticated=FAR * 1_000_000)
    return bool(mallory.get("/who").json["login"] == FAR)


def seal_with(site: Site, ada: str, mallory: Any, sealer: Sealer) -> dict[str, Any]:
    """Ada's row for Mallory's cookie, sealed with a key of Mallory's."""
    row = {**site.row(ada), "verifier": verifier_of(mallory), "data": b"{}"}
    fields = {name: row[name] for name in Record._fields} | {"persistent": bool(row["persistent"])}
    return {**row, "data": sealer.seal(site.key_of(mallory), Record(**fields)).data}


def own_sealer() -> Sealer:
    return Sealer([b"a key that Mallory made, 32 bytes"[:32]], "session")


@vain_on_table
def seal_a_row_with_an_own_key(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    site.insert(own, seal_with(site, ada, mallory, own_sealer()))
    return is_ada(mallory)


@vain_on_table
def seal_a_row_with_an_own_key_and_the_id_of_the_sites(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    row = seal_with(site, ada, mallory, own_sealer())
    site.insert(own, {**row, "data": site.row(ada)["data"][:HEAD_SIZE] + row["data"][HEAD_SIZE:]})
    return is_ada(mallory)


@vain_on_table
def give_a_key_id_of_another_length(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    row = seal_with(site, ada, mallory, own_sealer())
    site.insert(own, {**row, "data": MAGIC + row["data"][HEAD_SIZE:]})
    return is_ada(mallory)


@vain_on_table
def cut_the_data_off(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    for length in (0, 1, len(MAGIC), HEAD_SIZE, HEAD_SIZE + 5, HEAD_SIZE + 12, HEAD_SIZE + 20):
        row = site.row(ada)
        site.write(own, **but(row, "data", *OURS), data=row["data"][:length])
        if is_ada(mallory):
            return True
        mallory = site.logged_in("mallory")
        own = site.key_of(mallory)
    return False


@vain_on_table
def take_another_nonce(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    data, others = site.row(own)["data"], site.row(ada)["data"]
    mixed = data[:HEAD_SIZE] + others[HEAD_SIZE : HEAD_SIZE + 12] + data[HEAD_SIZE + 12 :]
    site.write(own, userid="ada", credentials=site.row(ada)["credentials"], data=mixed)
    return is_ada(mallory)


@vain_on_table
def name_another_format(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    data = site.row(own)["data"]
    site.write(own, userid="ada", credentials=site.row(ada)["credentials"], data=data[:3] + b"\x00" + data[4:])
    return is_ada(mallory)


@on_table
def copy_a_row_of_another_application(site: Site) -> bool:
    """Where Mallory is called Ada. It has the same keys, and the same table, and a cookie of another name."""
    mallory = site.logged_in("mallory")
    ours = site.browsers
    before = site.wsgi
    site.restart(cookie_name="other")
    other = site.logged_in("ada")
    site.wsgi, site.browsers = before, ours
    site.write(site.key_of(mallory), **but(site.row(site.key_of(other, "other")), *OURS))
    return is_ada(mallory)


# Live longer.


def outlives(site: Site, seconds: int, **columns: Any) -> bool:
    """Whether a session with these columns still logs in then."""
    browser = site.logged_in("ada")
    site.write(site.key_of(browser), **columns)
    site.advance(seconds)
    return is_ada(browser)


@on_table
def take_the_timeout_away(site: Site) -> bool:
    return outlives(site, HOUR, timeout=None, own_timeout=True)


@on_table
def make_the_timeout_longer(site: Site) -> bool:
    return outlives(site, HOUR, timeout=2 * HOUR, own_timeout=True)


@on_table
def say_that_a_timeout_is_the_sessions_own(site: Site) -> bool:
    site.browsers = [site.logged_in("ada")]
    site.write(site.key_of(site.browsers[-1]), own_timeout=True)
    site.restart(timeout="5m")
    site.advance(600)
    return is_ada(site.browsers[-1])


@on_table
def renew_a_session_in_the_future(site: Site) -> bool:
    return outlives(site, HOUR, renewed=int(time.time()) + HOUR)


@on_table
def take_both_limits_away(site: Site) -> bool:
    return outlives(site, 13 * HOUR, timeout=None, deadline=None, own_timeout=True)


@on_table
def put_the_deadline_off(site: Site) -> bool:
    browser = site.logged_in("ada")
    site.write(site.key_of(browser), timeout=20 * HOUR, own_timeout=True)
    site.write(site.key_of(browser), deadline=int(time.time()) + 20 * HOUR)
    site.advance(13 * HOUR)
    return is_ada(browser)


@vain_on_table
def create_a_session_in_the_future(site: Site) -> bool:
    return outlives(site, HOUR, created=int(time.time()) + HOUR)


@vain_on_table
def make_a_session_persistent(site: Site) -> bool:
    return outlives(site, HOUR, persistent=1)


@vain_on_table
def take_away_the_column_of_the_index(site: Site) -> bool:
    return outlives(site, HOUR, expires=None)


# Keep a change of the password from ending a session.


@on_table
def write_the_new_credentials(site: Site) -> bool:
    thief = site.with_cookie_of(site.logged_in("ada"))
    site.passwords["ada"] = "changed"
    site.write(site.key_of(thief), credentials=site.row(site.key_of(site.logged_in("ada")))["credentials"])
    return is_ada(thief)


@on_table
def copy_the_login_after_the_change(site: Site) -> bool:
    thief = site.with_cookie_of(site.logged_in("ada"))
    site.passwords["ada"] = "changed"
    site.write(site.key_of(thief), **but(site.row(site.key_of(site.logged_in("ada"))), *OURS))
    return is_ada(thief)


@vain_on_table
def put_the_row_of_before_the_change_back(site: Site) -> bool:
    browser = site.logged_in("ada")
    thief, key = site.with_cookie_of(browser), site.key_of(browser)
    before = site.row(key)
    site.passwords["ada"] = "changed"
    browser.get("/who")
    site.insert(key, before)
    return is_ada(thief)


# Lists.


@on_table
def put_a_session_into_the_list_of_another_user(site: Site) -> bool:
    ada, of_ada, _, own = pair(site)
    site.write(own, userid="ada", credentials=site.row(of_ada)["credentials"])
    return own in ada.get("/devices").json


# Copies in memcached.


@on_copies
def write_the_user_into_a_copy(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    credentials = site.row(ada)["credentials"]
    site.put_copy(own, site.forged(site.copy(own), userid="ada", credentials=credentials))
    return is_ada(mallory)


@vain_on_copies
def put_a_copy_of_another_session(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    site.put_copy(own, site.copy(ada))
    return is_ada(mallory)


@on_copies
def put_a_copy_of_another_session_with_the_own_verifier(site: Site) -> bool:
    _, ada, mallory, own = pair(site)
    site.put_copy(own, site.forged(site.copy(ada), verifier=verifier_of(mallory)))
    return is_ada(mallory)


@on_copies
def put_the_verifier_of_an_old_cookie_into_a_copy(site: Site) -> bool:
    ada, mallory = planted(site)
    ada.get("/who")
    key = site.key_of(ada)
    site.put_copy(key, site.forged(site.copy(key), verifier=verifier_of(mallory)))
    return is_ada(mallory)


def ended(site: Site) -> tuple[Any, str, bytes]:
    """A session that was ended: a thief's cookie of it, its key, and a copy of before."""
    browser = site.logged_in("ada")
    thief, key, copy = site.with_cookie_of(browser), site.key_of(browser), site.copy(site.key_of(browser))
    browser.get("/logout")
    return thief, key, copy


@on_copies
def put_an_old_copy_back_with_a_new_time(site: Site) -> bool:
    thief, key, copy = ended(site)
    site.advance(120)
    site.put_copy(key, site.forged(copy, at=time.time() + 120))
    return is_ada(thief)


@vain_on_copies
def put_an_old_copy_back_with_a_time_to_come(site: Site) -> bool:
    thief, key, copy = ended(site)
    site.put_copy(key, site.forged(copy, at=time.time() + HOUR))
    return is_ada(thief)


@vain_on_copies
def put_an_old_copy_back_as_it_is(site: Site) -> bool:
    thief, key, copy = ended(site)
    site.advance(120)
    site.put_copy(key, copy)
    return is_ada(thief)


@on_copies
def make_a_copy_live_longer(site: Site) -> bool:
    browser = site.logged_in("ada")
    key = site.key_of(browser)
    copy = site.copy(key)
    site.advance(HOUR)
    site.put_copy(key, site.forged(copy, at=time.time() + HOUR, timeout=2 * HOUR, own_timeout=True))
    return is_ada(browser)


@on_copies
def keep_a_copy_through_a_change_of_the_password(site: Site) -> bool:
    thief = site.with_cookie_of(site.logged_in("ada"))
    key = site.key_of(thief)
    copy = site.copy(key)
    site.passwords["ada"] = "changed"
    credentials = site.row(site.key_of(site.logged_in("ada")))["credentials"]
    site.put_copy(key, site.forged(copy, credentials=credentials))
    return is_ada(thief)


def worlds(attacks: dict[str, tuple[Attack, bool]], *kinds: Any) -> list[Any]:
    """Each attack with sealing, and on the first kind also without where it succeeds then: kind, name, whether sealed.

    Without sealing it is the attacks that are tested, and not the stores.
    """
    return [
        pytest.param(*getattr(kind, "values", (kind,)), name, sealed, marks=getattr(kind, "marks", ()))
        for kind in kinds
        for name, (_, succeeds) in attacks.items()
        for sealed in ((True, False) if succeeds and kind is kinds[0] else (True,))
    ]


CACHED = pytest.param("cached_sql", marks=pytest.mark.servers)


@pytest.mark.parametrize(("kind", "name", "sealed"), worlds(ON_TABLE, "sql", "joined", CACHED))
def test_who_writes_to_the_table_gets_nothing(make_site: Make, kind: str, name: str, sealed: bool) -> None:
    site = make_site(kind, seal_key=KEY if sealed else None)
    assert ON_TABLE[name][0](site) is not sealed


@pytest.mark.parametrize(("kind", "name", "sealed"), worlds(ON_COPIES, CACHED))
def test_who_writes_to_memcached_gets_nothing(make_site: Make, kind: str, name: str, sealed: bool) -> None:
    site = make_site(kind, seal_key=KEY if sealed else None)
    assert ON_COPIES[name][0](site) is not sealed


def test_there_are_twenty_attacks_or_more() -> None:
    assert len(ON_TABLE) >= 20


# What sealing does not stop, as the documentation says.


@pytest.mark.parametrize("kind", ["sql", "joined"])
def test_an_old_row_of_the_same_session_can_be_put_back(make_site: Make, kind: str) -> None:
    site = make_site(kind, seal_key=KEY)
    browser = site.logged_in("ada")
    thief, key = site.with_cookie_of(browser), site.key_of(browser)
    before = site.row(key)
    browser.get("/logout")
    assert not is_ada(thief)
    site.insert(key, before)
    assert is_ada(thief)
    site.advance(HOUR)
    assert not is_ada(thief)


@pytest.mark.servers
def test_a_young_copy_can_be_put_back(make_site: Make) -> None:
    site = make_site("cached_sql", seal_key=KEY)
    thief, key, copy = ended(site)
    assert not is_ada(thief)
    site.put_copy(key, copy)
    assert is_ada(thief)
    site.advance(61)
    assert not is_ada(thief)


# What is told of it.


@pytest.mark.parametrize("kind", ["sql", "joined", CACHED])
def test_a_changed_row_is_reported_once(make_site: Make, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    site = make_site(kind, seal_key=KEY)
    ada, key, _, _ = pair(site)
    row = site.row(key)
    site.write(key, userid="mallory")
    assert ada.get("/who").json["user"] is None
    assert site.tampered == [(key, "changed")]
    assert but(site.row(key), "userid") == but(row, "userid")
    lines = [record for record in caplog.records if record.name == "pyramid_sessionkit.security"]
    (line,) = [record for record in lines if "SessionTampered" in record.getMessage()]
    assert (line.levelname, line.getMessage()) == ("WARNING", f"event=SessionTampered key={key} userid=- why=changed")
    assert not any(secret in caplog.text for secret in (KEY, OTHER_KEY, UNKNOWN_KEY))


@pytest.mark.parametrize("kind", ["sql", "joined", CACHED])
@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("data", b"{}", "unsealed"),
        ("data", head_of(b"k" * 32) + b"\0" * 40, "unknown key"),
        ("data", MAGIC, "unknown key"),
        ("authenticated", None, "damaged"),
    ],
)
def test_the_report_says_why(make_site: Make, kind: str, column: str, value: Any, why: str) -> None:
    site = make_site(kind, seal_key=KEY)
    ada, key, _, _ = pair(site)
    site.write(key, **{column: value})
    assert ada.get("/who").json["user"] is None
    assert site.tampered == [(key, why)]


@pytest.mark.parametrize("column", [name for name in COLUMNS if name not in ("data", "version", "expires")])
def test_every_column_is_bound(make_site: Make, column: str) -> None:
    site = make_site("sql", seal_key=KEY)
    browser = site.logged_in("ada")
    key = site.key_of(browser)
    found = site.row(key)[column]
    changed = {"persistent": 1 - found} if column == "persistent" else {column: _other(found)}
    site.write(key, **changed)
    assert not is_ada(browser)
    assert site.tampered == [(key, "changed")]


def _other(found: Any) -> Any:
    if found is None:
        return 5
    return found + 1 if isinstance(found, int) else found[:-1] + ("a" if found[-1:] != "a" else "b")
