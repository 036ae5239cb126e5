import random
from collections import namedtuple
from copy import deepcopy
from datetime import date
from decimal import Decimal

import orjson
import pytest
from markupsafe import Markup
from pyramid.i18n import TranslationString

from pyramid_sessionkit.contents.compare import MISSING, RememberingCompare, comparison
from pyramid_sessionkit.contents.graft import graft
from pyramid_sessionkit.contents.merge import Applied, merge
from pyramid_sessionkit.contents.serializer import BUILT_IN_ONLY
from pyramid_sessionkit.exceptions import SessionNotSerializable
from pyramid_sessionkit.persistence import Persistence
from pyramid_sessionkit.session import Session
from pyramid_sessionkit.settings import Settings
from pyramid_sessionkit.stores.memory import MemoryStore
from tests.conftest import SentCookies, cookie_of


def checked_merge(start, mine, stored, applied=(), stored_wins=False):
    """The merge of three sides, none of which may be changed by it."""
    before = repr((start, mine, stored, applied))
    merged = merge(start, mine, stored, applied, stored_wins)
    assert repr((start, mine, stored, applied)) == before
    return merged


A, B, C = {"id": "a"}, {"id": "b"}, {"id": "c"}


@pytest.mark.parametrize(
    ("start", "mine", "stored", "merged"),
    [
        # A key that only one side changed keeps that side's value.
        ({}, {}, {}, {}),
        ({"k": 1}, {"k": 1}, {"k": 1}, {"k": 1}),
        ({"k": 1}, {"k": 2}, {"k": 1}, {"k": 2}),
        ({"k": 1}, {"k": 1}, {"k": 2}, {"k": 2}),
        ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"k": 1}, {"k": 1, "a": 1}, {"k": 2}, {"k": 2, "a": 1}),
        ({"k": 1}, {"k": True}, {"k": 1}, {"k": True}),
        ({"k": 1}, {"k": 1}, {"k": 1.0}, {"k": 1.0}),
        ({"k": None}, {"k": None}, {}, {}),
        ({}, {"k": None}, {}, {"k": None}),
        # Deletions.
        ({"k": 1}, {}, {"k": 1}, {}),
        ({"k": 1}, {"k": 1}, {}, {}),
        ({"k": 1}, {}, {}, {}),
        ({"a": 1, "b": 1}, {"b": 1}, {"a": 1}, {}),
        ({"k": 1, "a": 1}, {"a": 1}, {"k": 1, "a": 2}, {"a": 2}),
        ({"k": 1}, {}, {"k": 1, "b": 2}, {"b": 2}),
        # Both replaced the same value: the later writer wins.
        ({"k": 1}, {"k": 2}, {"k": 3}, {"k": 2}),
        ({}, {"k": 2}, {"k": 3}, {"k": 2}),
        ({"k": 1}, {}, {"k": 3}, {}),
        ({"k": 1}, {"k": 2}, {}, {"k": 2}),
        ({"k": {}}, {"k": [1]}, {"k": "x"}, {"k": [1]}),
        ({"k": [1]}, {"k": {"a": 1}}, {"k": [1, 2]}, {"k": {"a": 1}}),
        # Dicts merge by key, all the way down.
        ({"c": {}}, {"c": {"a": 1}}, {"c": {"b": 2}}, {"c": {"a": 1, "b": 2}}),
        ({}, {"c": {"a": 1}}, {"c": {"b": 2}}, {"c": {"a": 1, "b": 2}}),
        ({}, {"c": {"d": {"a": 1}}}, {"c": {"d": {"b": 2}}}, {"c": {"d": {"a": 1, "b": 2}}}),
        ({}, {"c": {}}, {"c": {"b": 2}}, {"c": {"b": 2}}),
        ({}, {"c": {}}, {"c": {}}, {"c": {}}),
        ({"c": {"a": 1, "b": 1}}, {"c": {"a": 2, "b": 1}}, {"c": {"a": 1}}, {"c": {"a": 2}}),
        ({"c": {"a": 1, "b": 1}}, {"c": {"b": 1}}, {"c": {"a": 1}}, {"c": {}}),
        ({"c": {"a": 1}}, {"c": {"a": 2}}, {"c": {"a": 3, "b": 1}}, {"c": {"a": 2, "b": 1}}),
        # One side took the whole dict away: what the other put in stays, what was there does not come back.
        ({"c": {"a": 1}}, {}, {"c": {"a": 1, "b": 2}}, {"c": {"b": 2}}),
        ({"c": {"a": 1}}, {"c": {"a": 1, "b": 2}}, {}, {"c": {"b": 2}}),
        ({"c": {"a": 1}}, {"c": {}}, {"c": {"a": 1, "b": 2}}, {"c": {"b": 2}}),
        ({"c": {"a": 1, "d": 1}}, {}, {"c": {"a": 1}}, {}),
        # Lists that both sides only appended to keep both tails, the stored one first.
        ({"l": []}, {"l": [1]}, {"l": [2]}, {"l": [2, 1]}),
        ({}, {"l": [1]}, {"l": [2]}, {"l": [2, 1]}),
        ({}, {"l": []}, {"l": [2]}, {"l": [2]}),
        ({"l": [0]}, {"l": [0, 1, 2]}, {"l": [0, 3, 4]}, {"l": [0, 3, 4, 1, 2]}),
        ({"l": [A]}, {"l": [A, B]}, {"l": [A, C]}, {"l": [A, C, B]}),
        ({"c": {"l": [A]}}, {"c": {"l": [A, B]}}, {"c": {"l": [A, C]}}, {"c": {"l": [A, C, B]}}),
        ({"l": [0]}, {"l": [0, 1]}, {"l": [0, 1]}, {"l": [0, 1, 1]}),
        ({"l": [1]}, {"l": [1.0]}, {"l": [1]}, {"l": [1.0]}),
        # A flash message popped by one is not put back by the other.
        ({"l": [0]}, {}, {"l": [0, 1]}, {"l": [1]}),
        ({"l": [0]}, {"l": [0, 1]}, {}, {"l": [1]}),
        ({"l": [0]}, {"l": []}, {"l": [0, 1]}, {"l": [1]}),
        ({"l": [0]}, {"l": [0, 1]}, {"l": []}, {"l": [1]}),
        ({"l": [0]}, {}, {}, {}),
        ({"l": [0]}, {}, {"l": [0]}, {}),
        # Lists that somebody did something else to: the later writer wins.
        ({"l": [0, 1]}, {"l": [1, 0]}, {"l": [5]}, {"l": [1, 0]}),
        ({"l": [0, 1]}, {"l": [5]}, {"l": [1, 0]}, {"l": [5]}),
        ({"l": [0, 1]}, {}, {"l": [1, 0]}, {}),
    ],
)
def test_merge(start, mine, stored, merged):
    assert checked_merge(start, mine, stored) == merged


