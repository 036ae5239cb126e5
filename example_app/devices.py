"""What a session keeps of the device that logged in, so that its user recognizes it."""

from pyramid.request import Request

LONGEST_ADDRESS = 45  # characters: an IPv6 address that ends in an IPv4 one

# How browsers name themselves. The order matters: each also names some of those below.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chromium/": "Chromium",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "CrOS": "ChromeOS",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "Linux": "Linux",
}


def device_of(request: Request) -> dict[str, str]:
    """Of whoever sends this request: a browser and an address, both short whatever was sent."""
    return {
        "browser": browser_name(request.user_agent or ""),
        # Not client_addr, which believes any X-Forwarded-For: see throttle.py.
        "address": (request.remote_addr or "")[:LONGEST_ADDRESS],
    }


def browser_name(user_agent: str) -> str:
    """``Firefox on Linux``."""
    browser = _first(BROWSERS, user_agent) or "Unknown browser"
    system = _first(SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def _first(names: dict[str, str], user_agent: str) -> str | None:
    return next((name for mark, name in names.items() if mark in user_agent), None)
