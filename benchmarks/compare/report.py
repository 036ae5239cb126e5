"""Tables and charts for ``docs/performance.rst``, made of ``results.json`` alone: nothing is measured here.

Each table is a file of its own, which the page includes where it speaks of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare.catalogue import BARE, OURS
from benchmarks.compare.chart import Bar, Group, bar_chart

Row = dict[str, Any]
Results = dict[str, Any]

KINDS = ("untouched", "look", "read", "write")
MISSING = "–"  # noqa: RUF001
NAMES = {
    "memory": "memory",
    "memcached": "memcached",
    "sqlite": "SQLite",
    "postgresql": "PostgreSQL",
    "mariadb": "MariaDB",
    "redis": "Redis",
    "cached_sql": "PostgreSQL with memcached",
    "cookie": "cookie",
    "": MISSING,
}


def write(results: Results, folder: Path) -> list[Path]:
    """Write all that the results have something for; the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for part, makers in PARTS.items():
        measured = results.get(part)
        if measured and measured["rows"]:
            files.update({name: make(measured) for name, make in makers.items()})
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *rows):
        lines += [f"   {'*' if number == 0 else ' '} - {cell}" for number, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def _where(measured: Results) -> str:
    """Under each table: where its numbers are from."""
    machine = measured["machine"]
    names = [f"{name} {version}" for name, version in machine["packages"].items()]
    return (
        f"\nMeasured on {machine['date']} at {machine['commit']} by ``{machine['command']}``, on {machine['cores']} "
        f"cores of {machine['processor']}, {machine['system']}, {machine['python']}. {', '.join(names)}. "
        f"{'; '.join(machine['servers'].values())}.\n"
    )


def _price(measured: Results) -> str:
    rows = measured["rows"]
    lines = []
    for (store, library), group in _by(rows, "store", "library"):
        kinds = {row["kind"]: row for row in group}
        spread = max(row["spread"] for row in group)
        ratios = [_ratio(kinds[kind]["floor"]) if kind in kinds else MISSING for kind in ("read", "write")]
        prices = [_microseconds(kinds[kind]["added"]) if kind in kinds else MISSING for kind in KINDS]
        lines.append([NAMES[store], library, *prices, " / ".join(ratios), _microseconds(spread)])
    header = ["store", "library", *KINDS, "of the floor (read / write)", "spread"]
    return table(header, lines) + _where(measured)


def _goals(measured: Results) -> str:
    lines = [
        [
            NAMES[row["store"]],
            row["kind"],
            _microseconds(row["added"]),
            row["measure"],
            f"{row['ratio']:.2f}",
            f"{row['allowed']:g}",
            "met" if row["ratio"] <= row["allowed"] else "**not met**",
        ]
        for row in measured["rows"]
        if "allowed" in row
    ]
    return table(["store", "request", "µs", "compared with", "ratio", "allowed", "goal"], lines)


def _price_chart(measured: Results) -> str:
    groups = []
    for (store,), rows in _by(measured["rows"], "store"):
        bars = [
            Bar(f"{row['library']}, {row['kind']}", max(0.0, row["added"]), row["library"] == OURS)
            for row in rows
            if row["kind"] in ("read", "write")
        ]
        groups.append(Group(NAMES[store], bars))
    title = "What a session adds to a view, in microseconds"
    return bar_chart(title, "Less is better. Each store has a scale of its own.", groups, "{:.0f}")


def _http(measured: Results) -> str:
    lines = []
    for (server, library, store), rows in _by(measured["rows"], "server", "library", "store"):
        for (framework,), group in _by(rows, "framework"):
            kinds = {row["kind"]: row for row in group}
            cells = [_share(kinds[kind]) if kind in kinds else MISSING for kind in ("bare", "read", "write")]
            goals = [_share_goal(row) for row in group if row.get("least") is not None]
            name = f"{library}, {framework}" if library == BARE else library
            failed = sum(row["failed"] for row in group)
            lines.append([server, NAMES[store], name, *cells, str(failed), ", ".join(goals) or MISSING])
    header = ["server", "store", "library", "no session", "read", "write", "failed", "goal"]
    return table(header, lines) + _where(measured)


def _share(row: Row) -> str:
    if row["kind"] == "bare":
        return f"{row['rate']:,.0f}/s"
    return f"{row['share']:.2f} ({row['rate']:,.0f}/s)"


def _share_goal(row: Row) -> str:
    verdict = "met" if row["share"] >= row["least"] else "**not met**"
    return f"{row['kind']} {row['least']:.2f}: {verdict}"


def _http_chart(measured: Results) -> str:
    groups = []
    for (server,), rows in _by(measured["rows"], "server"):
        bars = [
            Bar(f"{row['library']}, {NAMES[row['store']]}, {row['kind']}", row["share"], row["library"] == OURS)
            for row in rows
            if row["library"] != BARE
        ]
        groups.append(Group(server, bars))
    title = "Requests per second, as a share of those of a view without a session"
    return bar_chart(title, "More is better.", groups, "{:.2f}", full=1.0)


def _writers(measured: Results) -> str:
    rows = measured["rows"]
    counts = sorted({row["writers"] for row in rows})
    lines = []
    for (library, store), group in _by(rows, "library", "store"):
        own = {row["writers"]: row for row in group if not row["shared"]}
        shared = {row["writers"]: row for row in group if row["shared"]}
        cells = [f"{own[count]['rate']:,.0f}" for count in counts]
        cells += [f"{shared[count]['rate']:,.0f}" for count in counts]
        lines.append([library, NAMES[store], " / ".join(cells[: len(counts)]), " / ".join(cells[len(counts) :])])
        lines[-1] += [f"{_lost(shared.values())}", str(sum(row["refused"] for row in group))]
    writers = " / ".join(map(str, counts))
    header = ["library", "store", f"writes per second, {writers} sessions", f"{writers} writers on one session"]
    return table([*header, "lost on one session", "refused (503)"], lines) + _where(measured)


def _lost(rows: Iterable[Row]) -> str:
    """All runs with several writers together."""
    several = [row for row in rows if row["writers"] > 1]
    lost, answered = sum(row["lost"] for row in several), sum(row["answered"] for row in several)
    return f"{lost:,} of {answered:,}" + (f" ({lost / answered:.0%})" if lost else "")


def _million(measured: Results) -> str:
    lines = [
        [NAMES[row["store"]], row["kind"], _microseconds(row["few"]), _microseconds(row["many"]), f"{row['ratio']:.2f}"]
        for row in measured["rows"]
    ]
    many = f"beside {measured['rows'][0]['count']:,}"
    return table(["store", "request", "beside 1,000 sessions", many, "ratio"], lines) + _where(measured)


def _sizes(measured: Results) -> str:
    lines = [
        [
            NAMES[row["store"]],
            f"{row['contents']:,}",
            f"{row['bytes']:,.0f}",
            _parts_of(row),
            f"{row['bytes'] / 1000:,.1f} GB",
        ]
        for row in measured["rows"]
        if row["what"] == "size"
    ]
    header = ["store", "bytes of contents", "bytes per session", "of which", "a million sessions (arithmetic)"]
    return table(header, lines) + _where(measured)


def _parts_of(row: Row) -> str:
    if "indexes" in row:
        return f"table {row['table']:,.0f}, indexes {row['indexes']:,.0f}"
    return f"item {row['item']:,.0f}, and room that its chunk has left" if "item" in row else "the process"


def _upkeep(measured: Results) -> str:
    lines = []
    for row in measured["rows"]:
        if row["what"] == "purge":
            a_million = f"{1e6 / row['rate']:,.0f} s for a million (arithmetic)"
            lines.append([NAMES[row["store"]], "purge", f"{row['rate']:,.0f} sessions per second; {a_million}"])
        if row["what"] == "wal":
            logged = f"{row['first']:,.0f} bytes for the first write to a page after a checkpoint, {row['later']:,.0f}"
            lines.append([NAMES[row["store"]], "WAL", f"{logged} later; {row['hot']:.0%} of updates were HOT"])
    return table(["store", "what", "measured"], lines)


def _by(rows: Iterable[Row], *names: str) -> list[tuple[tuple[str, ...], list[Row]]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return list(groups.items())


def _microseconds(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def _ratio(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


PARTS = {
    "price": {"price.inc": _price, "goals.inc": _goals, "price.svg": _price_chart},
    "http": {"http.inc": _http, "http.svg": _http_chart},
    "writers": {"writers.inc": _writers},
    "million": {"million.inc": _million},
    "sizes": {"sizes.inc": _sizes, "upkeep.inc": _upkeep},
}
"""The files of each part."""