@pytest.mark.parametrize(
    ("start", "mine", "stored"),
    [
        # The other request showed message 0 and left one of its own, before this one added message 1.
        ({"l": [0]}, {"l": [0, 1]}, {"l": [2]}),
        # The other way about.
        ({"l": [0]}, {"l": [2]}, {"l": [0, 1]}),
    ],
    ids=["stored popped", "mine popped"],
)
def test_popping_and_appending_beside_appending(start, mine, stored):
    assert sorted(checked_merge(start, mine, stored)["l"]) == [1, 2]


# What a stale request changed: where both sides replaced a value, the stored one stays.


@pytest.mark.parametrize(
    ("start", "mine", "stored", "merged"),
    [
        # What only one side changed keeps that side's value, as ever.
        ({"k": 1}, {"k": 2}, {"k": 1}, {"k": 2}),
        ({"k": 1}, {"k": 1}, {"k": 2}, {"k": 2}),
        ({"k": 1}, {}, {"k": 1}, {}),
        ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 1}, {"b": 1}, {"a": 1}, {}),
        # Both replaced it.
        ({"k": 1}, {"k": 2}, {"k": 3}, {"k": 3}),
        ({"k": 1}, {"k": 1.0}, {"k": True}, {"k": True}),
        ({}, {"k": 2}, {"k": 3}, {"k": 3}),
        ({"k": {}}, {"k": [1]}, {"k": "x"}, {"k": "x"}),
        ({"k": [1]}, {"k": {"a": 1}}, {"k": [1, 2]}, {"k": [1, 2]}),
        # One side removed it, the other replaced it.
        ({"k": 1}, {}, {"k": 3}, {"k": 3}),
        ({"k": 1}, {"k": 2}, {}, {}),
        ({"k": [1]}, {}, {"k": [2]}, {"k": [2]}),
        ({"k": [1]}, {"k": [2]}, {}, {}),
        # In dicts, all the way down.
        ({"c": {"a": 1}}, {"c": {"a": 2, "m": 1}}, {"c": {"a": 3, "s": 1}}, {"c": {"a": 3, "s": 1, "m": 1}}),
        ({}, {"c": {"d": {"a": 1}}}, {"c": {"d": {"a": 2}}}, {"c": {"d": {"a": 2}}}),
        ({"c": {"a": 1}}, {}, {"c": {"a": 2, "b": 2}}, {"c": {"a": 2, "b": 2}}),
        ({"c": {"a": 1}}, {}, {"c": {"a": 1, "b": 2}}, {"c": {"b": 2}}),
        ({"c": {"a": 1}}, {"c": {"a": 2}}, {}, {}),
        ({"c": {"a": 1}}, {"c": {"a": 1, "b": 2}}, {}, {"c": {"b": 2}}),
        (
            {"a": {"b": {"c": {"d": {"e": 1, "f": 1}}}}},
            {"a": {"b": {"c": {"d": {"e": 2, "f": 2, "m": 2}}}}},
            {"a": {"b": {"c": {"d": {"e": 3, "s": 3}}}}},
            {"a": {"b": {"c": {"d": {"e": 3, "s": 3, "m": 2}}}}},
        ),
        # Lists that one side only appended to keep both changes.
        ({"l": [0]}, {"l": [0, 1]}, {"l": [0, 2]}, {"l": [0, 2, 1]}),
        ({"l": [0]}, {"l": []}, {"l": [0, 1]}, {"l": [1]}),
        ({"l": [0]}, {}, {"l": [0, 1]}, {"l": [1]}),
        ({"l": [0]}, {"l": [0, 1]}, {"l": []}, {"l": [1]}),
        # Lists that both did something else to.
        ({"l": [0, 1]}, {"l": [1, 0]}, {"l": [5]}, {"l": [5]}),
        ({"l": [0, 1]}, {}, {"l": [1, 0]}, {"l": [1, 0]}),
        ({"l": [0, 1]}, {"l": [1, 0]}, {}, {}),
    ],
)
def test_the_stored_value_stays_if_it_wins(start, mine, stored, merged):
    assert checked_merge(start, mine, stored, stored_wins=True) == merged


