"""Each key names one record."""

from __future__ import annotations

from typing import Any

import pytest

from pyramid_sessionkit.interfaces import IListable
from pyramid_sessionkit.testing.conformance.records import make_record


class Keys:
    def test_keys_differ_by_case(self, store: Any) -> None:
        store.create("k" * 22, make_record(b'{"a":1}'))
        assert store.load("K" * 22) is None
        assert store.delete("K" * 22) is False
        store.create("K" * 22, make_record(b'{"a":2}'))
        assert store.load("k" * 22).data == b'{"a":1}'
        assert store.load("K" * 22).data == b'{"a":2}'

    def test_keys_differ_by_their_signs(self, store: Any) -> None:
        keys = [f"{'k' * 20}{signs}" for signs in ("--", "-_", "_-", "__", "k", "")]
        for number, key in enumerate(keys):
            assert store.create(key, make_record(b"%d" % number)) is not None
        assert [store.load(key).data for key in keys] == [b"%d" % number for number in range(len(keys))]

    @pytest.mark.parametrize("key", ["a" * 22, "z" * 64, "-_" * 16, "_" + "Z9" * 20, "-" * 22])
    def test_each_key_names_its_record(self, store: Any, key: str) -> None:
        others = [key[:-1] + "~", key[:-1] + "A"]
        store.create(key, make_record(b'{"a":1}'))
        assert store.load(key).data == b'{"a":1}'
        assert [store.load(other) for other in others] == [None, None]
        if IListable.providedBy(store):
            assert [list(store.find_keys(key[:length], 2)) for length in range(23)] == [[key]] * 23
