"""How an application replaces the parts of the security policy, and when the policy is registered."""

from __future__ import annotations

from typing import Any

from pyramid.config import PHASE1_CONFIG, PHASE2_CONFIG, Configurator
from pyramid.interfaces import ISecurityPolicy

from pyramid_sessionkit.arguments import check_arguments
from pyramid_sessionkit.csrf.exemption import exempt_programs
from pyramid_sessionkit.security import CredentialsHash, Identity, Principals, SessionSecurityPolicy
from pyramid_sessionkit.sources import SessionSource, Source

_PARTS = "pyramid_sessionkit.policy_parts"
_SOURCES = "pyramid_sessionkit.policy_sources"


def add_security_directives(config: Configurator, **parts: Any) -> None:
    """Add the directives; ``parts`` are what the settings named, which a directive replaces."""
    config.registry[_PARTS] = {name: part for name, part in parts.items() if part is not None}
    config.registry[_SOURCES] = [SessionSource()]
    config.add_directive("set_session_identity", set_session_identity)
    config.add_directive("set_session_principals", set_session_principals)
    config.add_directive("set_session_credentials_hash", set_session_credentials_hash)
    config.add_directive("add_session_source", add_session_source)
    for name, part in parts.items():
        if part is not None:
            _introspect(config, name, part)


def set_session_identity(config: Configurator, identity: Identity) -> None:
    """``config.set_session_identity(f)``: as the setting ``sessionkit.identity``; a function or its dotted name."""
    _set_part(config, "identity", identity)


def set_session_principals(config: Configurator, principals: Principals) -> None:
    """``config.set_session_principals(f)``: as the setting ``sessionkit.principals``."""
    _set_part(config, "principals", principals)


def set_session_credentials_hash(config: Configurator, credentials_hash: CredentialsHash) -> None:
    """``config.set_session_credentials_hash(f)``: as the setting ``sessionkit.credentials_hash``."""
    _set_part(config, "credentials_hash", credentials_hash)


def add_session_source(config: Configurator, source: Source) -> None:
    """``config.add_session_source(f)``: ask this source too, after the session and those added before.

    ``forget()`` ends the session alone. If this source reads a cookie, your logout has to delete that cookie too.
    """
    source = config.maybe_dotted(source)

    def register() -> None:
        config.registry[_SOURCES].append(source)

    config.action(None, register, order=PHASE1_CONFIG, introspectables=(_introspectable(config, "source", source),))


def add_security_policy(config: Configurator) -> None:
    """Register the policy after the application's own actions, and only if those registered none."""

    def register() -> None:
        registry = config.registry
        if registry.queryUtility(ISecurityPolicy) is None:
            policy = SessionSecurityPolicy(sources=registry[_SOURCES], **registry[_PARTS])
            registry.registerUtility(policy, ISecurityPolicy)
        exempt_programs(registry)

    # After Pyramid's own policies (PHASE2), before the views that need one. No discriminator: never in conflict.
    config.action(None, register, order=PHASE2_CONFIG + 1)


def _set_part(config: Configurator, name: str, part: Any) -> None:
    part = config.maybe_dotted(part)
    check_arguments(f"sessionkit.{name}", part)

    def register() -> None:
        config.registry[_PARTS][name] = part

    config.action(
        ("pyramid_sessionkit", name),
        register,
        order=PHASE1_CONFIG,
        introspectables=(_introspectable(config, name, part),),
    )


def _introspect(config: Configurator, name: str, part: Any) -> None:
    config.action(None, introspectables=(_introspectable(config, name, part),))


def _introspectable(config: Configurator, name: str, part: Any) -> Any:
    described = config.object_description(part)
    introspectable = config.introspectable("session security", (name, described), described, f"session {name}")
    introspectable["callable"] = part
    return introspectable
