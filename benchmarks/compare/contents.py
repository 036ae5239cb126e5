"""What every session holds, and the secret that signs what has to be signed; what the writers have counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECRET = "only-for-the-benchmark-" + "x" * 32
CONTENTS: dict[str, Any] = {"user": "ada", "cart": {"apples": 3, "pears": 5}, "seen": [1, 2, 3], "_csrft_": "x" * 40}


def total(session: Mapping[str, Any]) -> int:
    """What the view ``add`` has counted, each writer in a number of its own."""
    return sum(value for name, value in dict(session.items()).items() if name[0] == "n")
