"""What stands in WHERE, ON and HAVING: ordinary criteria, and those whose meaning changes by what follows them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from sqlalchemy import Boolean, and_, exists, false, func, literal_column, not_, or_, select, text, true, tuple_

from tests.owned.family.shapes import BOB, Topic
from tests.owned.family.targets import Target

Criterion = Callable[[Target], Any]


def _own(target: Target) -> Any:
    return target.key == target.shape.mine


def _theirs(target: Target) -> Any:
    return target.key == target.shape.theirs


def _both(target: Target) -> Any:
    return target.key.in_([target.shape.mine, target.shape.theirs])


ORDINARY: dict[str, Criterion | None] = {
    "none": None,
    "own id": _own,
    "id of others": _theirs,
    "IN": _both,
    "greater": lambda t: t.key > 0,
    "like": lambda t: t.text.like("%of%"),
    "or_": lambda t: or_(_own(t), _theirs(t)),
    "not_": lambda t: not_(_theirs(t)),
    "and_": lambda t: and_(t.number > 0, or_(_own(t), _theirs(t))),
    "function": lambda t: func.length(t.text) > 3,
    "text": lambda t: text(f"{t.name}.{t.shape.number} > 0"),
    "text with a bind": lambda t: text(f"{t.name}.{t.shape.key} = :fam_a").bindparams(fam_a=t.shape.mine),
    "IN subquery": lambda t: t.key.in_(select(getattr(t.shape.model, t.shape.key))),
    "IN nobody's": lambda t: t.number.in_(select(Topic.id)),
    "EXISTS": lambda t: exists(select(Topic.id).where(Topic.id == t.number)),
}

ODD: dict[str, Criterion] = {
    "text OR": lambda t: text(_either(t)).bindparams(fam_a=t.shape.mine, fam_b=t.shape.theirs),
    "text OR of all": lambda t: text("1 = 1 OR 1 = 1"),
    "literal_column OR": lambda t: literal_column(_either_literally(t), Boolean),
    "literal_column OR of all": lambda t: literal_column("1 = 1 OR 1 = 1"),
    "op OR": lambda t: (t.key == t.shape.theirs).op("OR")(t.key == t.shape.mine),
    "op of low precedence": lambda t: t.key.op("> 0 OR 1 =")(1),
    "OR in NOT": lambda t: text(f"NOT {t.name}.{t.shape.key} = 0 OR 1 = 1"),
    "text with a comment": lambda t: text(f"{t.name}.{t.shape.key} = 1 -- mine\n OR 1 = 1"),
    "comment inside": lambda t: text("1 = 1 /* mine */ OR /* not mine */ 1 = 1"),
    "nested comment": lambda t: text("1 = 1 /* a /* b */ OR 1 = 1 -- */ OR 1 = 1\n"),
    "comment at the end": lambda t: text("1 = 1 --"),
    "comment at the end, OR": lambda t: text("1 = 1 OR 1 = 1 -- "),
    "comment that is open": lambda t: text("1 = 1 /*"),
    "comment with a hash": lambda t: text("1 = 1 #"),
    "comment that runs": lambda t: text("1 = 1 /*! OR 1 = 1 */"),
    "comment that runs, with a version": lambda t: text("1 = 1 /*!50000 OR 1 = 1 */"),
    "comment that runs on MariaDB": lambda t: text("1 = 1 /*M! OR 1 = 1 */"),
    "parentheses": lambda t: text("1 = 1) OR (1 = 1"),
    "two parentheses": lambda t: text("1 = 1)) OR ((1 = 1"),
    "parenthesis and comment": lambda t: text("1 = 1) OR 1 = 1 --"),
    "semicolon": lambda t: text("1 = 1 ;"),
    "second statement": lambda t: text(f"1 = 1; DELETE FROM {t.shape.table.name}"),
    "UNION": lambda t: text(f"1 = 1 UNION ALL SELECT * FROM {t.shape.table.name}"),
    "double pipe": lambda t: text("1 = 1 || 1 = 1"),
    "XOR": lambda t: text("1 = 1 XOR 1 = 0 OR 1 = 1"),
    "CASE": lambda t: text("CASE WHEN 1 = 1 THEN 1 = 1 END OR 1 = 1"),
    "BETWEEN": lambda t: text("1 BETWEEN 0 AND 2 OR 1 = 1"),
    "backslash": lambda t: text(r"'a' <> '\\' OR 1 = 1 OR 'b' = ' '"),
    "dollar quotes": lambda t: text("'a' <> $$'$$ OR 1 = 1 OR 'b' = ''"),
    "two quotes": lambda t: text("'it''s' = 'it''s' OR 1 = 1"),
    "OR in EXISTS": lambda t: exists(select(1).where(text("1 = 1 OR 1 = 1"))),
    "OR in IN": lambda t: t.key.in_(select(t.shape.table.c[t.shape.key]).where(text("1 = 1 OR 1 = 1"))),
    "OR in a CTE": lambda t: t.key.in_(
        select(select(t.shape.table.c[t.shape.key]).where(text("1 = 1 OR 1 = 1")).cte("inner_cte"))
    ),
    "owner of others": lambda t: _owner(t) == t.shape.whose(BOB),
    "any owner": lambda t: or_(_owner(t) == t.shape.whose(BOB), _owner(t).is_(None), true()),
    "text and ordinary": lambda t: and_(t.key > 0, text("1 = 1 OR 1 = 1")),
    "text OR and false": lambda t: and_(false(), text("1 = 1 OR 1 = 1")),
    "tuple": lambda t: tuple_(t.key, t.number).in_([(t.shape.mine, 1), (t.shape.theirs, 1)]),
}
# Criteria that are read by one database only.
ONLY: dict[str, str] = {"comment with a hash": "mariadb", "XOR": "mariadb", "dollar quotes": "postgresql"}


def _either(target: Target) -> str:
    """That of others first: the AND that follows binds to the last."""
    column = f"{target.name}.{target.shape.key}"
    return f"{column} = :fam_b OR {column} = :fam_a"


def _either_literally(target: Target) -> str:
    column = f"{target.name}.{target.shape.key}"
    return f"{column} = {target.shape.theirs} OR {column} = {target.shape.mine}"


def _owner(target: Target) -> Any:
    """The owner's column, or the key where a child table has none."""
    if target.shape.inherited and not target.orm:
        return target.key
    return target[target.shape.owner]


def draw(random: Random, database: str, calm: bool) -> tuple[str, Criterion | None]:
    """One criterion, or several that are combined."""
    if calm or random.random() < 0.3:
        name = random.choice(list(ORDINARY))
        return name, ORDINARY[name]
    if random.random() < 0.2:
        return _several(random, database)
    name = random.choice([name for name in ODD if ONLY.get(name, database) == database])
    return name, ODD[name]


def _several(random: Random, database: str) -> tuple[str, Criterion | None]:
    joined = random.choice(["and_", "and_", "or_", "not_"])
    drawn = [draw(random, database, calm=random.random() < 0.5) for _ in range(random.choice([2, 2, 3]))]
    made = [(name, criterion) for name, criterion in drawn if criterion is not None]
    if not made:
        return "none", None
    how = {"and_": and_, "or_": or_, "not_": _none_of}[joined]
    return f"{joined}({', '.join(name for name, _ in made)})", lambda t: how(*(part(t) for _, part in made))


def _none_of(*parts: Any) -> Any:
    return not_(and_(*parts))