# Properties


def random_value(chance, depth=3):
    kind = chance.choice(["scalar", "scalar", "list", "dict"] if depth else ["scalar"])
    if kind == "list":
        return [random_value(chance, depth - 1) for _ in range(chance.randrange(3))]
    if kind == "dict":
        return {name: random_value(chance, depth - 1) for name in chance.sample("abcd", chance.randrange(4))}
    return chance.choice([None, True, False, 0, 1, 1.0, "", "x", chance.random()])


def random_contents(chance):
    return {name: random_value(chance) for name in chance.sample("abcdef", chance.randrange(6))}


def change_apart(chance, start, mine, stored, both):
    """Change either side, never both, at every place in a nested dict; and ``both`` as if by one request."""
    for name in {*start, *"abcdef"}:
        if type(start.get(name)) is dict and chance.random() < 0.6:
            change_apart(chance, start[name], mine[name], stored[name], both[name])
            continue
        side = chance.choice([mine, stored, {}])
        if chance.random() < 0.3:
            for contents in (side, both if side is mine or side is stored else {}):
                contents.pop(name, None)
        elif side is mine or side is stored:
            side[name] = random_value(chance)
            both[name] = deepcopy(side[name])


@pytest.mark.parametrize("seed", range(300))
def test_changes_in_different_places_are_all_kept(seed):
    chance = random.Random(seed)
    start = random_contents(chance)
    mine, stored, both = deepcopy(start), deepcopy(start), deepcopy(start)
    change_apart(chance, start, mine, stored, both)
    assert same_contents(checked_merge(start, mine, stored), both)


