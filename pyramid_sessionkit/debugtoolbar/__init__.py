"""A panel of pyramid_debugtoolbar: ``debugtoolbar.includes = pyramid_sessionkit.debugtoolbar``."""

from __future__ import annotations

from typing import Any

from pyramid_sessionkit.debugtoolbar.journal import observe_sessions


def includeme(config: Any) -> None:
    """Add the panel. ``config`` is the toolbar's own; what it injects is called with that of the application."""
    config.add_debugtoolbar_panel("pyramid_sessionkit.debugtoolbar.panel.SessionPanel")
    config.inject_parent_action(observe_sessions)
