import re
from dataclasses import fields

import pytest
from pyramid.exceptions import ConfigurationError

from pyramid_sessionkit.settings import CookieSettings, Settings, options, override_cookie, parse_settings

SECRET = "s" * 32
OTHER_SECRET = "t" * 32


def parse(settings=None, **others):
    """``parse({"sql.table": "web"})``: the names without their prefix, and a secret unless one is given."""
    given = {"secret": SECRET, **(settings or {}), **others}
    return parse_settings({f"sessionkit.{name}": value for name, value in given.items()})


def refusal(settings=None, **others):
    with pytest.raises(ConfigurationError) as refused:
        parse(settings, **others)
    return str(refused.value)


def value_of(settings, name):
    group, _, option = name.replace("cookie_", "cookie.").rpartition(".")
    if not group or name == "cookie_options":
        return getattr(settings, name)
    return getattr(getattr(settings, group), option)


DEFAULTS = {
    "secret": (SECRET.encode(),),
    "seal_key": (),
    "seal_migrate": False,
    "store": "memory",
    "session_class": None,
    "timeout": 20 * 60,
    "lifetime": 12 * 3600,
    "reissue_time": 2 * 60,
    "persistent": False,
    "rolling": False,
    "save_uninitialized": False,
    "delete_empty": False,
    "resave": False,
    "save_on_error": False,
    "max_size": 262144,
    "cookie_name": "session",
    "cookie_path": "/",
    "cookie_domain": None,
    "cookie_secure": None,  # auto
    "cookie_httponly": True,
    "cookie_samesite": "Lax",
    "cookie_partitioned": False,
    "cookie_priority": None,
    "cookie_options": None,
    "key_prefix": None,
    "header_name": None,
    "adopt": None,
    "trust_proxy": False,
    "security_policy": True,
    "identity": None,
    "principals": None,
    "credentials_hash": None,
    "login_route": None,
    "confirm_route": None,
    "max_sessions_per_user": None,
    "memory.max_sessions": 100_000,
    "memcached.servers": ("127.0.0.1:11211",),
    "memcached.timeout": 1,
    "memcached.prefix": "sessionkit:",
    "redis.url": "redis://127.0.0.1:6379/0",
    "redis.timeout": 1,
    "redis.prefix": "sessionkit:",
    "sql.url": None,
    "sql.table": "sessions",
    "sql.create_table": False,
    "sql.timeout": 5,
    "sql.pool_size": 15,
    "sql.max_age": 600,
    "sql.prepare": True,
    "sql.dbsession": None,
    "cached_sql.ttl": 60,
}
KNOWN = [name.removeprefix("sessionkit.") for name, _ in options()]
BOOLEANS = [name for name in KNOWN if isinstance(DEFAULTS.get(name), bool) and name != "seal_migrate"]
DURATIONS = ["timeout", "lifetime", "reissue_time"]


@pytest.mark.parametrize("name", KNOWN)
def test_default(name):
    default = value_of(parse(), name)
    # Whether several servers are kept in a list or a tuple is nobody's promise.
    assert (tuple(default) if isinstance(default, list) else default) == DEFAULTS[name]