def same_contents(one, other):
    """``==``, but telling 1 from True."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("seed", range(100))
def test_one_side_unchanged_gives_the_other(seed):
    chance = random.Random(seed)
    start, changed = random_contents(chance), random_contents(chance)
    assert orjson.dumps(checked_merge(start, deepcopy(start), changed)) == orjson.dumps(changed)
    assert orjson.dumps(checked_merge(start, changed, deepcopy(start))) == orjson.dumps(changed)


@pytest.mark.parametrize("seed", range(100))
def test_what_both_appended_is_all_kept_in_the_order_of_each(seed):
    chance = random.Random(seed)
    start = [random_value(chance) for _ in range(chance.randrange(4))]
    mine = [f"mine {number}" for number in range(chance.randrange(1, 4))]
    stored = [f"stored {number}" for number in range(chance.randrange(1, 4))]
    path = chance.sample("abcd", 3)

    def at_path(value):
        for name in path:
            value = {name: value}
        return value

    merged = checked_merge(at_path(start), at_path(start + mine), at_path(start + stored))
    assert same_contents(merged, at_path(start + stored + mine))


def random_dict(chance, depth=4):
    names = chance.sample("abc", chance.randrange(4))
    return {name: random_dict(chance, depth - 1) if depth and chance.random() < 0.7 else name for name in names}


@pytest.mark.parametrize("seed", range(300))
def test_of_dicts_the_stored_one_wins_as_mine_does(seed):
    chance = random.Random(seed)
    start, mine, stored = (random_dict(chance) for _ in range(3))
    assert same_contents(checked_merge(start, mine, stored, stored_wins=True), checked_merge(start, stored, mine))


@pytest.mark.parametrize("seed", range(100))
def test_anything_merges_with_anything_to_json(seed):
    chance = random.Random(seed)
    sides = [random_contents(chance) for _ in range(3)]
    merged = checked_merge(*sides)
    assert orjson.loads(orjson.dumps(merged)) == merged
    assert set(merged) <= {name for side in sides for name in side}


def nested(leaf, depth=253):
    """As deep as JSON can be, if it stands below one key."""
    for _ in range(depth - 1):
        leaf = {"k": leaf}
    return leaf


def test_the_deepest_contents_merge():
    sides = [{"r": nested(leaf)} for leaf in ({}, {"a": 1}, {"b": 2})]
    merged = checked_merge(*sides)
    assert merged == {"r": nested({"a": 1, "b": 2})}
    assert BUILT_IN_ONLY.encode(merged)[1] == merged


def test_functions_apply_to_the_deepest_contents():
    request = Request({"r": nested({})})
    request.apply("r", lambda value: {**value, "n": 1})
    assert request.merged_with({"r": nested({"a": 1})}) == {"r": {**nested({"a": 1}), "n": 1}}


def test_the_deepest_contents_are_grafted():
    contents, merged = {"r": nested({"a": 1})}, {"r": nested({"b": 2})}
    innermost = contents["r"]
    while "k" in innermost:
        innermost = innermost["k"]
    graft(contents, merged)
    assert innermost == {"b": 2}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (0, False, False),
        ([1], [True], False),
        (MISSING, MISSING, True),
        (MISSING, None, False),
        ({}, MISSING, False),
        (0.0, -0.0, False),
        ([0.0], [-0.0], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1.0}}, False),
        (float("inf"), None, False),
        (date(2026, 1, 1), "2026-01-01", False),
        ("a", Markup("a"), False),
        (["a"], [Markup("a")], False),
        (TranslationString("a"), TranslationString("a", domain="shop"), False),
        (TranslationString("a"), TranslationString("a"), True),
        ({1, 2}, frozenset((1, 2)), False),
        (set(map(str, range(20))), set(map(str, range(19, -1, -1))), True),
        (Decimal("1.0"), Decimal("1.00"), False),
        (Decimal(1), Decimal(1), True),
        (Decimal(1), 1, False),
        ([Decimal(1), 1], [Decimal(1), True], False),
        ({"a": Decimal(1), "b": [1]}, {"a": Decimal(1), "b": [1]}, True),
        ({"a": Decimal(1)}, {"b": Decimal(1)}, False),
    ],
)
def test_same(one, other, expected):
    assert comparison(BUILT_IN_ONLY.dumps)(one, other) is expected


# apply


class Request:
    """What a request does to its contents, noted as the session notes it."""

    def __init__(self, start):
        self.start = start
        self.mine = deepcopy(start)
        self.applied = []

    def apply(self, name, function, default=None):
        before = deepcopy(self.mine[name]) if name in self.mine else MISSING
        after = function(deepcopy(default) if before is MISSING else self.mine[name])
        self.mine[name] = after
        self.applied.append(Applied(name, function, deepcopy(default), before, BUILT_IN_ONLY.read_back(name, after)))

    def merged_with(self, stored):
        return checked_merge(self.start, self.mine, stored, self.applied)


def increment(number):
    return number + 1


def double(number):
    return number * 2


@pytest.mark.parametrize(
    ("start", "stored", "functions", "merged"),
    [
        ({"n": 1}, {"n": 5}, [increment], {"n": 6}),
        ({}, {"n": 5}, [increment], {"n": 6}),
        ({"n": 1}, {}, [increment], {"n": 1}),  # deleted meanwhile: counts from the default again
        ({"n": 1}, {"n": 1, "other": 1}, [increment], {"n": 2, "other": 1}),
        ({"n": 1}, {"n": 5}, [increment, double], {"n": 12}),
        ({"n": 1}, {"n": 5}, [double, increment], {"n": 11}),
        ({"n": 1}, {"n": 5}, [increment] * 10, {"n": 15}),
    ],
)
def test_apply_runs_again_on_what_is_stored(start, stored, functions, merged):
    request = Request(start)
    for function in functions:
        request.apply("n", function, 0)
    assert request.merged_with(stored) == merged


def test_apply_of_several_keys():
    request = Request({"n": 1, "m": 1})
    request.apply("n", increment)
    request.apply("m", double)
    request.apply("n", double)
    assert request.merged_with({"n": 10, "m": 10}) == {"n": 22, "m": 20}


def test_apply_after_another_change_to_the_key():
    request = Request({"n": 1})
    request.mine["n"] = 100
    request.apply("n", increment)
    assert request.merged_with({"n": 5}) == {"n": 101}  # both replaced it, and this request is the later


def test_apply_before_another_change_to_the_key():
    request = Request({"n": 1})
    request.apply("n", increment)
    request.mine["n"] = 100
    assert request.merged_with({"n": 5}) == {"n": 100}


def test_apply_before_a_deletion_of_the_key():
    request = Request({"n": 1})
    request.apply("n", increment)
    del request.mine["n"]
    assert request.merged_with({"n": 5}) == {}


def test_apply_between_appends():
    request = Request({"l": ["a"]})
    request.mine["l"].append("b")
    request.apply("l", lambda items: [*items, "c"])
    request.mine["l"].append("d")
    assert request.merged_with({"l": ["a", "x"]}) == {"l": ["a", "x", "b", "c", "d"]}


def test_apply_beside_changes_inside_the_same_dict():
    request = Request({"cart": {}})
    request.mine["cart"]["a"] = 1
    request.apply("cart", lambda cart: {**cart, "total": sum(cart.values())})
    request.mine["cart"]["b"] = 1
    assert request.merged_with({"cart": {"x": 5}}) == {"cart": {"x": 5, "a": 1, "total": 6, "b": 1}}


def append_x(items):
    """A function that changes what it is given, as an application's may."""
    items.append("x")
    return items


