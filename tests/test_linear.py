"""Twice the contents are twice the work, however deep or wide: counted in calls and bytes, not in time."""

from __future__ import annotations

import sys

import orjson
import pytest

from benchmarks import linear
from pyramid_sessionkit.contents import refused, serializer, tagged
from pyramid_sessionkit.exceptions import SessionNotSerializable


class CountingJSON:
    """orjson, counting the bytes it writes and reads: a call for a large value is more work than one for a small."""

    JSONEncodeError = orjson.JSONEncodeError
    JSONDecodeError = orjson.JSONDecodeError
    OPT_PASSTHROUGH_SUBCLASS = orjson.OPT_PASSTHROUGH_SUBCLASS

    def __init__(self):
        self.bytes = 0

    def dumps(self, value, default=None, option=None):
        data = orjson.dumps(value, default, option)
        self.bytes += len(data)
        return data

    def loads(self, data):
        self.bytes += len(data)
        return orjson.loads(data)


@pytest.fixture(name="json")
def _json(monkeypatch):
    json = CountingJSON()
    for module in (refused, serializer, tagged):
        monkeypatch.setattr(module, "orjson", json)
    return json


def work(job, json):
    """The calls that a job makes, and the bytes of JSON."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    json.bytes = 0
    sys.setprofile(count)
    try:
        job()
    finally:
        sys.setprofile(None)
    return calls, json.bytes


JOBS = [
    *(pytest.param(make, 60, id=make.__name__) for make in linear.DEEP),
    *(pytest.param(make, 500, id=make.__name__) for make in linear.WIDE),
]


@pytest.mark.parametrize(("make", "size"), JOBS)
def test_twice_the_contents_are_twice_the_work(make, size, json):
    jobs = make(size), make(2 * size)
    (calls, data), (more_calls, more_data) = (work(job, json) for job in jobs)
    assert calls + data > size
    assert more_calls <= 2.5 * calls
    assert more_data <= 2.5 * data


def test_what_is_searched_is_found():
    contents = linear.deep(240, float("nan"), [1])
    with pytest.raises(SessionNotSerializable, match="float nan"):
        serializer.BUILT_IN_ONLY.encode(contents)
