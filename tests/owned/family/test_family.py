"""A family of statements on each database, and what they do to the rows of others: nothing.

``SESSIONKIT_FAMILY=20000 pytest -s tests/owned/family`` runs so many distinct statements, spread over the databases.
``SESSIONKIT_FAMILY_CASE="sqlite 17"`` runs the one of that number, and prints what became of it.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator

import pytest

from pyramid_sessionkit.owned.judge import Verdict
from tests.owned.family import forms, oracle, pinned
from tests.owned.family.fixtures import DATABASES
from tests.owned.family.oracle import Summary, Violation
from tests.owned.family.worlds import World

# What decides about the SQL that reaches the cursor. Without it everything is executed.
JUDGE = "pyramid_sessionkit.owned.verdicts.Case.verdict"

SHORT = {"sqlite": 500, "postgresql": 400, "mariadb": 600}
# SQLite is the quickest; the servers have forms that it has not.
SHARES = {"sqlite": 0.4, "postgresql": 0.35, "mariadb": 0.25}
ALL = int(os.environ.get("SESSIONKIT_FAMILY", "0"))
ONE = os.environ.get("SESSIONKIT_FAMILY_CASE", "")
SHOWN = 25
EVERY = 500


def wanted(database: str) -> int:
    return -(-int(ALL * SHARES[database] * 10) // 10) if ALL else SHORT[database]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """SQLAlchemy warns of statements that are odd, as these are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


_ran: dict[str, Summary] = {}


def ran(world: World) -> Summary:
    """All statements of the family on a database, once for all tests."""
    if world.name not in _ran:
        _ran[world.name] = family(world, wanted(world.name))
        if ALL:
            print(f"\n{_ran[world.name]}", file=sys.__stderr__)
    return _ran[world.name]


def family(world: World, count: int) -> Summary:
    """So many distinct ones."""
    summary, number, started = Summary(world.name), 0, time.monotonic()
    while len(summary.distinct) < count:
        case = forms.make(world.name, number)
        summary.add(case, *oracle.judge(case, world))
        number += 1
        if number % EVERY == 0:
            assert not world.restore_if_changed(), f"{case.one_line}, or one before it, was committed"
            if ALL:
                seconds = time.monotonic() - started
                print(f"\r{world.name}: {len(summary.distinct)}/{count}, {seconds:.0f} s ", end="", file=sys.__stderr__)
    return summary


def kinds_found(world: World, kinds: set[str], most: int = 600) -> set[str]:
    """Which of these kinds of violations there are, looked for until all are found."""
    found: set[str] = set()
    for number in range(most):
        case = forms.make(world.name, number)
        found |= kinds & {violation.kind for violation in oracle.judge(case, world)[1]}
        if found == kinds:
            break
    return found


def told(violations: list[Violation], kinds: set[str]) -> str:
    found = [violation for violation in violations if violation.kind in kinds]
    return "\n\n".join([*(str(violation) for violation in found[:SHOWN]), f"{len(found)} in all"]) if found else ""


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_no_row_of_others_is_changed(world: World) -> None:
    violations = ran(world).violations
    assert not told(violations, {"written", "refused too late"}), told(violations, {"written", "refused too late"})


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_no_row_of_others_is_shown(world: World) -> None:
    violations = ran(world).violations
    assert not told(violations, {"shown", "influenced"}), told(violations, {"shown", "influenced"})


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_ones_own_rows_can_be_used(world: World) -> None:
    violations = ran(world).violations
    kinds = {"not allowed", "less", "without effect"}
    assert not told(violations, kinds), told(violations, kinds)


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_nothing_of_the_library_breaks(world: World) -> None:
    assert not ran(world).crashes


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_it_is_a_family(world: World) -> None:
    """It has all forms of a database, and is neither all refused nor all errors."""
    summary = ran(world)
    counts = summary.counts
    total = sum(counts[name] for name in ("refused", "error", "executed"))
    assert len(summary.distinct) >= wanted(world.name)
    assert counts["executed"] > total / 10
    assert counts["error"] < total / 4
    assert counts["promised"] > total / 25


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_what_was_once_a_hole_is_in_each_run(world: World) -> None:
    pins = pinned.of(world.name)
    assert len(pins) < SHORT[world.name] / 2
    for number, pin in enumerate(pins):
        case = forms.make(world.name, number)
        assert case.form.name == (f"text {pin.sql}" if pin.sql else pin.form)
        assert (case.limit, case.criterion) == (pin.limit, pin.criterion)


def test_the_same_number_is_the_same_statement(sqlite_world: World) -> None:
    for number in range(0, 3000, 37):
        one, other = forms.make("sqlite", number), forms.make("sqlite", number)
        oracle.judge(one, sqlite_world)
        oracle.judge(other, sqlite_world)
        assert one.recipe == other.recipe


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_without_the_guard_the_family_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "guard", lambda session, request: session)
    assert "written" in kinds_found(world, {"written"})


@pytest.mark.parametrize("world", DATABASES, indirect=True)
def test_without_the_judge_the_family_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JUDGE, lambda *_: Verdict())
    monkeypatch.setattr("pyramid_sessionkit.owned.verdicts._TextCase.verdict", lambda *_: Verdict())
    assert kinds_found(world, {"written", "shown"}) == {"written", "shown"}


@pytest.mark.skipif(not ONE, reason="no statement was asked for")
def test_one_case(request: pytest.FixtureRequest) -> None:
    database, number = ONE.split()
    case = forms.make(database, int(number))
    done, violations = oracle.judge(case, request.getfixturevalue(f"{database}_world"))
    print(f"\n{case.recipe}\n{case.sql}\nrefused: {done.refused}\nerror: {done.error}\nshown: {done.shown}")
    assert not violations, "\n".join(map(str, violations))