def test_default_is_not_shared():
    request = Request({})
    default = []
    request.apply("l", append_x, default)
    assert default == []
    assert request.merged_with({"k": 1}) == {"l": ["x"], "k": 1}
    assert request.merged_with({"k": 2}) == {"l": ["x"], "k": 2}
    assert default == []


@pytest.mark.parametrize("stored", [{"l": []}, {"l": [], "k": 1}, {"l": ["other"]}, {}])
def test_apply_can_be_replayed_for_every_conflict(stored):
    request = Request({"l": []})
    request.mine["l"].append("mine")
    request.apply("l", append_x, [])
    first = request.merged_with(deepcopy(stored))
    assert first["l"][-2:] == ["mine", "x"]
    assert request.merged_with(deepcopy(stored)) == first


def test_apply_leaves_what_is_stored_alone():
    request = Request({"l": []})
    request.apply("l", append_x)
    assert request.merged_with({"l": ["other"]}) == {"l": ["other", "x"]}


def test_tuples_that_were_applied_merge_as_the_lists_they_become():
    request = Request({})
    request.apply("l", lambda items: (*items, "a"), ())
    # What the session passes as its own side has been through JSON.
    request.mine = {"l": ["a", "b"]}
    assert request.merged_with({"l": ["x"]}) == {"l": ["x", "a", "b"]}


