import hmac
from base64 import urlsafe_b64encode
from time import perf_counter

import pytest

from pyramid_sessionkit.session_id.cookie import MAX_AGE, CookieHeaders, CookieSigner
from pyramid_sessionkit.settings import CookieSettings
from pyramid_sessionkit.state import BLANK_KEY, Presented

SECRET, NEW_SECRET = b"s" * 32, b"t" * 32
KEY, ITS_SECRET = "A1" * 11, "s" * 41 + "-_"
ONE = Presented(KEY, ITS_SECRET)
OTHER = Presented("tenant-1_" + "b" * 22, "b" * 42 + "_")
BLANK = Presented(BLANK_KEY, "c" * 43)


@pytest.fixture(name="signer")
def _signer():
    return CookieSigner("session", [SECRET])


def swap(text, index):
    """``text`` with another character of the alphabet at ``index``."""
    return text[:index] + ("x" if text[index] != "x" else "y") + text[index + 1 :]


# Signatures


@pytest.mark.parametrize("presented", [ONE, OTHER, BLANK, ONE._replace(key="a" * 64)])
def test_what_was_signed_verifies(signer, presented):
    assert signer.verify(signer.sign(presented)) == presented


def test_rotation():
    old, both, new = (CookieSigner("session", secrets) for secrets in ([SECRET], [NEW_SECRET, SECRET], [NEW_SECRET]))
    assert both.verify(old.sign(ONE)) == ONE
    assert both.sign(ONE) == new.sign(ONE)
    assert new.verify(old.sign(ONE)) is None


def test_the_signature_covers_the_name(signer):
    assert CookieSigner("admin", [SECRET]).verify(signer.sign(ONE)) is None


@pytest.mark.parametrize("secret", [SECRET, b"s" * 64, b"s" * 65, b"s" * 1000])
def test_the_signature_is_an_hmac_under_a_key_of_its_own(secret):
    # Another way to compute it would log out everyone who has a cookie.
    key = hmac.digest(secret, b"pyramid_sessionkit cookie session", "sha256")
    signed = f"{KEY}.{ITS_SECRET}"
    signature = urlsafe_b64encode(hmac.digest(key, signed.encode(), "sha256")).decode().rstrip("=")
    assert CookieSigner("session", [secret]).sign(ONE) == f"{signed}.{signature}"


@pytest.mark.parametrize("presented", [ONE, BLANK])
def test_every_character_is_covered(signer, presented):
    value = signer.sign(presented)
    changed = [swap(value, index) for index in range(len(value)) if value[index] != "."]
    assert not [value for value in changed if signer.verify(value)]


def test_where_the_key_ends_is_covered(signer):
    value = signer.sign(OTHER)
    _, secret, signature = value.split(".")
    assert signer.verify(f"{OTHER.key}.b.{secret[1:]}.{signature}") is None
    assert signer.verify(f"{OTHER.key}b.{secret[1:]}.{signature}") is None
    assert signer.verify(f"{OTHER.key[:-1]}.b{secret}.{signature}") is None


def test_no_secret_shows_in_what_is_printed():
    assert repr(ONE) == f"<Presented {KEY}>"


SIGNED = CookieSigner("session", [SECRET]).sign(ONE)
SIGNATURE = SIGNED.rpartition(".")[2]


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        KEY,
        f"{KEY}.",
        f"{KEY}.{ITS_SECRET}",
        f"{KEY}.{ITS_SECRET}.",
        f".{ITS_SECRET}.{SIGNATURE}",
        f"{KEY}..{SIGNATURE}",
        f"{KEY}.{SIGNATURE}",
        f"..{SIGNATURE}",
        f"-.{ITS_SECRET}.{SIGNATURE}",
        f"{SIGNED}A",
        SIGNED[:-1],
        f"{SIGNED}=",
        f"{SIGNED}\n",
        f" {SIGNED}",
        f"{SIGNED}.{SIGNATURE}",
        f"{KEY}.{ITS_SECRET}.{SIGNATURE.upper()}",
        f"{KEY}.{ITS_SECRET}.{'A' * 43}",
        f"{OTHER.key}.{ITS_SECRET}.{SIGNATURE}",
        f"{KEY}.{OTHER.secret}.{SIGNATURE}",
        f"{KEY}.{ITS_SECRET}.{'é' * 43}",
        f"{KEY}.{ITS_SECRET}.{'٣' * 43}",
        f"{KEY}\x00.{ITS_SECRET}.{SIGNATURE}",
        "A" * 1_000_000,
        f"{'A' * 1_000_000}.{ITS_SECRET}.{SIGNATURE}",
        f"{KEY}.{'A' * 1_000_000}.{SIGNATURE}",
    ],
    ids=lambda value: ascii(value[:50]),
)
def test_refused(signer, value):
    assert signer.verify(value) is None


