"""Where a user is logged in, and logging out from there."""

from typing import Any

from pyramid.httpexceptions import HTTPNoContent, HTTPNotFound
from pyramid.request import Request
from pyramid.view import view_config, view_defaults

from example_app.views import NO_STORE
from example_app.views.devices import described
from pyramid_sessionkit import SessionInfo, user_sessions


@view_defaults(logged_in=True, http_cache=NO_STORE, renderer="json", openapi=True)
class DeviceViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(route_name="api_devices", request_method="GET")
    def devices(self) -> dict[str, Any]:
        return {"devices": [_as_json(session) for session in user_sessions(self.request).list()]}

    @view_config(route_name="api_devices", request_method="DELETE")
    def log_out_others(self) -> HTTPNoContent:
        user_sessions(self.request).revoke_others()
        return HTTPNoContent()

    @view_config(route_name="api_device", request_method="DELETE")
    def log_out(self) -> HTTPNoContent:
        if not user_sessions(self.request).revoke(self.request.matchdict["key"]):
            raise HTTPNotFound(explanation="You are not logged in on such a device.")
        return HTTPNoContent()


def _as_json(session: SessionInfo) -> dict[str, Any]:
    device = described(session)
    return {**device, "since": device["since"].isoformat(), "last_seen": device["last_seen"].isoformat()}
