"""An application whose requests do what their query says, browsers for it, and a store that stops at each operation."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.security import forget, remember
from zope.interface import directlyProvides, providedBy

from pyramid_sessionkit import IListable, SessionEvent, user_sessions
from pyramid_sessionkit.csrf.tokens import is_token_of
from tests.conftest import SECRET

GATED = ("load", "create", "update", "update_contents", "delete", "sessions_of")


class GatedStore:
    """Passes everything on to another store; each operation of a request that runs in steps is a step."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._gates = threading.local()
        directlyProvides(self, providedBy(store))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in GATED:
            return found

        def gated(*args: Any) -> Any:
            self.stop()
            return found(*args)

        return gated

    def stop(self) -> None:
        """A step that is no operation of the store."""
        gate: Callable[[], None] | None = getattr(self._gates, "gate", None)
        if gate is not None:
            gate()

    def stop_at(self, gate: Callable[[], None] | None) -> None:
        """The operations of this thread stop there."""
        self._gates.gate = gate


class Answer(NamedTuple):
    """What a browser got. ``cookie`` is None if none was sent, and empty if it was deleted."""

    status: int
    body: dict[str, Any]
    cookie: str | None


class Site:
    """The application, and all cookies that it ever sent."""

    def __init__(self, store: Any, **settings: Any) -> None:
        self.store = GatedStore(store)
        self.passwords: dict[str, str] = {}
        self.issued: list[str] = []
        self.told: list[SessionEvent] = []
        self.clear()
        named = {f"sessionkit.{name}": value for name, value in settings.items()}
        factory = {"sessionkit.secret": SECRET, "sessionkit.store": lambda _: self.store}
        config = Configurator(settings=factory | named)
        config.include("pyramid_sessionkit")
        config.set_session_identity(lambda request, userid: userid if userid in self.passwords else None)
        config.set_session_credentials_hash(lambda request, identity: self.passwords[identity])
        config.add_subscriber(self.told.append, SessionEvent)
        config.add_route("do", "/do")
        config.add_view(self._do, route_name="do", renderer="json")
        self._application = config.make_wsgi_app()

    def clear(self) -> None:
        """As at the beginning."""
        self.passwords.update({"ada": "1", "bob": "1"})
        self.issued.clear()
        self.told.clear()
        if IListable.providedBy(self.store):
            self.store.clear()

    def _do(self, request: Request) -> dict[str, Any]:
        seen = []
        for wish in request.params.getall("wish"):
            name, _, value = wish.partition(":")
            seen.append(getattr(self, f"_{name}")(request, value))
        return {"userid": request.authenticated_userid, "contents": dict(request.session), "seen": seen}

    def _read(self, request: Request, _: str) -> Any:
        return dict(request.session)

    def _write(self, request: Request, name: str) -> None:
        request.session.setdefault("cart", {})[name] = 1

    def _login(self, request: Request, userid: str) -> None:
        remember(request, userid)

    def _logout(self, request: Request, _: str) -> None:
        forget(request)

    def _regenerate(self, request: Request, _: str) -> None:
        request.session.regenerate_id()

    def _invalidate(self, request: Request, _: str) -> None:
        request.session.invalidate()

    def _form(self, request: Request, _: str) -> Any:
        return request.session.get_csrf_token()

    def _submit(self, request: Request, token: str) -> Any:
        return is_token_of(request.session.work, token)

    def _token(self, request: Request, _: str) -> Any:
        return request.session.new_csrf_token()

    def _password(self, request: Request, new: str) -> None:
        userid = request.authenticated_userid
        if userid is not None:
            self.passwords[userid] = new
            remember(request, userid)

    def _who(self, request: Request, _: str) -> Any:
        return request.authenticated_userid

    def _revoke(self, request: Request, _: str) -> Any:
        return user_sessions(request).revoke(key_of(self.issued[0]))

    def _others(self, request: Request, _: str) -> Any:
        return user_sessions(request).revoke_others()

    def _all(self, request: Request, _: str) -> Any:
        return user_sessions(request).revoke_all()

    def _list(self, request: Request, _: str) -> Any:
        return [[info.key, info.current] for info in user_sessions(request).list()]

    def ask(self, cookie: str | None, *wishes: str, method: str = "POST") -> Answer:
        """Send a request with this cookie."""
        path = "/do?" + "&".join(f"wish={wish}" for wish in wishes)
        request = Request.blank(path, method=method, headers={"Cookie": f"session={cookie}"} if cookie else {})
        response = request.get_response(self._application)
        body = json.loads(response.body) if response.content_type == "application/json" else {}
        sent = response.headers.get("Set-Cookie")
        value = None if sent is None else sent.partition(";")[0].partition("=")[2]
        if value:
            self.issued.append(value)
        return Answer(response.status_int, body, value)

    def whose(self, cookie: str | None) -> str | None:
        """Whom this cookie logs in."""
        userid: str | None = self.ask(cookie, "who").body["userid"]
        return userid

    def contents(self, cookie: str | None) -> dict[str, Any]:
        """What a session that this cookie opens contains."""
        contents: dict[str, Any] = self.ask(cookie, "read").body["seen"][0]
        return contents


class Browser:
    """Something that keeps a cookie. ``answers`` are those that it got, in their order."""

    def __init__(self, site: Site, cookie: str | None = None) -> None:
        self.site = site
        self.cookie = cookie
        self.answers: list[tuple[tuple[str, ...], Answer]] = []

    def ask(self, *wishes: str, method: str = "POST") -> Answer:
        answer = self.site.ask(self.cookie, *wishes, method=method)
        self._take(wishes, answer)
        return answer

    def step_by_step(self, *wishes: str, method: str = "POST") -> Callable[[Callable[[], None]], None]:
        """The same as a run in steps: it is sent, each operation of the store, and the answer arrives."""

        def run(gate: Callable[[], None]) -> None:
            sent = self.cookie
            self.site.store.stop_at(gate)
            try:
                answer = self.site.ask(sent, *wishes, method=method)
            finally:
                self.site.store.stop_at(None)
            gate()
            self._take(wishes, answer)

        return run

    def _take(self, wishes: tuple[str, ...], answer: Answer) -> None:
        self.answers.append((wishes, answer))
        if answer.cookie is not None:
            self.cookie = answer.cookie or None


def key_of(cookie: str) -> str:
    return cookie.partition(".")[0]
