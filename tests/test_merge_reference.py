"""Merging and grafting do what their simple versions do, on thousands of random contents."""

from __future__ import annotations

import random
from copy import deepcopy

import pytest

from pyramid_sessionkit.contents.graft import graft
from pyramid_sessionkit.contents.merge import Applied, merge
from tests import merge_reference

TREES = 500
SCALARS = (None, True, False, 0, 1, 1.0, 0.0, -0.0, "", "1", "x", "null")


def random_value(chance, depth):
    kind = chance.choice(["scalar", "list", "dict", "dict"]) if depth else "scalar"
    if kind == "list":
        return [random_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == "dict":
        return {name: random_value(chance, depth - 1) for name in chance.sample("abcd", chance.randrange(4))}
    return chance.choice(SCALARS)


def random_contents(chance):
    return {name: random_value(chance, chance.randrange(7)) for name in chance.sample("abcd", chance.randrange(5))}


def changed(chance, value):
    """A copy of ``value`` with a few changes, anywhere: most of both stays the same, as in two requests."""
    if type(value) is dict:
        return changed_dict(chance, value)
    if type(value) is list:
        return changed_list(chance, value)
    return chance.choice(SCALARS) if chance.random() < 0.1 else value


def changed_dict(chance, value):
    items = [(name, changed(chance, item)) for name, item in value.items() if chance.random() < 0.95]
    if chance.random() < 0.05:
        chance.shuffle(items)
    if chance.random() < 0.1:
        items.append((chance.choice("abcd"), random_value(chance, 3)))
    return dict(items)


def changed_list(chance, value):
    items = [changed(chance, item) if chance.random() < 0.1 else deepcopy(item) for item in value]
    if chance.random() < 0.3:
        items.append(random_value(chance, 2))
    if chance.random() < 0.1:
        chance.shuffle(items)
    if items and chance.random() < 0.1:
        items.pop(chance.randrange(len(items)))
    return items


def shared(chance, value):
    """Some of what is in ``value`` put into a second place as well, as a view may do."""
    inside = [item for item, _ in containers(value, ())]
    for item in inside:
        other = chance.choice(inside)
        if chance.random() < 0.1 and not any(found is item for found, _ in containers(other, ())):
            place_into(chance, item, other)
    return value


def place_into(chance, container, item):
    if type(container) is list:
        container.append(item)
    else:
        container[chance.choice("abcd")] = item


def containers(value, path):
    """All lists and dicts in ``value``, itself included, with the way to each."""
    if type(value) in (list, dict):
        yield value, path
        for step, item in value.items() if type(value) is dict else enumerate(value):
            yield from containers(item, (*path, step))


@pytest.mark.parametrize("seed", range(10))
def test_merges_as_the_reference_does(seed):
    chance = random.Random(seed)
    for _ in range(TREES):
        start = random_contents(chance)
        mine, stored = changed(chance, start), changed(chance, start)
        # repr() tells 1 from True, and knows the order.
        assert repr(merge(start, mine, stored)) == repr(merge_reference.merge(start, mine, stored))


@pytest.mark.parametrize("seed", range(10))
def test_merges_what_is_unlike_as_the_reference_does(seed):
    chance = random.Random(seed)
    for _ in range(TREES):
        sides = [random_contents(chance) for _ in range(3)]
        assert repr(merge(*sides)) == repr(merge_reference.merge(*sides))


def add(value):
    """What an application might apply to a value of any kind."""
    if type(value) is list:
        return [*value, "added"]
    if type(value) is dict:
        return {**value, "b": "added"}
    return [value]


@pytest.mark.parametrize("seed", range(10))
def test_applies_as_the_reference_does(seed):
    chance = random.Random(seed)
    for _ in range(TREES):
        start = {"a": random_value(chance, 3), **random_contents(chance)}
        before = changed(chance, start)
        before.setdefault("a", [])
        mine = changed(chance, {**before, "a": add(before["a"])})
        applied = [Applied("a", add, {}, before["a"], add(before["a"]))]
        sides = (start, mine, changed(chance, start), applied)
        assert repr(merge(*sides)) == repr(merge_reference.merge(*sides))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [False, True])
def test_grafts_as_the_reference_does(seed, share):
    chance = random.Random(seed)
    for _ in range(TREES):
        target = random_contents(chance)
        value = changed(chance, target)
        if share:
            target = shared(chance, target)
        expected, kept = grafted_with(merge_reference.graft, target, value)
        assert grafted_with(graft, target, value) == (expected, kept)
        assert expected == repr(value)


def grafted_with(function, target, value):
    """What the target became, and for each list and dict in it which one of the target it was before."""
    target = deepcopy(target)  # with what is shared in it
    were = [item for item, _ in containers(target, ())]  # kept, so that no ID is used again
    numbers = {id(item): number for number, item in enumerate(were)}
    grafted = function(target, deepcopy(value))
    return repr(grafted), [(path, numbers.get(id(item))) for item, path in containers(grafted, ())]
