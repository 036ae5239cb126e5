"""For administrators: the route's context says who that is. What they do is written to the log."""

import logging
import re
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import view_config, view_defaults
from sqlalchemy import Select, func, or_, select

from example_app import forms
from example_app.models import User
from example_app.security import log_out_everywhere
from example_app.views import NO_STORE, utc
from pyramid_sessionkit import Request, SessionInfo, get_sessions

log = logging.getLogger(__name__)

SHOWN = 50
USERS_ON_A_PAGE = 20

_is_beginning_of_key = re.compile("[A-Za-z0-9_-]{4,64}").fullmatch


@view_defaults(logged_in=True, permission="admin", http_cache=NO_STORE)
class AdminViews:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.sessions = get_sessions(request.registry)

    @view_config(route_name="admin", request_method="GET", renderer="example_app:templates/admin.jinja2")
    def page(self) -> dict[str, Any]:
        q, number = forms.search(self.request.GET)
        # Not limited by owned(): what administrators see is everyone's.
        found = _search(q)
        total = self.request.dbsession.scalar(select(func.count()).select_from(found.subquery()))
        offset = (number - 1) * USERS_ON_A_PAGE
        statement = found.order_by(User.id).offset(offset).limit(USERS_ON_A_PAGE)
        users = self.request.dbsession.scalars(statement).all()
        sessions = self._found_sessions(q, [str(user.id) for user in users]) if q else self.sessions.all(SHOWN)
        return {
            "q": q,
            "page": number,
            "pages": -(-total // USERS_ON_A_PAGE),
            "users": users,
            "total": total,
            "sessions": self._described(sessions),
            "alive": len(sessions) if q else self.sessions.count(),
        }

    @view_config(route_name="admin_revoke", request_method="POST")
    def revoke(self) -> HTTPSeeOther:
        key = self.request.matchdict["key"]
        if self._is_own(key):
            return self._back("This is the session that you are using. Log out instead.", "error")
        if not self.sessions.revoke(key):
            return self._back("There is no such session any more.", "error")
        self._log("ended session %s", key[:8])
        return self._back(f"Session {key[:8]} is ended.")

    @view_config(route_name="admin_log_out_user", request_method="POST")
    def log_out_user(self) -> HTTPSeeOther:
        userid = str(int(self.request.matchdict["id"]))
        count = log_out_everywhere(self.request, userid, but=self.request.session.key)
        self._log("ended the %d sessions of user %s", count, userid)
        return self._back(f"{count} {'session is' if count == 1 else 'sessions are'} ended.")

    def _found_sessions(self, q: str, userids: list[str]) -> list[SessionInfo]:
        """The sessions of the users that were found, and those whose key begins with ``q``."""
        keys = self.sessions.keys_beginning_with(q, SHOWN) if _is_beginning_of_key(q) else []
        by_key = [session for session in map(self.sessions.get, keys) if session]
        of_users = [session for userid in userids for session in self.sessions.of_user(userid)]
        return list({session.key: session for session in by_key + of_users}.values())[:SHOWN]

    def _described(self, sessions: list[SessionInfo]) -> list[dict[str, Any]]:
        """What the page shows of them, without their contents."""
        names = self._names({session.userid for session in sessions if session.userid})
        return [
            {
                "user": names.get(session.userid, f"{session.userid} (gone)") if session.userid else None,
                "key": session.key,
                "created": utc(session.created),
                "last_seen": utc(session.renewed),
                "current": self._is_own(session.key),
            }
            for session in sessions
        ]

    def _names(self, userids: set[str]) -> dict[str, str]:
        of_these = User.id.in_([int(userid) for userid in userids if userid.isdecimal()])
        rows = self.request.dbsession.execute(select(User.id, User.name).where(of_these))
        return {str(user_id): name for user_id, name in rows}

    def _is_own(self, key: str) -> bool:
        return bool(key == self.request.session.key)

    def _log(self, what: str, *args: Any) -> None:
        log.info(f"Administrator %s {what}", self.request.authenticated_userid, *args)

    def _back(self, text: str, queue: str = "") -> HTTPSeeOther:
        """To the same results of the search."""
        self.request.session.flash(text, queue)
        query = {name: self.request.POST[name] for name in ("q", "page") if name in self.request.POST}
        return HTTPSeeOther(self.request.route_path("admin", _query=query))


def _search(q: str) -> Select[tuple[User]]:
    if not q:
        return select(User)
    return select(User).where(or_(*(column.icontains(q, autoescape=True) for column in (User.name, User.email))))
