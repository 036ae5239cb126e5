"""What ``make bench`` makes of its measurements, from a sample; nothing is measured here."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import pytest

from benchmarks import bench
from benchmarks.compare import catalogue, goals, report, servers
from benchmarks.compare.catalogue import BARE, FLOOR, OURS
from benchmarks.compare.chart import Bar, Group, bar_chart

MACHINE = {
    "date": "2026-01-02",
    "command": "make bench",
    "commit": "abc1234",
    "processor": "Z80",
    "cores": 2,
    "system": "CP/M 2.2",
    "python": "CPython 3.13.0",
    "packages": {"Django": "5.2"},
    "servers": {"redis": "Redis server v=7"},
}


def price(library, kind, added, **more):
    told = {"library": library, "store": "memory", "framework": "Pyramid", "kind": kind}
    return {**told, "bare": 8.0, "added": added, "spread": 0.5, "floor": None, **more}


def http(library, store, kind, rate, share, **more):
    told = {"server": "waitress", "library": library, "store": store, "framework": "Pyramid", "kind": kind}
    return {**told, "rate": rate, "share": share, "failed": 0, "p99": 1, "least": None, **more}


def writers(shared, count, answered, lost):
    told = {"library": "Django db", "store": "postgresql", "framework": "Django", "writers": count, "shared": shared}
    return {**told, "answered": answered, "kept": answered - lost, "lost": lost, "refused": 0, "rate": 2.0 * answered}


SAMPLE = {
    "price": {
        "machine": MACHINE,
        "rows": [
            price(OURS, "read", 9.0, floor=1.125, ratio=1.125, allowed=1.3, measure="twenty lines, memory read"),
            price(OURS, "write", 20.0, floor=1.667, ratio=1.667, allowed=1.5, measure="twenty lines, memory write"),
            price(FLOOR, "read", 8.0, floor=1.0),
            price(FLOOR, "write", 12.0, floor=1.0),
        ],
    },
    "http": {
        "machine": MACHINE,
        "rows": [
            http(BARE, "", "bare", 5000.0, 1.0),
            http(OURS, "memory", "read", 4250.0, 0.85, least=0.8),
            http(OURS, "memcached", "read", 2500.0, 0.5, least=0.6),
        ],
    },
    "writers": {
        "machine": MACHINE,
        "rows": [writers(False, 1, 10, 0), writers(False, 4, 40, 0), writers(True, 1, 10, 0), writers(True, 4, 40, 30)],
    },
    "million": {
        "machine": MACHINE,
        "rows": [{"store": "sqlite", "kind": "read", "count": 1000000, "few": 20.0, "many": 24.0, "ratio": 1.2}],
    },
    "sizes": {
        "machine": MACHINE,
        "rows": [
            {"what": "size", "store": "memcached", "contents": 112, "count": 9, "bytes": 480.0, "item": 472.0},
            {"what": "purge", "store": "sqlite", "count": 9, "seconds": 0.1, "rate": 50_000.0},
            {"what": "wal", "store": "postgresql", "writes": 9, "first": 4000.0, "later": 200.0, "hot": 0.9},
        ],
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    return {path.name: path.read_text(encoding="utf-8") for path in report.write(SAMPLE, folder)}


def row_of(table, *cells):
    """The rest of the table's row that begins with these cells."""
    listed = [row.split("\n     - ") for row in table.partition("\n\nMeasured")[0].split("   * - ")]
    (found,) = [row for row in listed if tuple(row[: len(cells)]) == cells]
    return [cell.strip() for cell in found[len(cells) :]]


def test_every_part_of_the_results_is_on_the_page(made):
    assert set(made) == {name for makers in report.PARTS.values() for name in makers}


def test_a_price_is_told_with_its_ratio_to_the_floor(made):
    assert row_of(made["price.inc"], "memory", OURS) == ["–", "–", "9.0", "20.0", "1.12 / 1.67", "0.5"]


def test_a_goal_is_met_or_not(made):
    assert row_of(made["goals.inc"], "memory", "read")[-3:] == ["1.12", "1.3", "met"]
    assert row_of(made["goals.inc"], "memory", "write")[-3:] == ["1.67", "1.5", "**not met**"]


