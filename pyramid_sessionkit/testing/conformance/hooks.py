"""What the author of a store adds for the suite, besides the fixture that makes a store."""

from __future__ import annotations

from typing import Any

import pytest

from pyramid_sessionkit.testing.conformance.network import closed_port


class Hooks:
    """Override these in your subclass. The tests that need one that you leave out are skipped, and say which."""

    longest_wait = 10.0
    """Seconds that a call may take if the server never answers: the store's time-out, and room for a slow machine."""

    def at(self, host: str, port: int) -> Any:
        """A store of this kind whose server is at this address, with a time-out of a second or less.

        It makes all tests of outages possible: the suite listens there itself, and never answers.
        """
        pytest.skip("write the hook at(host, port), which returns a store whose server is there")

    def address(self) -> tuple[str, int]:
        """The address of the server behind the fixture ``store``.

        Together with :meth:`at` it lets the suite stand between a store and its server: it closes connections, and
        loses answers.
        """
        pytest.skip("write the hook address(), which returns the host and port of the server behind the fixture")

    def unreachable(self) -> Any:
        """A store of this kind whose server is not there. Needed only where there is no :meth:`at`."""
        if type(self).at is Hooks.at:
            pytest.skip("write the hook unreachable(), which returns a store whose server is not there, or at()")
        return self.at("127.0.0.1", closed_port())

    def damage(self, store: Any, key: str) -> None:
        """Overwrite what is stored under this key with something that cannot be read."""
        pytest.skip("write the hook damage(store, key), which overwrites a record with what cannot be read")
