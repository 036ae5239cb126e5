"""Merging and grafting as simple as can be, and too slow for large contents: what the real ones are compared with."""

from __future__ import annotations

from copy import deepcopy

from pyramid.i18n import TranslationString

from pyramid_sessionkit.contents.compare import MISSING


def merge(start, mine, stored, applied=()):
    start, stored = dict(start), dict(stored)
    for step in applied:
        value = merge_values(start.get(step.name, MISSING), step.before, stored.get(step.name, MISSING))
        stored[step.name] = step.function(deepcopy(step.default if value is MISSING else value))
        start[step.name] = step.after
    return merge_values(start, mine, stored)


def merge_values(start, mine, stored):
    if same(mine, start):
        return stored
    if same(stored, start):
        return mine
    sides = (start, mine, stored)
    if all_are(dict, sides):
        merged = merge_dicts(*({} if side is MISSING else side for side in sides))
        return MISSING if not merged and MISSING in (mine, stored) else merged
    if all_are(list, sides):
        merged = merge_lists(*([] if side is MISSING else side for side in sides))
        return mine if merged is None else merged
    return mine


def same(one, other):
    if one is MISSING or other is MISSING:
        return one is other
    return described(one) == described(other)


def described(value):
    """All that makes a value what it is, as text."""
    kind = type(value)
    if kind is dict:
        return f"{{{', '.join(f'{name!r}: {described(item)}' for name, item in value.items())}}}"
    if kind is list:
        return f"[{', '.join(map(described, value))}]"
    if kind in (set, frozenset):
        return f"{kind.__name__}({', '.join(sorted(map(described, value)))})"
    if kind is TranslationString:
        parts = (value.domain, value.default, value.mapping, value.context)
        return f"TranslationString({str(value)!r}, {', '.join(map(described, parts))})"
    # repr() of a datetime has its zone and its fold, and that of a Decimal its zeros.
    return f"{kind.__qualname__} {value!r}"


def all_are(kind, sides):
    return all(side is MISSING or type(side) is kind for side in sides)


def merge_dicts(start, mine, stored):
    merged = {}
    for name in [*stored, *(name for name in mine if name not in stored)]:
        value = merge_values(start.get(name, MISSING), mine.get(name, MISSING), stored.get(name, MISSING))
        if value is not MISSING:
            merged[name] = value
    return merged


def merge_lists(start, mine, stored):
    tail = tail_of(start, mine)
    if tail is not None:
        return stored + tail
    stored_tail = tail_of(start, stored)
    return None if stored_tail is None else mine + stored_tail


def tail_of(start, longer):
    if len(longer) < len(start) or not same(longer[: len(start)], start):
        return None
    return longer[len(start) :]


def graft(target, value, grafted=None):
    grafted = set() if grafted is None else grafted
    if type(target) is not type(value) or type(value) not in (dict, list) or id(target) in grafted:
        return value
    grafted.add(id(target))
    if isinstance(target, dict):
        merged = {name: graft(target.get(name), item, grafted) for name, item in value.items()}
        target.clear()
        target.update(merged)
    else:
        own = [item for item in target if isinstance(item, (dict, list))]
        target[:] = [own_item(own, item, grafted) for item in value]
    return target


def own_item(own, value, grafted):
    for index, item in enumerate(own):
        if same(item, value):
            return graft(own.pop(index), value, grafted)
    return value
