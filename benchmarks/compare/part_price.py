"""What a session adds to a bare view of its framework, in process."""

from __future__ import annotations

import statistics

from benchmarks.compare.catalogue import FLOOR, OURS, App
from benchmarks.compare.goals import goal
from benchmarks.compare.run import Row, Run
from benchmarks.compare.worker import Worker, workers

KINDS = {
    "untouched": ("/plain", "filled"),
    "look": ("/read", ""),
    "read": ("/read", "filled"),
    "write": ("/change", "filled"),
}
"""The path, and which cookie is sent."""

Times = dict[tuple[App, str], list[float]]


def measure(run: Run) -> list[Row]:
    rows: list[Row] = []
    for store in run.stores():
        group = _group(run.apps, store)
        with workers(group, run.addresses, run.say) as started:
            times = _times(run, started)
        rows += _rows(times, store)
        run.say(f"price, {store}: {_told(rows, store)}")
    return rows


def _group(apps: list[App], store: str) -> list[App]:
    """What has to be measured at the same time: those on the store, and those that they are compared with."""
    measures = {(FLOOR, "memory")} | ({(OURS, "memcached")} if store == "cached_sql" else set())
    return [app for app in apps if app.bare or app.store == store or (app.library, app.store) in measures]


def _times(run: Run, started: list[Worker]) -> Times:
    """Everything in turns, so that what disturbs the machine disturbs all alike."""
    seconds, rounds = (0.01, 5) if run.quick else (0.025, 20)
    counts: dict[tuple[App, str], int] = {}
    for worker in started:
        for kind, (path, cookie) in _kinds(worker.app).items():
            worker.ask("time", path, cookie, 20)
            counts[worker.app, kind] = max(5, int(seconds / worker.ask("time", path, cookie, 20)))
    times: Times = {key: [] for key in counts}
    for _ in range(run.rounds or rounds):
        for worker in started:
            for kind, (path, cookie) in _kinds(worker.app).items():
                times[worker.app, kind].append(worker.ask("time", path, cookie, counts[worker.app, kind]) * 1e6)
    return times


def _kinds(app: App) -> dict[str, tuple[str, str]]:
    return {"bare": ("/plain", "")} if app.bare else KINDS


def _rows(times: Times, store: str) -> list[Row]:
    bare = {app.framework: min(taken) for (app, _), taken in times.items() if app.bare}
    added = {
        (app.library, app.store, kind): min(taken) - bare[app.framework]
        for (app, kind), taken in times.items()
        if not app.bare and app.framework in bare
    }
    return [
        {
            "library": app.library,
            "store": app.store,
            "framework": app.framework,
            "kind": kind,
            "bare": bare[app.framework],
            "added": added[app.library, app.store, kind],
            "spread": statistics.median(taken) - min(taken),
            **_compared(added, app, kind),
        }
        for (app, kind), taken in times.items()
        if app.store == store and app.framework in bare
    ]


def _compared(added: dict[tuple[str, str, str], float], app: App, kind: str) -> Row:
    """The ratio to the floor on the same store, and for ours the goal."""
    mine = added[app.library, app.store, kind]
    floor = added.get((FLOOR, app.store, kind)) if kind in ("read", "write") else None
    compared: Row = {"floor": floor and mine / floor}
    held = goal(app.store, kind) if app.library == OURS else None
    against = held and added.get((held.library, held.store, held.kind))
    if held and against:
        compared.update(ratio=mine / against, allowed=held.allowed, measure=f"{held.library}, {held.store} {held.kind}")
    return compared


def _told(rows: list[Row], store: str) -> str:
    ours = [row for row in rows if row["store"] == store and row["library"] == OURS]
    told = [
        f"{row['kind']} +{row['added']:.1f} us"
        + (f" ({row['ratio']:.2f} of {row['allowed']})" if "ratio" in row else "")
        for row in ours
    ]
    return ", ".join(told) or "none of ours"