@pytest.mark.parametrize("name", KNOWN)
def test_every_option_is_documented(name):
    assert dict(options())[f"sessionkit.{name}"].metadata["doc"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("20m", 1200),
        ("12h", 43200),
        ("30d", 2592000),
        ("3600", 3600),
        (3600, 3600),
        (" 90s ", 90),
        ("none", None),
        ("None", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("name", ["timeout", "lifetime"])
def test_duration(name, text, seconds):
    assert getattr(parse({"reissue_time": "none", "lifetime": "none", name: text}), name) == seconds


@pytest.mark.parametrize("timeout", ["13h", "30d"])
def test_a_timeout_above_the_default_lifetime_is_refused(timeout):
    message = refusal(timeout=timeout)
    assert f"sessionkit.timeout = {timeout}" in message
    assert "set sessionkit.lifetime too, or to none" in message


@pytest.mark.parametrize("lifetime", ["1h", "12h", "90d", "none"])
def test_a_lifetime_that_was_chosen_may_be_below_the_timeout(lifetime):
    assert parse(timeout="30d", lifetime=lifetime).timeout == 30 * 86400


@pytest.mark.parametrize("bad", ["0", "0s", "-5", "-20m", "", "soon", "1.5h", "20 minutes", "1w", "1h30m", True, 0, -1])
@pytest.mark.parametrize("name", DURATIONS)
def test_duration_refused(name, bad):
    message = refusal({name: bad})
    assert f"sessionkit.{name}" in message
    assert "20m" in message  # what is allowed


@pytest.mark.parametrize(
    ("timeout", "reissue_time"), [("20m", 120), ("100", 10), ("5s", 1), ("1s", 1), ("none", None), (None, None)]
)
def test_reissue_time_is_a_tenth_of_the_timeout(timeout, reissue_time):
    assert parse(timeout=timeout).reissue_time == reissue_time


def test_reissue_time_none_lets_only_writes_renew():
    assert parse(reissue_time="none").reissue_time is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [(word, True) for word in ("true", "yes", "on", "1", "TRUE", True, 1)]
    + [(word, False) for word in ("false", "no", "off", "0", " False ", False, 0)],
)
@pytest.mark.parametrize("name", BOOLEANS)
def test_boolean(name, text, expected):
    assert value_of(parse({name: text}), name) is expected


@pytest.mark.parametrize("bad", ["", "maybe", "2", "none", None])
@pytest.mark.parametrize("name", [*BOOLEANS, "cookie_secure"])
def test_boolean_refused(name, bad):
    message = refusal({name: bad})
    assert f"sessionkit.{name}" in message
    assert "true or false" in message


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("max_size", "1000", 1000),
        ("max_size", 1000, 1000),
        ("memory.max_sessions", "5", 5),
        ("cookie_secure", "auto", None),
        ("cookie_secure", "AUTO", None),
        ("cookie_secure", "true", True),
        ("cookie_secure", False, False),
        ("cookie_samesite", "strict", "Strict"),
        ("cookie_samesite", "NONE", "None"),
        ("cookie_samesite", "Auto", "auto"),
        ("cookie_samesite", "off", "off"),
        ("cookie_priority", "high", "High"),
        ("cookie_priority", "none", None),
        ("cookie_domain", "example.com", "example.com"),
        ("cookie_domain", ".example.com", ".example.com"),
        ("cookie_domain", "none", None),
        ("cookie_path", "/shop", "/shop"),
        ("store", "sql", "sql"),
        ("store", parse_settings, parse_settings),
        ("identity", "app.security.load", "app.security.load"),
        ("identity", len, len),
        ("identity", "none", None),
        ("sql.table", "web.sessions", "web.sessions"),
        ("sql.pool_size", " 40 ", 40),
        ("sql.max_age", "2m", 120),
        ("sql.max_age", "none", None),
        ("sql.prepare", "false", False),
    ],
)
def test_value(name, given, expected):
    assert value_of(parse({name: given}), name) == expected


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("max_size", "0"),
        ("max_size", "-1"),
        ("max_size", "10mb"),
        ("max_size", "1.5"),
        ("max_size", ""),
        ("memory.max_sessions", "none"),
        ("store", ""),
        ("cookie_name", ""),
        ("cookie_name", "my session"),
        ("cookie_name", "a=b"),
        ("cookie_name", "a;b"),
        ("cookie_name", "größe"),
        ("cookie_path", "shop"),
        ("cookie_path", ""),
        ("cookie_path", "/a; Domain=evil.example"),
        ("cookie_path", "/a\nSet-Cookie: x=y"),
        ("cookie_domain", ""),
        ("cookie_domain", "example.com:80"),
        ("cookie_domain", "http://example.com"),
        ("cookie_domain", "a.example; Path=/"),
        ("cookie_samesite", "sometimes"),
        ("cookie_samesite", ""),
        ("cookie_priority", "urgent"),
        ("sql.table", "sessions; drop table users"),
        ("sql.table", ""),
        ("sql.url", ""),
        ("sql.pool_size", "0"),
        ("sql.pool_size", "none"),
        ("sql.max_age", "0"),
        ("sql.prepare", "never"),
        ("identity", ""),
    ],
)
def test_value_refused(name, bad):
    assert f"sessionkit.{name}" in refusal({name: bad})


