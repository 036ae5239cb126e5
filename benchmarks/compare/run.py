"""What a run was asked to do, and what its parts share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare.catalogue import App

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    apps: list[App]
    addresses: dict[str, str]
    folder: Path
    say: Callable[[str], None]
    quick: bool = False
    rounds: int | None = None

    def stores(self) -> list[str]:
        """Those of the applications, in their order."""
        return list(dict.fromkeys(app.store for app in self.apps if app.store))


def one_core() -> set[int]:
    """Give this process and all that it starts a single core, and return the others.

    Then time that a server spends is time that the request takes, and nothing depends on how many cores there are.
    """
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    return set(cores[1:]) or set(cores)