def test_apply_runs_on_the_stored_value_if_that_wins():
    request = Request({"n": 1, "k": 1})
    request.apply("n", increment)
    request.mine["k"] = 2
    assert checked_merge(request.start, request.mine, {"n": 5, "k": 3}, request.applied, True) == {"n": 6, "k": 3}


def test_apply_after_a_change_that_lost_to_the_stored_one():
    request = Request({"n": 1})
    request.mine["n"] = 100
    request.apply("n", increment)
    assert checked_merge(request.start, request.mine, {"n": 5}, request.applied, True) == {"n": 6}


def test_apply_before_a_change_that_loses_to_the_stored_one():
    request = Request({"n": 1})
    request.apply("n", increment)
    request.mine["n"] = 100
    assert checked_merge(request.start, request.mine, {"n": 5}, request.applied, True) == {"n": 6}
    assert checked_merge(request.start, request.mine, {"n": 1}, request.applied, True) == {"n": 100}


def test_apply_after_both_removed_the_key_begins_with_the_default():
    request = Request({"l": []})
    del request.mine["l"]
    request.apply("l", append_x, ["default"])
    assert request.merged_with({}) == {"l": ["default", "x"]}


def test_what_one_function_leaves_for_the_next_may_be_a_decimal():
    request = Request({"price": "1.10", "on": 1})
    request.apply("price", Decimal)
    request.apply("price", lambda price: str(price * 2))
    assert request.merged_with({"price": "1.20", "on": True}) == {"price": "2.40", "on": True}


Point = namedtuple("Point", "x y")


def contains_itself(value):
    value = [value]
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda value: value * 10.0**300, "n: float inf"),
        (lambda value: [{"half": complex(value) / 2}], r"n\[0\]\.half: complex"),
        (lambda value: Point(value, 1), "n: Point"),
        (lambda value: {value: 1}, "n: a key of type float: 10000000000.0"),
        (contains_itself, r"n\[1\].*containing itself"),
    ],
    ids=["infinity", "complex", "namedtuple", "key", "recursive"],
)
def test_what_a_merge_applies_is_refused_as_if_written(function, problem):
    request = Request({"n": 1.0})
    request.apply("n", lambda value: value if value < 2 else function(value))
    with pytest.raises(SessionNotSerializable, match=f": {problem}"):
        BUILT_IN_ONLY.encode(request.merged_with({"n": 1e10}))


def test_infinity_is_not_mistaken_for_the_none_before():
    request = Request({"n": 1.0})
    request.apply("n", lambda value: None if value < 2 else float("inf"))
    with pytest.raises(SessionNotSerializable, match=": n: float inf"):
        BUILT_IN_ONLY.encode(request.merged_with({"n": 1e10}))


# graft


def test_graft_keeps_references():
    cart, items = {"a": 1}, [1]
    contents = {"cart": cart, "deep": {"items": items}, "gone": 1, "kind": [1]}
    merged = {"cart": {"a": 1, "b": 2}, "deep": {"items": [1, 2]}, "kind": {"x": 1}, "new": [3]}
    assert graft(contents, merged) is contents
    assert contents == merged
    assert contents["cart"] is cart
    assert contents["deep"]["items"] is items


@pytest.mark.parametrize("seed", range(20))
def test_graft_gives_the_value_in_its_order(seed):
    chance = random.Random(seed)
    target, value = random_contents(chance), random_contents(chance)
    grafted = graft(target, deepcopy(value))
    assert grafted is target
    # In another order the session would look changed, and be stored once more.
    assert orjson.dumps(grafted) == orjson.dumps(value)


def test_graft_does_not_mistake_one_item_for_another():
    mine = {"id": "b"}
    grafted = graft([mine], [{"id": "a"}, {"id": "b"}])
    assert grafted == [{"id": "a"}, {"id": "b"}]
    mine["qty"] = 2  # what a view does with the item it has put into the cart
    assert grafted[0] == {"id": "a"}