@pytest.mark.parametrize(
    "presented",
    [
        *(
            ONE._replace(key=key)
            for key in ("a" * 21, "a" * 65, "a" * 22 + "+", "a" * 22 + "/", "a" * 22 + "=", "", "--")
        ),
        *(ONE._replace(secret=secret) for secret in ("a" * 42, "a" * 44, "a" * 42 + "+", "a" * 42 + "=", "")),
    ],
    ids=lambda presented: f"{presented.key[-3:]}.{len(presented.secret)}{presented.secret[-1:]}",
)
def test_refused_though_signed(signer, presented):
    assert signer.verify(signer.sign(presented)) is None


# The Cookie header


def signed(presented):
    return CookieSigner("session", [SECRET]).sign(presented)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        (";", []),
        ("session", []),
        ("session=", []),
        ("=session", []),
        (f"session={signed(ONE)}", [ONE]),
        (f"a=1; session={signed(ONE)}; b=2", [ONE]),
        (f"a=1;session={signed(ONE)};b=2", [ONE]),
        (f"session={signed(ONE)}; session={signed(OTHER)}", [ONE, OTHER]),
        (f"session={signed(OTHER)}; session={signed(ONE)}", [OTHER, ONE]),
        (f"session={signed(ONE)}; session={signed(ONE)}", [ONE]),
        (f"session={signed(BLANK)}; session={signed(ONE)}", [BLANK, ONE]),
        (f"session=forged; session={signed(ONE)}", [ONE]),
        (f"session={signed(ONE)[:-1]}; session={signed(ONE)}", [ONE]),
        # What breaks http.cookies or WebOb in anyone's cookie must not break ours.
        (f'x="\\377"; session={signed(ONE)}', [ONE]),
        (f"x=\xff\xfe; session={signed(ONE)}", [ONE]),
        (f'x="unclosed; session={signed(ONE)}', [ONE]),
        (f"a[b]=1; na me=2; {{}}; ,; session={signed(ONE)}", [ONE]),
        (f"$Version=1; session={signed(ONE)}", [ONE]),
        (f"x; session={signed(ONE)}", [ONE]),
        (f'session="{signed(ONE)}"', [ONE]),
        (f"  session = {signed(ONE)}  ", [ONE]),
        (f"a=1;\tsession={signed(ONE)}", [ONE]),
        # Names that merely contain ours.
        (f"mysession={signed(ONE)}", []),
        (f"session2={signed(ONE)}", []),
        (f"Session={signed(ONE)}", []),
        (f"my session={signed(ONE)}", []),
        (f"x=session={signed(ONE)}", []),
        (f"__Host-session={signed(ONE)}", []),
        (f'"session"={signed(ONE)}', []),
    ],
)
def test_presented(signer, header, found):
    assert signer.presented(header) == found


@pytest.mark.parametrize("stray", ["\xa0", "\x85", "\x1f", "\x0b", "\x0c"])
@pytest.mark.parametrize("name", ["{}session", "session{}"])
def test_a_name_with_a_stray_byte_is_another_name(signer, name, stray):
    # To a browser such a cookie lacks the prefix of __Host-session, so any subdomain can set it.
    assert signer.presented(f"{name.format(stray)}={signed(ONE)}") == []


@pytest.mark.parametrize(
    ("header", "present"),
    [
        ("", False),
        ("session=", True),
        ("session=junk", True),
        (f"a=1; session={signed(ONE)}", True),
        ("mysession=junk", False),
        ("a=session", False),
    ],
)
def test_is_in(signer, header, present):
    assert signer.is_in(header) is present


@pytest.mark.parametrize(
    ("header", "claimed"),
    [
        ("", []),
        (f"a=1; session={signed(ONE)}", []),
        ("session=", [""]),
        ("session=junk; a=1", [""]),
        (f"session={KEY}.{ITS_SECRET}.{'x' * 43}", [KEY]),
        (f"session={signed(ONE)}; session={OTHER.key}.{ITS_SECRET}.{'x' * 43}; session=junk", [OTHER.key, ""]),
    ],
)
def test_a_forgery_names_the_key_that_it_claims(signer, header, claimed):
    assert signer.unsigned(header) == claimed


@pytest.mark.parametrize(
    "header",
    [
        "session=" * 200_000,
        "session=x;" * 100_000,
        "session;" * 100_000,
        ";" * 1_000_000,
        '"' * 1_000_000 + "session",
        "session=" + '"' * 1_000_000,
        f"session={'A' * 22}.{'A' * 43}.{'A' * 43};" * 10_000,
    ],
    ids=lambda header: header[:12],
)
def test_a_huge_header_takes_no_longer_than_its_length(signer, header):
    began = perf_counter()
    assert signer.presented(header) == []
    assert perf_counter() - began < 2


# Set-Cookie


def header(https=True, max_age=None, **settings):
    return CookieHeaders(CookieSettings(**settings)).set("value", https, max_age)


