"""A child process must neither talk on its parent's connections nor close them."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Connected(Protocol):
    """Something that has connections, and can leave them to the process that opened them."""

    def forget(self) -> None: ...


def forget_after_fork(connected: Connected) -> None:
    """Call ``connected.forget()`` in every child process, for as long as anyone uses it."""
    reference = weakref.ref(connected)

    def forget() -> None:
        inherited = reference()
        if inherited is not None:
            inherited.forget()

    os.register_at_fork(after_in_child=forget)
