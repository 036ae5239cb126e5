"""An update and a deletion compare versions, and none is used twice."""

from __future__ import annotations

from typing import Any

import pytest

from pyramid_sessionkit.testing.conformance.records import KEY, make_record


class Versions:
    def test_update_compares_versions(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        second = store.update(KEY, first._replace(data=b'{"a":2}'))
        assert second.version != first.version
        assert store.update(KEY, first._replace(data=b'{"a":3}')) is None
        assert store.load(KEY) == second
        third = store.update(KEY, store.load(KEY)._replace(data=b'{"a":4}'))
        assert store.update(KEY, second._replace(data=b'{"a":5}')) is None
        assert store.load(KEY, fresh=True) == third

    def test_updates_with_equal_contents_are_versions_too(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        assert store.update(KEY, first) is not None
        assert store.update(KEY, first) is None

    def test_a_new_secret_keeps_the_key(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        renewed = store.update(KEY, first._replace(verifier="e" * 64, replaced=5, userid="ada", authenticated=5))
        assert store.load(KEY) == renewed
        assert (renewed.verifier, renewed.userid) == ("e" * 64, "ada")
        assert store.update(KEY, first._replace(data=b"{}")) is None
        assert store.load(KEY) == renewed

    def test_a_secret_that_came_too_late_changes_nothing(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        second = store.update(KEY, first._replace(data=b"{}"))
        assert store.update(KEY, first._replace(verifier="e" * 64)) is None
        assert store.load(KEY) == second

    def test_a_version_is_never_used_twice(self, store: Any) -> None:
        seen = []
        for _ in range(5):
            stored = store.create(KEY, make_record())
            seen += [stored.version, store.load(KEY).version]
            for _ in range(3):
                updated = store.update(KEY, stored)
                assert store.update(KEY, stored) is None
                seen.append(updated.version)
                stored = updated
            store.delete(KEY)
        versions = [version for number, version in enumerate(seen) if number % 5 != 1]
        assert all(versions[i] != versions[j] for i in range(len(versions)) for j in range(i))

    def test_a_record_that_was_created_again_is_another(self, store: Any) -> None:
        created = store.create(KEY, make_record())
        loaded = store.load(KEY)
        store.delete(KEY)
        again = store.create(KEY, make_record())
        for old in (created, loaded):
            assert old.version != again.version
            assert store.update(KEY, old) is None
            assert store.delete(KEY, old) is False
        assert store.load(KEY) == again

    def test_delete(self, store: Any) -> None:
        first = store.create(KEY, make_record())
        loaded = store.load(KEY)
        assert store.delete(KEY) is True
        assert store.load(KEY) is None
        assert store.delete(KEY) is False
        assert store.update(KEY, first) is None
        assert store.update(KEY, loaded) is None
        assert store.load(KEY) is None
        assert store.load(KEY, fresh=True) is None

    @pytest.mark.parametrize("loads", [True, False])
    def test_delete_of_a_version(self, store: Any, loads: bool) -> None:
        first = store.create(KEY, make_record())
        first = store.load(KEY) if loads else first
        second = store.update(KEY, first._replace(data=b"{}"))
        second = store.load(KEY) if loads else second
        assert store.delete(KEY, first) is False
        assert store.load(KEY) == second
        assert store.delete(KEY, second) is True
        assert store.load(KEY) is None
        assert store.delete(KEY, second) is False
        assert store.update(KEY, second) is None
        assert store.create(KEY, make_record()) is not None
