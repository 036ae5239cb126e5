"""Turning sealing on for a site that is up, rotating its keys, and turning it off: nobody is logged out."""

from __future__ import annotations

import builtins
import logging
import subprocess
import sys
from base64 import standard_b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ISessionFactory

from pyramid_sessionkit import SessionGone, get_sessions
from pyramid_sessionkit.sealing.format import MAGIC, head_of
from pyramid_sessionkit.settings import MAKE_SEAL_KEY, parse_settings
from pyramid_sessionkit.testing import new_session
from tests.conftest import SECRET
from tests.sealing.conftest import Make
from tests.sealing.site import KEY, OTHER_KEY, Site, seal_key

KINDS = ["sql", "joined", pytest.param("cached_sql", marks=pytest.mark.servers)]


def head(key: str) -> bytes:
    return head_of(urlsafe_b64decode(key))


def data_of(site: Site, browser: Any) -> bytes:
    data: bytes = site.row(site.key_of(browser))["data"]
    return data


def notes(site: Site, *browsers: Any) -> list[Any]:
    """What each of these has, as the site is now."""
    return [site.browser(browser).get("/who").json["note"] for browser in browsers]


def change(site: Site, browser: Any) -> None:
    """Two requests that write; the note is the same again then."""
    for note in ("again", "busy"):
        site.browser(browser).get("/put", {"note": note})


@pytest.mark.parametrize("kind", KINDS)
def test_rotation_logs_nobody_out(make_site: Make, kind: str) -> None:
    site = make_site(kind, seal_key=KEY)
    busy, idle = site.logged_in("ada", "busy"), site.logged_in("ada", "idle")
    for keys in (f"{KEY} {OTHER_KEY}", f"{OTHER_KEY} {KEY}"):
        site.restart(seal_key=keys)
        assert notes(site, busy, idle) == ["busy", "idle"]
        change(site, busy)
    assert data_of(site, busy).startswith(head(OTHER_KEY))
    assert data_of(site, idle).startswith(head(KEY))
    store = get_sessions(site.registry).store
    store.reseal(site.key_of(idle))
    site.restart(seal_key=OTHER_KEY)
    assert notes(site, busy, idle) == ["busy", "idle"]
    assert not site.tampered
    site.restart(seal_key=seal_key(9))
    assert notes(site, busy, idle) == [None, None]
    assert {why for _, why in site.tampered} == {"unknown key"}


@pytest.mark.parametrize("kind", KINDS)
def test_turning_it_on_and_off_logs_nobody_out(make_site: Make, kind: str) -> None:
    site = make_site(kind)
    busy, idle = site.logged_in("ada", "busy"), site.logged_in("ada", "idle")
    off: dict[str, Any] = {"seal_key": None, "seal_migrate": None}
    read = {"seal_key": KEY, "seal_migrate": "read"}
    write = {"seal_key": KEY, "seal_migrate": "true"}
    sealed = {"seal_key": KEY, "seal_migrate": None}
    # At each step processes with the settings of before are still there, and read what the new ones write.
    for before, after in ((off, read), (read, write), (write, sealed), (sealed, write), (write, read)):
        if after is sealed:
            get_sessions(site.registry).store.reseal(site.key_of(idle))  # as psessions seal does
        for settings in (after, before, after):
            site.restart(**settings)
            assert notes(site, busy, idle) == ["busy", "idle"]
            change(site, busy)
            assert data_of(site, busy).startswith(MAGIC) is (settings in (write, sealed))
    site.restart(seal_key=KEY, seal_migrate="true")
    for browser in (busy, idle):
        get_sessions(site.registry).store.reseal(site.key_of(browser))
    site.restart(seal_key=KEY, seal_migrate=None)
    assert notes(site, busy, idle) == ["busy", "idle"]
    assert not site.tampered


@pytest.mark.parametrize("kind", KINDS)
def test_unsealed_sessions_are_refused_in_the_end(make_site: Make, kind: str) -> None:
    site = make_site(kind)
    browser = site.logged_in("ada")
    site.restart(seal_key=KEY)
    assert notes(site, browser) == [None]
    assert site.tampered == [(site.key_of(browser), "unsealed")]


def test_what_is_changed_is_refused_while_migrating(make_site: Make) -> None:
    site = make_site("sql", seal_key=KEY, seal_migrate="true")
    browser = site.logged_in("ada")
    site.write(site.key_of(browser), timeout=None)
    assert notes(site, browser) == [None]


@pytest.mark.parametrize("migrate", ["true", "read"])
def test_migrating_warns_once(make_site: Make, migrate: str, caplog: pytest.LogCaptureFixture) -> None:
    site = make_site("sql", seal_key=KEY, seal_migrate=migrate)
    notes(site, site.logged_in("ada"))
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert f"sessionkit.seal_migrate = {migrate}" in warnings[0]
    assert "log in as anyone" in warnings[0]


def test_a_site_without_the_key_says_why_it_reads_nothing(make_site: Make, caplog: pytest.LogCaptureFixture) -> None:
    site = make_site("sql", seal_key=KEY)
    browser = site.logged_in("ada")
    site.restart(seal_key=None)
    before = data_of(site, browser)
    assert notes(site, browser) == [None]
    assert "is sealed, and sessionkit.seal_key is not set" in caplog.text
    assert data_of(site, browser) == before


def test_a_script_that_opens_a_changed_session_is_told(make_site: Make) -> None:
    site = make_site("sql", seal_key=KEY)
    key = site.key_of(site.logged_in("ada"))
    site.write(key, userid="mallory")
    with pytest.raises(SessionGone):
        get_sessions(site.registry).open(key)
    assert site.tampered == [(key, "changed")]


