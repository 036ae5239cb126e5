"""Which requests the pages of this site send, and which those of another."""

from __future__ import annotations

from typing import Any

from pyramid_sessionkit.session_id.headers import is_https

TRUST_PROXY = "pyramid_sessionkit.trust_proxy"
"""Where the registry holds the setting ``sessionkit.trust_proxy``."""


def is_from_this_site(request: Any) -> bool:
    """Whether a page of this site has sent the request: the browser says so, in ``Origin`` and ``Sec-Fetch-Site``.

    No page of another site can change these headers. Without ``Origin`` the answer is False. Browsers send it with each
    ``POST``, but not with each ``GET``.
    """
    scheme = "https" if is_https(request, request.registry.get(TRUST_PROXY, False)) else "http"
    this_site = f"{scheme}://{request.host_url.partition('://')[2]}"
    # Some proxies set Origin, so that every request seems to come from this site: then the other header counts.
    sender = request.headers.get("Sec-Fetch-Site", "same-origin")
    return bool(request.headers.get("Origin") == this_site and sender == "same-origin")
