from __future__ import annotations

import pytest
from pyramid.registry import Registry
from pyramid.request import Request

from pyramid_sessionkit import is_from_this_site
from pyramid_sessionkit.csrf.this_site import TRUST_PROXY

HERE = {"Origin": "http://localhost"}
TLS_PROXY = {"X-Forwarded-Proto": "https"}


def is_ours(headers: dict[str, str], **settings: bool) -> bool:
    request = Request.blank("/", headers=headers, method="POST")
    request.registry = Registry()
    request.registry.update(settings)
    return is_from_this_site(request)


@pytest.mark.parametrize("headers", [HERE, {**HERE, "Sec-Fetch-Site": "same-origin"}])
def test_a_form_of_this_site_is_known(headers: dict[str, str]) -> None:
    assert is_ours(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "https://localhost"},
        {**HERE, "Sec-Fetch-Site": "cross-site"},
        {**HERE, "Sec-Fetch-Site": "same-site"},
    ],
)
def test_all_others_are_not(headers: dict[str, str]) -> None:
    assert not is_ours(headers)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_proxy_says_which_scheme_if_it_is_trusted(trusted: bool) -> None:
    assert is_ours({"Origin": "https://localhost", **TLS_PROXY}, **{TRUST_PROXY: trusted}) is trusted
    assert is_ours({**HERE, **TLS_PROXY}, **{TRUST_PROXY: trusted}) is not trusted