# Settings.


def parse(**settings: Any) -> Any:
    return parse_settings({"sessionkit.secret": SECRET, **{f"sessionkit.{name}": v for name, v in settings.items()}})


RAW = [urlsafe_b64decode(key) for key in (KEY, OTHER_KEY)]


@pytest.mark.parametrize(
    "given",
    [
        f"{KEY} {OTHER_KEY}",
        f" {KEY.rstrip('=')}\n{OTHER_KEY} ",
        [KEY, OTHER_KEY],
        (KEY.encode(), OTHER_KEY),
        "env:SEAL_KEY file:{path}",
        "env:BOTH",
    ],
)
def test_keys_keep_their_order(given: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("SEAL_KEY", KEY)
    monkeypatch.setenv("BOTH", f"{KEY} {OTHER_KEY}")
    path = tmp_path / "seal.key"
    path.write_text(f"{OTHER_KEY}\n", encoding="utf-8")
    given = given.format(path=path) if isinstance(given, str) else given
    assert list(parse(seal_key=given).seal_key) == RAW


def test_the_command_in_the_message_makes_a_key() -> None:
    code = MAKE_SEAL_KEY.removeprefix("python -c '").removesuffix("'")
    made = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in "ab"
    ]
    assert len(parse(seal_key=made).seal_key) == 2


def encoded(key: bytes) -> str:
    return urlsafe_b64encode(key).decode()


STANDARD = standard_b64encode(b"\xfb\xef" + RAW[0][2:]).decode()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "must not be empty"),
        ("short", "32 bytes"),
        (KEY[:-2], "32 bytes"),
        (KEY + "A", "32 bytes"),
        (encoded(RAW[0][:31]), "32 bytes"),
        (encoded(RAW[0] + b"x"), "32 bytes"),
        (STANDARD, "URL-safe"),
        (KEY[:-2] + "B=", "32 bytes"),  # bits that belong to no byte
        (f"{KEY} nonsense", "32 bytes"),
        (f"{KEY} {KEY}", "each key once"),
        (f"{KEY} {KEY.rstrip('=')}", "each key once"),
        (encoded(b"\x80" * 32), "must be random"),
        (encoded(b"\x80\xff" * 16), "must be random"),
        (encoded(bytes(range(200, 232))), "must be random"),
        (encoded(b"this-is-my-secret-key-32-bytes!!"), "must be random"),
        (RAW[0] + b"\xff", "must be text"),
    ],
)
def test_a_bad_key_is_refused_and_not_shown(given: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse(seal_key=given)
    message = str(refused.value)
    assert message.startswith("sessionkit.seal_key: ")
    assert says in message
    shown = [word for word in str(given).split() if word not in ("short", "nonsense")]
    assert not any(word in message for word in shown)
    if says not in ("each key once", "must be text"):
        assert "base64.urlsafe_b64encode(secrets.token_bytes(32))" in message


def test_the_settings_do_not_show_the_key() -> None:
    text = repr(parse(seal_key=KEY))
    assert KEY[:40] not in text
    assert repr(RAW[0]) not in text


@pytest.mark.parametrize(("given", "value"), [("true", True), ("FALSE", False), ("read", "read"), (True, True)])
def test_seal_migrate(given: Any, value: Any) -> None:
    assert parse(seal_key=KEY, seal_migrate=given).seal_migrate == value


@pytest.mark.parametrize("given", ["perhaps", "", "write"])
def test_seal_migrate_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match="true, false or read"):
        parse(seal_key=KEY, seal_migrate=given)


@pytest.mark.parametrize("migrate", ["true", "read"])
def test_seal_migrate_without_a_key_is_a_contradiction(migrate: str) -> None:
    with pytest.raises(ConfigurationError, match=r"seal_key is not"):
        parse(seal_migrate=migrate)


# The package.


def included(**settings: Any) -> None:
    named = {f"sessionkit.{name}": value for name, value in settings.items()}
    config = Configurator(settings={"sessionkit.secret": SECRET, **named})
    config.include("pyramid_sessionkit")
    config.commit()


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(f"No module named {name!r}", name=name)
        return imported(name, *args)

    for name in [name for name in sys.modules if name.startswith("pyramid_sessionkit.sealing.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    included()
    with pytest.raises(ConfigurationError, match=r'cryptography.*pip install "pyramid_sessionkit\[seal\]"'):
        included(seal_key=KEY)


def test_nothing_is_imported_for_it_without_a_key() -> None:
    code = (
        "import sys; from pyramid.config import Configurator; import pyramid_sessionkit.stores.cached_sql\n"
        f"config = Configurator(settings={{'sessionkit.secret': {SECRET!r}}})\n"
        "config.include('pyramid_sessionkit'); config.make_wsgi_app()\n"
        "assert not [name for name in sys.modules if name.startswith('cryptography')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_store_of_ones_own_is_sealed_too() -> None:
    from pyramid_sessionkit.stores.memory import MemoryStore

    own = MemoryStore()
    config = Configurator(
        settings={"sessionkit.secret": SECRET, "sessionkit.seal_key": KEY, "sessionkit.store": lambda settings: own}
    )
    config.include("pyramid_sessionkit")
    config.commit()
    session = new_session(config.registry.getUtility(ISessionFactory).persistence)
    session["card"] = "4111"
    session.save()
    (record,) = own._records.values()
    assert record.data.startswith(head(KEY))
