"""How a 401 says what to send: the challenges of the policy's sources, in ``WWW-Authenticate`` (RFC 9110 §11.6.1)."""

from __future__ import annotations

from typing import Any

from pyramid.interfaces import ISecurityPolicy

from pyramid_sessionkit.in_use import find_session
from pyramid_sessionkit.security import SessionSecurityPolicy


def challenges(request: Any) -> list[str]:
    """How a program may say who sends the request."""
    return [source.challenge for source in _sources(request) if hasattr(source, "challenge")]


def refusals(request: Any) -> list[str]:
    """The challenges for what the request brought to say who sends it, and what no source took."""
    if request.is_authenticated or _session_was_asked(request):
        return []
    found = [source.refusal(request) for source in _sources(request) if hasattr(source, "refusal")]
    # Each once: several sources may read tokens.
    return list(dict.fromkeys(refusal for refusal in found if refusal is not None))


def _session_was_asked(request: Any) -> bool:
    """Whether the session named a user whose login this request has ended: then no other source was asked."""
    session = find_session(request)
    return session is not None and session.work.judged is not None


def _sources(request: Any) -> tuple[Any, ...]:
    policy = request.registry.queryUtility(ISecurityPolicy)
    return policy.sources if isinstance(policy, SessionSecurityPolicy) else ()
