"""Sessions of another library go on in ours, so that nobody is logged out when a site changes to this one."""

from pyramid_sessionkit.adoption.old_sessions import Adopted, OldSessions, cookie_values

__all__ = ["Adopted", "OldSessions", "cookie_values"]
