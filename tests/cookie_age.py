"""How long a browser keeps the cookie of a response."""

import re
from typing import Any


def lasts(response: Any, seconds: int) -> bool:
    """Whether its cookie is kept for so long. A new second may have begun between the login and the response."""
    found = re.search(r"Max-Age=(\d+);", response.headers["Set-Cookie"])
    return found is not None and int(found[1]) in (seconds, seconds - 1)
