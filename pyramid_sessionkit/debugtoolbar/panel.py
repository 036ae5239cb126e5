"""The panel: it has the sessions of its request noted, and shows them to whoever opens the toolbar later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mako.template import Template
from pyramid_debugtoolbar.panels import DebugPanel

from pyramid_sessionkit.debugtoolbar.explained import Explained, explain
from pyramid_sessionkit.debugtoolbar.journal import JOURNALS, Journal
from pyramid_sessionkit.in_use import sessions_in_use

# Everything in it is escaped.
_TEMPLATE = Template(  # noqa: S702
    filename=str(Path(__file__).parent / "templates" / "session.dbtmako"), default_filters=["h"]
)


class SessionPanel(DebugPanel):  # type: ignore[misc]
    """What a request did to its session, and what became of that. It keeps text alone, and never the request.

    By its name it takes the place of the toolbar's own panel. That one loads each session that a request asks for, if
    it is used or not, and shows values that a visitor chose as markup.
    """

    name = "session"
    title = "Session"
    nav_title = title
    has_content = True

    def __init__(self, request: Any) -> None:
        self._journals: list[Journal] = []
        request.__dict__[JOURNALS] = self._journals
        self._sessions: list[Explained] = []
        self.data = {"ended": False, "recorded": True, "sessions": self._sessions}
        # The last response callback decides what is sent, and may still save: it runs after the toolbar's tween.
        request.add_finished_callback(self._request_ended)

    def _request_ended(self, request: Any) -> None:
        for name, work in sessions_in_use(request).items():
            observer = work.persistence.observer
            if isinstance(observer, Journal):
                self._sessions.append(explain(name, work, observer))
            else:
                # The panel alone was named in debugtoolbar.extra_panels.
                self.data["recorded"] = False
        self.data["ended"] = True

    @property
    def nav_subtitle(self) -> str:
        """How many calls of the store there were."""
        return str(len(self._calls) or "")

    @property
    def _calls(self) -> list[Any]:
        return [call for journal in self._journals for call in journal.calls]

    def render_content(self, request: Any) -> str:
        """The panel as HTML. A response that is streamed may read its session after the request has ended.

        The template is read as a file. Pyramid would look for it with pkg_resources, which finds nothing in packages
        that pytest has loaded because of their fixtures.
        """
        return str(_TEMPLATE.render_unicode(**self.data, calls=self._calls))