# Unknown keys


@pytest.mark.parametrize(
    ("unknown", "nearest"),
    [
        ("timout", "timeout"),
        ("Timeout", "timeout"),
        ("secrets", "secret"),
        ("cookie.secure", "cookie_secure"),
        ("cookie_sercure", "cookie_secure"),
        ("sql_url", "sql.url"),
        ("memory.max_session", "memory.max_sessions"),
        ("save_uninitialised", "save_uninitialized"),
    ],
)
def test_unknown_key_names_the_nearest(unknown, nearest):
    message = refusal({unknown: "1"})
    assert f"sessionkit.{unknown} " in message
    assert message.endswith(f"did you mean sessionkit.{nearest}?")


@pytest.mark.parametrize("unknown", ["", "custom", "customs.url", "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"])
def test_unknown_key_is_refused(unknown):
    assert refusal({unknown: "1"}).startswith(f"sessionkit.{unknown} is not a setting")


def test_keys_of_others_are_left_alone():
    parse_settings({"sessionkit.secret": SECRET, "session.timout": "x", "sessionkits.timout": "x", "pyramid.x": 1})


def test_keys_of_a_store_of_its_own_are_accepted():
    parse({"store": "app.store", "custom.url": "redis://localhost", "custom.timout": "x"})


# Contradictions


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"reissue_time": "21m"}, ["reissue_time", "timeout"]),
        ({"reissue_time": "61s", "timeout": "60s"}, ["reissue_time", "timeout"]),
        ({"cookie_samesite": "None", "cookie_secure": "false"}, ["cookie_samesite", "cookie_secure"]),
        ({"cookie_partitioned": "true", "cookie_secure": "false"}, ["cookie_secure", "cookie_partitioned"]),
        ({"cookie_name": "__Host-s", "cookie_secure": "false"}, ["cookie_secure", "__Host-"]),
        ({"cookie_name": "__Secure-s", "cookie_secure": "false"}, ["cookie_secure", "__Secure-"]),
        ({"cookie_name": "__Host-s", "cookie_path": "/shop"}, ["cookie_name", "cookie_path"]),
        ({"cookie_name": "__Host-s", "cookie_domain": "example.com"}, ["cookie_name", "cookie_domain"]),
        # RFC 6265bis 5.7: browsers compare the prefixes without regard to case.
        ({"cookie_name": "__host-s", "cookie_secure": "false"}, ["cookie_secure"]),
        ({"cookie_name": "__SECURE-s", "cookie_secure": "false"}, ["cookie_secure"]),
        ({"cookie_name": "__HOST-s", "cookie_path": "/shop"}, ["cookie_path"]),
        ({"confirm_route": "confirm"}, ["confirm_route", "login_route"]),
    ],
)
def test_contradiction(settings, named):
    message = refusal(settings)
    assert all(name in message for name in named)


@pytest.mark.parametrize(
    "settings",
    [
        {"reissue_time": "20m"},
        {"reissue_time": "30d", "timeout": "none"},
        {"cookie_samesite": "None"},  # auto: Lax where the request came over HTTP
        {"cookie_samesite": "None", "cookie_secure": "true"},
        {"cookie_samesite": "auto", "cookie_secure": "false"},
        {"cookie_name": "__Secure-s", "cookie_path": "/shop", "cookie_domain": "example.com"},
    ],
)
def test_no_contradiction(settings):
    parse(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"cookie_name": "__Host-s"},
        {"cookie_name": "__Secure-s"},
        {"cookie_partitioned": "true"},
        {"cookie_partitioned": "true", "cookie_secure": "auto"},
        {"cookie_name": "__Host-s", "cookie_secure": "true"},
    ],
)
def test_auto_means_true_where_browsers_insist(settings):
    assert parse(settings).cookie.always_secure


# Secrets


