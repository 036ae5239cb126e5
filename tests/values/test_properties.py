"""Random values, nested: each comes back as what it is, whatever the store, also where two requests merge.

``SESSIONKIT_VALUES`` is the number of examples on each store: a few here, and many in ``make fuzz``.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from pyramid_sessionkit.contents.serializer import Serializer
from pyramid_sessionkit.events import Events
from pyramid_sessionkit.exceptions import SessionNotSerializable
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.sealing.keys import Sealer
from pyramid_sessionkit.sealing.store import sealing
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.testing import make_session, new_session, open_session
from tests import merge_reference
from tests.merge_reference import described
from tests.values import random_values
from tests.values.random_values import MONEY, REFUSED

EXAMPLES = int(os.environ.get("SESSIONKIT_VALUES", "200"))

MakePersistence = Callable[..., Persistence]


@pytest.fixture(params=["sealed", "not sealed"])
def persistence(request: pytest.FixtureRequest, make_persistence: MakePersistence, each_store: Any) -> Persistence:
    if request.param == "sealed":
        each_store = sealing(each_store, Sealer([b"k" * 32], "session"), Events())
    made = make_persistence(each_store)
    made.serializer = Serializer([MONEY])
    return made


def begun(persistence: Persistence, contents: dict[str, Any]) -> str:
    session = new_session(persistence)
    session.update(deepcopy(contents))
    session.save()
    return session.key


def replace(session: Session, contents: dict[str, Any]) -> None:
    """Make these the contents, as a view would: key by key, in this order."""
    for name in list(session):
        del session[name]
    session.update(contents)


def test_every_value_comes_back_as_what_it_is(persistence: Persistence) -> None:
    chance = random.Random(14)
    for _ in range(EXAMPLES // 2):
        contents = random_values.contents(chance)
        key = begun(persistence, contents)
        expected = described(random_values.as_it_comes_back(contents))
        assert described(open_session(persistence, key).copy()) == expected


def test_what_two_requests_change_merges_as_the_reference_does(persistence: Persistence) -> None:
    chance = random.Random(41)
    for _ in range(EXAMPLES // 2):
        start = random_values.as_it_comes_back(random_values.contents(chance))
        sides = [random_values.changed(chance, start) for _ in range(2)]
        key = begun(persistence, start)
        requests = [open_session(persistence, key) for _ in range(2)]
        for request, side in zip(requests, sides, strict=True):
            replace(request, deepcopy(side))
        for request in requests:
            request.save()
        first, second = map(random_values.as_it_comes_back, sides)
        expected = described(merge_reference.merge(start, second, first))
        assert described(open_session(persistence, key).copy()) == expected
        if described(second) != described(start):  # or else the second request has nothing to save
            assert described(random_values.as_it_comes_back(requests[1].copy())) == expected


def test_equal_contents_are_no_change() -> None:
    """Also where a set has been made in another order."""
    chance = random.Random(15)
    serializer = Serializer([MONEY])
    for _ in range(EXAMPLES):
        data = serializer.dumps(random_values.contents(chance))
        assert serializer.dumps(serializer.loads(data)) == data


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: type(refused).__name__)
def test_what_would_not_come_back_is_refused_by_its_path(refused: Any) -> None:
    chance = random.Random(16)
    for _ in range(20):
        contents = random_values.contents(chance)
        contents["a"] = [random_values.value(chance, 2), {"price": refused}]
        with pytest.raises(SessionNotSerializable, match=r": a\[1\]\.price: "):
            make_session(contents, types=[MONEY])
