"""What a check of ``psessions check`` found."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Result:
    check: str
    status: str
    message: str