@pytest.mark.parametrize("settings", [{}, {"secret": ""}, {"secret": "  "}, {"secret": []}, {"secret": None}])
def test_secret_is_required(settings):
    with pytest.raises(ConfigurationError, match=r"sessionkit\.secret"):
        parse_settings({f"sessionkit.{name}": value for name, value in settings.items()})


@pytest.mark.parametrize(
    "given", [f"{SECRET} {OTHER_SECRET}", f"\n  {SECRET}\n  {OTHER_SECRET}\n", [SECRET, OTHER_SECRET]]
)
def test_several_secrets_keep_their_order(given):
    assert parse(secret=given).secret == (SECRET.encode(), OTHER_SECRET.encode())


def test_secrets_out_of_the_environment(monkeypatch):
    monkeypatch.setenv("APP_SECRET", f"{SECRET} {OTHER_SECRET}")
    assert parse(secret="env:APP_SECRET").secret == (SECRET.encode(), OTHER_SECRET.encode())


def test_secrets_out_of_a_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n{OTHER_SECRET}\n")
    assert parse(secret=f"file:{path}").secret == (SECRET.encode(), OTHER_SECRET.encode())


def test_secrets_of_every_kind_together(monkeypatch, tmp_path):
    monkeypatch.setenv("APP_SECRET", "e" * 32)
    (tmp_path / "secret").write_text("f" * 32)
    secrets = parse(secret=f"{SECRET} env:APP_SECRET file:{tmp_path}/secret").secret
    assert secrets == (SECRET.encode(), b"e" * 32, b"f" * 32)


def test_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("APP_SECRET", raising=False)
    message = refusal(secret="env:APP_SECRET")
    assert "sessionkit.secret" in message
    assert "APP_SECRET is not set" in message


def test_missing_file_is_named(tmp_path):
    message = refusal(secret=f"file:{tmp_path}/nothing")
    assert "sessionkit.secret" in message
    assert f"{tmp_path}/nothing" in message


def test_unreadable_file_is_not_quoted(tmp_path):
    (tmp_path / "secret").write_bytes(b"hidden" * 10 + b"\xff")
    message = refusal(secret=f"file:{tmp_path}/secret")
    assert f"{tmp_path}/secret" in message
    assert "hidden" not in message


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_empty_variable_or_file_is_refused(monkeypatch, tmp_path, empty):
    monkeypatch.setenv("APP_SECRET", empty)
    (tmp_path / "secret").write_text(empty)
    assert "sessionkit.secret" in refusal(secret="env:APP_SECRET")
    assert "sessionkit.secret" in refusal(secret=f"file:{tmp_path}/secret")


@pytest.mark.parametrize(
    "short",
    [
        "hidden",
        "hidden" * 5,
        f"{SECRET} hidden",
        f"hidden {SECRET}",
        "ü" * 16,  # 32 bytes, but 16 characters
    ],
)
def test_short_secret_is_refused_and_not_shown(short):
    message = refusal(secret=short)
    assert "sessionkit.secret" in message
    assert "32 characters" in message
    assert all(secret not in message for secret in short.split())


def test_short_secret_out_of_a_variable_is_refused_and_not_shown(monkeypatch):
    monkeypatch.setenv("APP_SECRET", "hidden")
    assert "hidden" not in refusal(secret="env:APP_SECRET")


@pytest.mark.parametrize("settings", [{"secrets": SECRET}, {"timout": SECRET}, {"timeout": "0"}, {"sql.table": "-"}])
def test_no_message_shows_the_secret(settings):
    assert SECRET not in refusal(settings)


def test_repr_shows_no_secret():
    assert SECRET not in repr(parse())


@pytest.mark.parametrize("name", ["sessionkit.sql.url", "sqlalchemy.url"])
def test_repr_shows_no_database_password(name):
    settings = parse_settings({"sessionkit.secret": SECRET, name: "postgresql://web:opensesame@db/app"})
    assert "opensesame" not in repr(settings)
    assert "opensesame" not in repr(settings.sql)


# The database


def test_sql_url_defaults_to_that_of_the_application():
    settings = {"sessionkit.secret": SECRET, "sqlalchemy.url": "sqlite:///app.sqlite"}
    assert parse_settings(settings).sql.url == "sqlite:///app.sqlite"
    own = settings | {"sessionkit.sql.url": "sqlite:///sessions.sqlite"}
    assert parse_settings(own).sql.url == "sqlite:///sessions.sqlite"


