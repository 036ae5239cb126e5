"""Where a user is logged in, and logging out from there. What is revoked here is ended right after the view."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import view_config, view_defaults

from example_app.views import NO_STORE, utc
from pyramid_sessionkit import Request, SessionInfo, user_sessions


@view_defaults(logged_in=True, http_cache=NO_STORE)
class DeviceViews:
    def __init__(self, request: Request) -> None:
        self.request = request

    @view_config(route_name="devices", request_method="GET", renderer="example_app:templates/devices.jinja2")
    def page(self) -> dict[str, Any]:
        sessions = user_sessions(self.request).list()
        # This one first, then the latest login.
        sessions.sort(key=lambda session: (session.current, session.created), reverse=True)
        return {"devices": [described(session) for session in sessions]}

    @view_config(route_name="device_log_out", request_method="POST")
    def log_out(self) -> HTTPSeeOther:
        if user_sessions(self.request).revoke(self.request.matchdict["key"]):
            self.request.session.flash("That device is logged out.")
        else:
            self.request.session.flash("You are not logged in on such a device. Nothing was ended.", "error")
        return self._back()

    @view_config(
        route_name="devices_log_out_others",
        request_method="GET",
        renderer="example_app:templates/devices_log_out_others.jinja2",
    )
    def question(self) -> dict[str, Any]:
        return {"others": len(user_sessions(self.request).list()) - 1}

    @view_config(route_name="devices_log_out_others", request_method="POST")
    def log_out_others(self) -> HTTPSeeOther:
        count = user_sessions(self.request).revoke_others()
        devices = "1 other device is" if count == 1 else f"{count} other devices are"
        self.request.session.flash(f"{devices} logged out." if count else "There was no other device to log out.")
        return self._back()

    def _back(self) -> HTTPSeeOther:
        return HTTPSeeOther(self.request.route_path("devices"))


def described(session: SessionInfo) -> dict[str, Any]:
    """What users see of a session of theirs."""
    device = session.contents.get("device", {})
    return {
        "key": session.key,
        "browser": device.get("browser", "Unknown browser"),
        "address": device.get("address", ""),
        "since": utc(session.created),
        "last_seen": utc(session.renewed),
        "current": session.current,
    }