@pytest.mark.parametrize(
    ("settings", "https", "expected"),
    [
        ({}, False, "session=value; Path=/; HttpOnly; SameSite=Lax"),
        ({}, True, "session=value; Path=/; Secure; HttpOnly; SameSite=Lax"),
        ({"secure": False}, True, "session=value; Path=/; HttpOnly; SameSite=Lax"),
        ({"secure": True}, True, "session=value; Path=/; Secure; HttpOnly; SameSite=Lax"),
        ({"httponly": False}, False, "session=value; Path=/; SameSite=Lax"),
        ({"path": "/shop"}, False, "session=value; Path=/shop; HttpOnly; SameSite=Lax"),
        ({"domain": "a.example"}, False, "session=value; Path=/; Domain=a.example; HttpOnly; SameSite=Lax"),
        ({"priority": "High"}, False, "session=value; Path=/; HttpOnly; SameSite=Lax; Priority=High"),
        (
            {"partitioned": True, "samesite": "None"},
            True,
            "session=value; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        ),
        ({"name": "__Host-s"}, True, "__Host-s=value; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (
            {"name": "__Secure-s", "path": "/a", "domain": "a.example"},
            True,
            "__Secure-s=value; Path=/a; Domain=a.example; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            {"samesite": "None", "partitioned": True, "priority": "Low", "httponly": False},
            True,
            "session=value; Path=/; Secure; SameSite=None; Partitioned; Priority=Low",
        ),
    ],
)
def test_set(settings, https, expected):
    assert header(https, **settings) == expected


@pytest.mark.parametrize(
    ("samesite", "over_http", "over_https"),
    [
        ("Lax", "; SameSite=Lax", "; SameSite=Lax"),
        ("Strict", "; SameSite=Strict", "; SameSite=Strict"),
        ("None", "; SameSite=Lax", "; SameSite=None"),
        ("auto", "; SameSite=Lax", "; SameSite=None"),
        ("off", "", ""),
    ],
)
def test_samesite(samesite, over_http, over_https):
    assert header(False, samesite=samesite) == f"session=value; Path=/; HttpOnly{over_http}"
    assert header(True, samesite=samesite) == f"session=value; Path=/; Secure; HttpOnly{over_https}"


def test_samesite_auto_is_lax_for_a_cookie_that_is_never_secure():
    assert header(True, samesite="auto", secure=False).endswith("SameSite=Lax")


@pytest.mark.parametrize(
    ("seconds", "max_age"),
    [(0, 0), (1, 1), (1200, 1200), (400 * 86400, 400 * 86400), (400 * 86400 + 1, 400 * 86400), (10**12, 400 * 86400)],
)
def test_max_age(seconds, max_age):
    assert f"; Max-Age={max_age}; " in header(max_age=seconds)


def test_max_age_is_left_out_for_a_cookie_that_ends_with_the_browser():
    assert "Max-Age" not in header()
    assert "Expires" not in header()
    assert MAX_AGE == 400 * 86400


EXPIRED = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize(
    ("settings", "https", "expected"),
    [
        ({}, False, f"session=; {EXPIRED}; Path=/; HttpOnly; SameSite=Lax"),
        ({"name": "__Host-s"}, True, f"__Host-s=; {EXPIRED}; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (
            {"path": "/shop", "domain": "a.example"},
            False,
            f"session=; {EXPIRED}; Path=/shop; Domain=a.example; HttpOnly; SameSite=Lax",
        ),
        # A partitioned cookie lives in another jar than one without the attribute.
        (
            {"partitioned": True, "samesite": "None"},
            True,
            f"session=; {EXPIRED}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        ),
    ],
)
def test_delete(settings, https, expected):
    assert CookieHeaders(CookieSettings(**settings)).delete(https) == expected


# Where no cookie can be sent


@pytest.mark.parametrize(
    ("cookie_path", "path", "matches"),
    [
        ("/", "/", True),
        ("/", "/anything/at/all", True),
        ("/shop", "/shop", True),
        ("/shop", "/shop/", True),
        ("/shop", "/shop/cart", True),
        ("/shop", "/shopping", False),
        ("/shop", "/Shop", False),
        ("/shop", "/", False),
        ("/shop", "/a/shop", False),
        ("/shop/", "/shop/cart", True),
        ("/shop/", "/shop/", True),
        ("/shop/", "/shop", False),
    ],
)
def test_cookie_path(cookie_path, path, matches):
    refusal = CookieHeaders(CookieSettings(path=cookie_path)).refusal(True, path)
    assert (refusal is None) is matches
    assert matches or f"sessionkit.cookie_path = {cookie_path}" in refusal


@pytest.mark.parametrize(
    ("settings", "https", "sent"),
    [
        ({}, False, True),
        ({}, True, True),
        ({"secure": False}, False, True),
        ({"secure": True}, True, True),
        ({"secure": True}, False, False),
        ({"name": "__Host-s"}, False, False),
        ({"partitioned": True}, False, False),
    ],
)
def test_secure(settings, https, sent):
    refusal = CookieHeaders(CookieSettings(**settings)).refusal(https, "/")
    assert (refusal is None) is sent
    assert sent or ("sessionkit.cookie_secure" in refusal and "sessionkit.trust_proxy" in refusal)