def test_a_share_of_the_bare_view_is_held_to_its_goal(made):
    assert row_of(made["http.inc"], "waitress", "memory", OURS)[-1] == "read 0.80: met"
    assert row_of(made["http.inc"], "waitress", "memcached", OURS)[-1] == "read 0.60: **not met**"


def test_lost_writes_are_counted(made):
    cells = row_of(made["writers.inc"], "Django db", "PostgreSQL")
    assert cells == ["20 / 80", "20 / 80", "30 of 40 (75%)", "0"]


def test_a_table_says_where_its_numbers_are_from(made):
    for name in ("price.inc", "http.inc", "writers.inc", "million.inc", "sizes.inc"):
        for word in ("2026-01-02", "abc1234", "``make bench``", "Z80", "CPython 3.13.0", "Django 5.2", "v=7"):
            assert word in made[name], (name, word)


def test_a_part_that_was_not_measured_has_no_table(tmp_path):
    empty = {"http": {"machine": MACHINE, "rows": []}}
    assert report.write({**empty, "million": SAMPLE["million"]}, tmp_path) == [tmp_path / "million.inc"]


@pytest.mark.parametrize("name", ["price.svg", "http.svg"])
def test_a_chart_is_xml_with_its_text_as_text(made, name):
    chart = ElementTree.fromstring(made[name])
    texts = [text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert any(OURS in text for text in texts)
    assert "prefers-color-scheme: dark" in made[name]


def test_bars_are_as_long_as_their_values():
    chart = bar_chart("title", "note", [Group("a < b", [Bar("half", 5, True), Bar("whole", 10, False)])], "{:.0f}")
    _, *bars = ElementTree.fromstring(chart).iter("{http://www.w3.org/2000/svg}rect")
    half, whole = (float(bar.attrib["width"]) for bar in bars)
    assert whole == pytest.approx(2 * half)
    assert [bar.attrib["class"] for bar in bars] == ["ours", "other"]


def test_the_catalogue_imports_no_library():
    others = "django flask flask_session pyramid_beaker beaker pyramid_session_redis redis"
    code = (
        "import sys; from benchmarks.compare import catalogue, report, run, worker, servers; "
        f"print([name for name in {others!r}.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_server_that_is_missing_leaves_its_rows_out(monkeypatch):
    monkeypatch.setattr(servers, "find_program", lambda name: None if name == "redis-server" else f"/bin/{name}")
    said = []
    there = servers.installed(servers.SERVERS, said.append)
    assert there == ["memcached", "postgresql", "mariadb"]
    assert said == ["redis-server is not installed (Debian's package redis-server): rows that need redis are left out"]
    assert all("redis" not in app.needs for app in catalogue.chosen(None, there))


def test_only_takes_the_stores_named_and_what_they_are_measured_by():
    apps = catalogue.chosen(["sql"], ["postgresql"])
    assert {(app.library, app.store) for app in apps} == {
        *((library, store) for library in (OURS, FLOOR) for store in ("sqlite", "postgresql")),
        (FLOOR, "memory"),
        ("Django db", "postgresql"),
        ("Flask-Session", "postgresql"),
        (BARE, ""),
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "memory,redid"], "no such store: redid; there are sql, memory, memcached,"),
        (["--parts", "prise"], "no such part: prise; there are price, http,"),
        (["--quick", "--report"], "There is no build/bench/results.json yet"),
    ],
)
def test_what_a_run_cannot_do_is_refused_at_once(monkeypatch, tmp_path, capsys, options, said):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "ASIDE", tmp_path / "build" / "bench")
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    with pytest.raises(SystemExit) as refused:
        bench.main()
    assert said in capsys.readouterr().err + str(refused.value)


def test_the_goals_are_those_of_the_design():
    assert goals.goal("sqlite", "write") == (1.25, FLOOR, "sqlite", "write")
    assert goals.goal("postgresql", "untouched") == (0.1, FLOOR, "memory", "read")
    assert goals.goal("cached_sql", "read") == (1.1, OURS, "memcached", "read")
    assert goals.goal("mariadb", "read") is None
