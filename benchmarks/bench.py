"""What sessions cost, ours beside other libraries', in one run: ``make bench``.

Starts the servers it needs on free loopback ports, measures, and writes ``benchmarks/results.json``, from which it
makes the tables and charts of ``docs/performance.rst``. A run with --quick or --only leaves those alone and writes
to ``build/bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare import (
    catalogue,
    machine,
    part_http,
    part_million,
    part_price,
    part_sizes,
    part_writers,
    report,
    servers,
)
from benchmarks.compare.run import Row, Run, one_core

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "measured"
ASIDE = ROOT / "build" / "bench"
PARTS = ("price", "http", "writers", "sizes")
"""Those of a run that names none; a million sessions take too long for every day."""
STORES = ("sql", *dict.fromkeys(app.store for app in catalogue.CATALOGUE if app.store))
"""What --only takes."""


def main() -> None:
    options = _options()
    started = time.monotonic()
    aside = options.quick or options.only is not None
    results, page = (ASIDE / "results.json", ASIDE) if aside else (RESULTS, PAGE)
    if options.report and not results.exists():
        sys.exit(f"There is no {results.relative_to(ROOT)} yet: measure without --report first")
    if not options.report:
        _measure(options, results, lambda line: print(f"[{time.monotonic() - started:4.0f} s] {line}", flush=True))
    for path in report.write(json.loads(results.read_text(encoding="utf-8")), page):
        print(path.relative_to(ROOT))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench BENCH=...", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds: whether it works, not what it costs")
    parser.add_argument("--only", type=_words, help=f"these stores: {','.join(STORES)}; sql is all databases")
    parser.add_argument("--parts", type=_words, default=PARTS, help=f"these parts: {','.join(PARTS)},million")
    parser.add_argument("--rounds", type=int, help="so many rounds in process")
    help_of_million = "also beside a million stored sessions, or so many: some minutes"
    parser.add_argument(
        "--million", nargs="?", type=int, const=part_million.MANY, metavar="COUNT", help=help_of_million
    )
    parser.add_argument("--report", action="store_true", help="measure nothing: make tables and charts again")
    options = parser.parse_args()
    _refuse_unknown(parser, "part", options.parts, [*PARTS, "million"])
    _refuse_unknown(parser, "store", options.only or [], STORES)
    if "million" in options.parts:
        options.million = options.million or part_million.MANY
    return options


def _refuse_unknown(parser: argparse.ArgumentParser, kind: str, words: list[str], known: Sequence[str]) -> None:
    unknown = [word for word in words if word not in known]
    if unknown:
        parser.error(f"no such {kind}: {', '.join(unknown)}; there are {', '.join(known)}")


def _words(text: str) -> list[str]:
    return text.split(",")


def _measure(options: argparse.Namespace, results: Path, say: Callable[[str], None]) -> None:
    # A server that is missing is a line here, and nothing fails as it would in the tests.
    os.environ.pop("CI", None)
    others = one_core()
    there = servers.installed(servers.SERVERS, say)
    apps = catalogue.chosen(options.only, ["sqlite", *there])
    needed = [name for name in there if any(name in app.needs for app in apps)]
    command = " ".join(["make bench", *([f'BENCH="{" ".join(sys.argv[1:])}"'] if sys.argv[1:] else [])])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        say(f"starting {', '.join(needed) or 'no server'} ...")
        with servers.running(needed, folder) as addresses:
            run = Run(apps, addresses, folder, say, options.quick, options.rounds)
            told = machine.describe(command, apps, needed)
            for part, measure in _parts(options, others).items():
                _keep(results, part, {"machine": told, "rows": measure(run)})


def _parts(options: argparse.Namespace, others: set[int]) -> dict[str, Callable[[Run], list[Row]]]:
    parts: dict[str, Callable[[Run], list[Row]]] = {
        "price": part_price.measure,
        "http": lambda run: part_http.measure(run, others),
        "writers": part_writers.measure,
        "sizes": part_sizes.measure,
    }
    chosen = {name: parts[name] for name in parts if name in options.parts}
    if options.million:
        chosen["million"] = lambda run: part_million.measure(run, options.million)
    return chosen


def _keep(path: Path, part: str, measured: dict[str, Any]) -> None:
    """Replace one part of the results; the others stay as an earlier run left them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**known, part: measured}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