def test_graft_finds_the_items_of_a_list_wherever_they_are():
    first, twin, other, inner = {"id": 1}, {"id": 1}, {"id": 2}, {"id": 3}
    items = [first, [inner], twin, other]
    grafted = graft(items, [{"id": 2}, {"id": 9}, [{"id": 3}], {"id": 1}, {"id": 1}, {"id": 1}])
    assert grafted is items
    assert grafted == [{"id": 2}, {"id": 9}, [{"id": 3}], {"id": 1}, {"id": 1}, {"id": 1}]
    assert grafted[0] is other
    assert grafted[2][0] is inner
    assert grafted[3] is first
    assert grafted[4] is twin


def test_graft_parts_what_was_one_object_in_two_places():
    shared = {"n": 2}
    assert graft({"a": shared, "b": shared}, {"a": {"n": 2}, "b": {"n": 2, "x": 1}}) == {
        "a": {"n": 2},
        "b": {"n": 2, "x": 1},
    }


# The same through a session


@pytest.fixture(name="store")
def _store():
    return MemoryStore()


@pytest.fixture(name="open_session")
def _open_session(store):
    persistence = Persistence(store, Settings(secret=(b"s" * 32,)))
    first = Session(persistence, SentCookies())
    first.update({"a": {"n": 1}, "b": {"n": 1}, "cart": [], "n": 1})
    first.save()
    return lambda: Session(persistence, SentCookies(cookie_of(first)))


def test_saving_again_after_a_merge_stores_nothing(open_session, store):
    mine, other = open_session(), open_session()
    mine["mine"] = {"k": 1}
    other["other"] = {"k": 1}
    other.work.commit(other.work.plan())
    mine.work.commit(mine.work.plan())
    stored = store.load(mine.key)
    mine.work.commit(mine.work.plan())
    assert store.load(mine.key) is stored


def test_one_object_put_into_two_keys_stays_two_values(open_session):
    mine, other = open_session(), open_session()
    mine["a"] = mine["b"] = {"n": 2}
    other["b"]["x"] = 1
    other.work.commit(other.work.plan())
    mine.work.commit(mine.work.plan())
    mine.work.commit(mine.work.plan())  # the tween and the response callback both do
    assert open_session()["a"] == {"n": 2}
    assert open_session()["b"] == {"n": 2, "x": 1}


def test_an_item_of_the_view_stays_its_own_after_a_merge(open_session):
    mine, other = open_session(), open_session()
    item = {"id": "mine"}
    mine["cart"].append(item)
    other["cart"].append({"id": "other"})
    other.work.commit(other.work.plan())
    mine.save()
    item["qty"] = 2
    mine.work.commit(mine.work.plan())
    cart = open_session()["cart"]
    assert {"id": "other"} in cart
    assert {"id": "mine", "qty": 2} in cart


def test_three_requests_at_once_replay_apply_once_each(open_session):
    requests = [open_session() for _ in range(3)]
    for request in requests:
        request["cart"].append("item")
        request.apply("cart", append_x)
    for request in requests:
        request.work.commit(request.work.plan())
    assert open_session()["cart"].count("x") == 3
    assert open_session()["cart"].count("item") == 3


def test_an_applied_function_whose_result_cannot_be_saved_is_named(open_session):
    mine, other = open_session(), open_session()
    mine.apply("n", lambda number: (number + 1) ** 8)
    other["n"] = 2**32
    other.work.commit(other.work.plan())
    with pytest.raises(SessionNotSerializable, match=": n: "):
        mine.work.commit(mine.work.plan())
    assert open_session()["n"] == 2**32


def test_graft_takes_out_what_could_not_be_saved():
    """As after a savepoint is rolled back."""
    kept = [1]
    target = [object(), kept]
    assert graft(target, [[1]]) is target
    assert target == [[1]]
    assert target[0] is kept


def test_the_order_of_deep_keys_counts():
    same = RememberingCompare(comparison(BUILT_IN_ONLY.dumps)).same
    assert not same({"a": 1, "b": 1}, {"b": 1, "a": 1})
    assert same({"a": 1, "b": 1}, {"a": 1, "b": 1})
