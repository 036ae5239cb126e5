"""What was once a hole is in each run of the family, however short: nothing of it is left to chance."""

from __future__ import annotations

from dataclasses import dataclass

ALL, SERVERS = ("sqlite", "postgresql", "mariadb"), ("postgresql", "mariadb")
EITHER = ("text OR", "literal_column OR", "text OR of all", "parentheses", "comment that runs")


@dataclass(frozen=True)
class Pin:
    """A statement whose choices are made; those that are empty are drawn."""

    form: str
    limit: str = "owned"
    criterion: str = "none"
    alteration: str = ""
    dress: str = "plain"
    shape: str = "letter"
    way: str = "session"
    databases: tuple[str, ...] = ALL
    preloaded: bool = False
    sql: str = ""


def _ors() -> list[Pin]:
    forms = ["update", "delete", "entity", "columns", "count", "join", "outer join", "subquery", "CTE", "IN"]
    forms += ["EXISTS of a join", "scalar subquery"]
    return [Pin(form, criterion=either) for form in forms for either in EITHER]


def _aliases() -> list[Pin]:
    dresses = ("alias", "core_alias", "anonymous", "by_name", "schema", "quoted")
    pins = [Pin(form, "none", dress=dress) for form in ("update", "delete") for dress in dresses]
    forms = ("update in CTE", "delete in CTE", "CTE added", "insert from CTE")
    pins += [Pin(form, "none", dress="core_alias", databases=("postgresql",)) for form in forms]
    return [*pins, Pin("update through alias", "none", databases=("mariadb",))]


def _additions() -> list[Pin]:
    names = ("suffix OR", "suffix UNION of one", "prefix column", "prefix UNION", "statement hint", "where text OR")
    limits = ("altered, then owned", "owned, then altered")
    return [
        Pin(form, limit, alteration=name, way=way)
        for form, way in (("entity", "session"), ("columns", "connection"))
        for name in names
        for limit in limits
    ]


def _owners() -> list[Pin]:
    names = ("values of the owner", "values without an owner", "values by expression", "where text OR")
    pins = [
        Pin("update", limit, alteration=name)
        for name in names
        for limit in ("altered, then owned", "owned, then altered")
    ]
    pins += [
        Pin("update", "altered, then owned, no guard", alteration="values of the owner", shape=shape)
        for shape in ("letter", "ticket", "vehicle")
    ]
    parameters = ("owned, with parameters", "owned, with parameters, no guard")
    return (
        pins
        + [Pin(form, limit) for form in ("insert many", "insert one of a list", "insert one") for limit in parameters]
        * 3
    )


def _objects() -> list[Pin]:
    forms = ("dynamic", "writers of letters", "letters of writers", "entity")
    return [Pin(form, preloaded=preloaded) for form in forms for preloaded in (False, True)] * 2


def _texts() -> list[Pin]:
    def text(sql: str, *databases: str, way: str = "driver") -> Pin:
        return Pin("text", "none", way=way, databases=databases or ALL, sql=sql)

    return [
        *(text("-- what to do\nUPDATE letters SET text = 'x'", way=way) for way in ("text", "driver")),
        *(text("-- what to do\nDELETE FROM letters", way=way) for way in ("text", "driver")),
        text("UPDATE\"letters\"SET text = 'x'", "sqlite", "postgresql"),
        text("UPDATE`letters`SET text = 'x'", "sqlite", "mariadb"),
        text("DELETE FROM `letters`", "sqlite", "mariadb"),
        text("UPDATE (letters) SET text = 'x'", "mariadb"),
        text("LOAD DATA INFILE '/etc/hostname' INTO TABLE letters (text) SET id = 700, writer_id = 8008", "mariadb"),
        text("LOAD DATA LOCAL INFILE '/etc/hostname' REPLACE INTO TABLE letters (text) SET id = 1001", "mariadb"),
        text("RENAME TABLE letters TO gone", "mariadb"),
        text("UPDATE letters_view SET text = 'x'", *SERVERS),
        text("DELETE FROM all_tickets", *SERVERS),
    ]


PINS = (*_ors(), *_aliases(), *_additions(), *_owners(), *_objects(), *_texts())


def of(database: str) -> list[Pin]:
    return [pin for pin in PINS if database in pin.databases]