def test_sql_url_as_an_object_keeps_its_password():
    engine = pytest.importorskip("sqlalchemy.engine")
    url = engine.make_url("postgresql://web:opensesame@db/app")
    assert engine.make_url(parse({"sql.url": url}).sql.url) == url


# cookie_options


@pytest.mark.parametrize(
    ("overrides", "attribute", "expected"),
    [
        ({}, "samesite", "Lax"),
        ({"cookie_secure": True}, "secure", True),
        ({"cookie_secure": "auto"}, "secure", None),
        ({"cookie_samesite": "Strict"}, "samesite", "Strict"),
        ({"cookie_path": "/shop"}, "path", "/shop"),
        ({"cookie_domain": "example.com"}, "domain", "example.com"),
        ({"cookie_domain": None}, "domain", None),
        ({"cookie_httponly": "false"}, "httponly", False),
        ({"cookie_partitioned": True}, "always_secure", True),
        ({"cookie_priority": "High"}, "priority", "High"),
    ],
)
def test_cookie_options_override(overrides, attribute, expected):
    assert getattr(override_cookie(CookieSettings(), overrides), attribute) == expected


def test_cookie_options_leave_the_rest_and_the_settings_alone():
    settings = CookieSettings(path="/shop", samesite="Strict")
    overridden = override_cookie(settings, {"cookie_path": "/"})
    assert overridden == CookieSettings(path="/", samesite="Strict")
    assert settings.path == "/shop"


def test_cookie_options_give_auto_back_to_a_cookie_that_is_not_partitioned():
    settings = parse(cookie_partitioned=True).cookie
    assert override_cookie(settings, {"cookie_partitioned": False}).always_secure is False


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"secure": True}, "secure"),
        ({"cookie_name": "other"}, "cookie_name"),  # it has to be known before the session is read
        ({"cookie_secure": "maybe"}, "cookie_secure"),
        ({"cookie_path": "shop"}, "cookie_path"),
        ({"cookie_samesite": "None", "cookie_secure": False}, "cookie_samesite"),
        ({"cookie_partitioned": True, "cookie_secure": False}, "cookie_partitioned"),
    ],
)
def test_cookie_options_refused(overrides, named):
    with pytest.raises(ConfigurationError, match=named):
        override_cookie(CookieSettings(), overrides)


def test_cookie_options_cannot_break_the_rules_of_a_prefix():
    with pytest.raises(ConfigurationError, match="__Host-"):
        override_cookie(CookieSettings(name="__Host-s"), {"cookie_path": "/shop"})


@pytest.mark.parametrize("name", [field.name for field in fields(CookieSettings) if field.name != "name"])
def test_every_cookie_setting_but_the_name_can_be_overridden(name):
    settings = CookieSettings()
    current = getattr(settings, name)
    given = "auto" if name == "secure" else current
    assert override_cookie(settings, {f"cookie_{name}": given}) == settings


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        Settings(secret=(b"",)).timeout = 1


@pytest.mark.parametrize("name", ["sesionkit.timeout", "session_kit.sql.url", "SessionKit.secret", "sessionskit.store"])
def test_a_misspelled_prefix_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"^{re.escape(name)} is not a setting .*; did you mean sessionkit"):
        parse_settings({"sessionkit.secret": SECRET, name: "1"})


@pytest.mark.parametrize("name", ["session.timeout", "sessions.secret", "sesionkit.other", "sqlalchemy.url"])
def test_settings_of_others_are_left_alone(name):
    parse_settings({"sessionkit.secret": SECRET, name: "1"})


def test_a_secret_is_no_seal_key_too() -> None:
    key = "Zk3yqP0sV8uW1xY2zA3bC4dE5fG6hI7jK8lM9nO0pQ8"
    with pytest.raises(ConfigurationError, match=r"seal_key and sessionkit\.secret are the same"):
        parse_settings({"sessionkit.secret": key, "sessionkit.seal_key": key})
