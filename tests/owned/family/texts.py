"""SQL as text: what SQLAlchemy has no words for, and what it built, spelled in other ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from tests.owned.family.pick import ALL, Form, Pick
from tests.owned.family.shapes import BOB, Shape
from tests.owned.family.targets import SCHEMA

POSTGRESQL, MARIADB, SQLITE = ("postgresql",), ("mariadb",), ("sqlite",)
SERVERS = POSTGRESQL + MARIADB
FULL_WHERE = (
    "",
    "WHERE {k} = {mine}",
    "WHERE {k} = {theirs}",
    "WHERE {k} = {mine} OR {k} = {theirs}",
    "WHERE {k} IN ({mine}, {theirs})",
    "WHERE NOT {k} = 0",
    "WHERE {o} = {ada} OR 1 = 1",
    "WHERE {o} = {bob}",
    "WHERE {k} > 0 /* a /* nested */ comment */",
    "WHERE {k} > 0 -- the end",
)

# {t} a table in some spelling, {k} its key, {x} its text, {n} its number, {o} its owner, {w} a WHERE.
TEMPLATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("UPDATE {t} SET {x} = 'changed' {w}", ALL),
    ("UPDATE {t} AS m SET {x} = 'changed' {w}", ALL),
    ("UPDATE {t} m SET m.{x} = 'changed'", MARIADB),
    ("UPDATE ONLY {t} SET {x} = 'changed' {w}", POSTGRESQL),
    ("UPDATE {t} * SET {x} = 'changed'", POSTGRESQL),
    ("UPDATE ({t}) SET {x} = 'changed' {w}", MARIADB),
    ("UPDATE {t}, topics SET {x} = 'changed' WHERE topics.id > 0", MARIADB),
    ("UPDATE topics, {t} AS m SET m.{x} = 'changed'", MARIADB),
    ("UPDATE topics JOIN {t} AS m ON m.{n} >= topics.id SET m.{x} = 'changed', topics.name = 'x'", MARIADB),
    ("UPDATE (topics JOIN {t} AS m ON m.{n} >= topics.id) SET m.{x} = 'changed'", MARIADB),
    ("UPDATE LOW_PRIORITY IGNORE {t} SET {x} = 'changed' {w}", MARIADB),
    ("UPDATE {t} SET {x} = 'changed' {w} ORDER BY {k} LIMIT 100", MARIADB),
    ("UPDATE OR REPLACE {t} SET {k} = {theirs} WHERE {k} = {mine}", SQLITE),
    ("UPDATE OR IGNORE {t} SET {x} = 'changed' {w}", SQLITE),
    ("UPDATE {t} INDEXED BY none SET {x} = 'changed'", SQLITE),
    ("UPDATE {t} NOT INDEXED SET {x} = 'changed' {w}", SQLITE),
    ("UPDATE {t} SET {x} = name FROM topics WHERE topics.id = {n}", SQLITE + POSTGRESQL),
    ("UPDATE {t} SET ({x}, {n}) = ('changed', 5) {w}", SQLITE + POSTGRESQL),
    ("UPDATE {t} SET {o} = {bob} WHERE {k} = {mine}", ALL),
    ("UPDATE {t} SET {x} = 'changed' {w} RETURNING {k}", SQLITE + POSTGRESQL),
    ("WITH c AS (SELECT 1 AS one) UPDATE {t} SET {x} = 'changed' {w}", SQLITE + POSTGRESQL),
    ("WITH c AS (UPDATE {t} SET {x} = 'changed' {w} RETURNING {k}) SELECT * FROM c", POSTGRESQL),
    ("WITH c AS (UPDATE {t} AS m SET {x} = 'changed' RETURNING m.{k}) SELECT count(*) FROM c", POSTGRESQL),
    ("WITH c AS (DELETE FROM {t} AS m RETURNING m.*) INSERT INTO archives (text) SELECT {x} FROM c", POSTGRESQL),
    ("WITH a AS (WITH b AS (SELECT 1) SELECT 1), c AS (DELETE FROM {t} RETURNING {k}) SELECT 1", POSTGRESQL),
    ("DELETE FROM {t} {w}", ALL),
    ("DELETE FROM {t} AS m {w}", SQLITE + POSTGRESQL),
    ("DELETE FROM ONLY {t} {w}", POSTGRESQL),
    ("DELETE FROM {t} USING topics WHERE topics.id > 0", POSTGRESQL),
    ("DELETE FROM {t} USING {t} JOIN topics ON topics.id > 0", MARIADB),
    ("DELETE m FROM {t} AS m JOIN topics ON topics.id > 0", MARIADB),
    ("DELETE topics, m FROM topics JOIN {t} AS m ON m.{n} >= topics.id", MARIADB),
    ("DELETE FROM m USING {t} AS m", MARIADB),
    ("DELETE FROM {t} {w} ORDER BY {k} LIMIT 100", MARIADB),
    ("DELETE QUICK FROM {t} {w}", MARIADB),
    ("DELETE FROM {t} {w} RETURNING {k}, {x}", ALL),
    ("WITH c AS (SELECT 1 AS one) DELETE FROM {t} {w}", SQLITE + POSTGRESQL),
    ("INSERT INTO {t} ({columns}) VALUES ({row_of_bob})", ALL),
    ("INSERT INTO {t} ({columns}) VALUES ({row_of_ada}), ({row_of_bob})", ALL),
    ("INSERT INTO {t} ({columns}) SELECT {row_of_bob}", ALL),
    ("INSERT INTO {t} ({columns}) SELECT {row_of_bob} FROM topics WHERE id = 1", ALL),
    ("INSERT INTO {t} ({columns}) VALUES ({row_of_bob}) RETURNING {k}", ALL),
    ("INSERT INTO {t} AS m ({columns}) VALUES ({row_of_bob})", SQLITE + POSTGRESQL),
    ("INSERT {t} ({columns}) VALUES ({row_of_bob})", MARIADB),
    ("INSERT {t} SET {k} = 700, {o} = {bob}, {x} = 'new', {n} = 1", MARIADB),
    ("INSERT INTO {t} ({columns}) VALUES ({theirs_as_adas}) ON DUPLICATE KEY UPDATE {x} = 'changed'", MARIADB),
    (
        "INSERT INTO {t} ({columns}) VALUES ({theirs_as_adas}) ON CONFLICT ({pk}) DO UPDATE SET {x} = 'changed'",
        SQLITE + POSTGRESQL,
    ),
    (
        "INSERT INTO {t} ({columns}) VALUES ({theirs_as_adas}) ON CONFLICT ({pk}) DO UPDATE SET {o} = {ada}",
        SQLITE + POSTGRESQL,
    ),
    ("INSERT OR REPLACE INTO {t} ({columns}) VALUES ({theirs_as_adas})", SQLITE),
    ("REPLACE INTO {t} ({columns}) VALUES ({theirs_as_adas})", SQLITE + MARIADB),
    ("REPLACE {t} SET {k} = {theirs}, {o} = {ada}, {x} = 'new', {n} = 1", MARIADB),
    ("REPLACE INTO {t} SELECT * FROM {t}", SQLITE + MARIADB),
    ("MERGE INTO {t} USING topics ON topics.id > 0 WHEN MATCHED THEN DELETE", POSTGRESQL),
    ("MERGE INTO {t} AS m USING (SELECT 1 AS one) s ON m.{k} > 0 WHEN MATCHED THEN UPDATE SET {x} = 'c'", POSTGRESQL),
    (
        "MERGE INTO {t} USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({row_of_bob})",
        POSTGRESQL,
    ),
    ("TRUNCATE {t}", SERVERS),
    ("TRUNCATE TABLE {t}", SERVERS),
    ("TRUNCATE TABLE ONLY {t} CASCADE", POSTGRESQL),
    ("TRUNCATE topics, {t} RESTART IDENTITY CASCADE", POSTGRESQL),
    ("DROP TABLE {t}", ALL),
    ("DROP TABLE IF EXISTS nothing, {t} CASCADE", SERVERS),
    ("DROP SCHEMA public CASCADE", POSTGRESQL),
    ("DROP DATABASE family", MARIADB),
    ("DROP OWNED BY CURRENT_USER", ()),
    ("ALTER TABLE {t} RENAME TO gone", ALL),
    ("ALTER TABLE {t} DROP COLUMN {n}", ALL),
    ("ALTER TABLE {t} RENAME COLUMN {x} TO gone", ALL),
    ("ALTER TABLE {t} ALTER COLUMN {x} TYPE text USING 'changed'", POSTGRESQL),
    ("ALTER TABLE {t} SET SCHEMA pg_temp", ()),
    ("ALTER TABLE {t} MODIFY {n} VARCHAR(1)", MARIADB),
    ("RENAME TABLE {t} TO gone", MARIADB),
    ("RENAME TABLE topics TO gone, {t} TO gone_too", MARIADB),
    ("CREATE OR REPLACE TABLE {t} (id INTEGER)", MARIADB),
    ("CREATE TABLE copied AS SELECT * FROM {t}", ALL),
    ("CREATE TABLE made AS WITH d AS (DELETE FROM {t} RETURNING {k}) SELECT * FROM d", ()),
    ("COPY {t} ({columns}) FROM PROGRAM 'echo {csv_of_bob}' WITH (FORMAT csv)", POSTGRESQL),
    ("COPY (DELETE FROM {t} RETURNING {k}) TO PROGRAM 'cat > /dev/null'", POSTGRESQL),
    ("COPY (WITH d AS (DELETE FROM {t} RETURNING {k}) SELECT * FROM d) TO PROGRAM 'cat > /dev/null'", POSTGRESQL),
    ("LOAD DATA LOCAL INFILE '/etc/hostname' REPLACE INTO TABLE {t} ({x}) SET {k} = {theirs}, {o} = {ada}", MARIADB),
    ("LOAD DATA INFILE '/etc/hostname' INTO TABLE {t} ({x}) SET {k} = 700, {o} = {bob}, {n} = 1", MARIADB),
    ("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE {t} ({x}) SET {k} = 700, {o} = {bob}, {n} = 1", MARIADB),
    ("EXPLAIN ANALYZE DELETE FROM {t} {w}", POSTGRESQL),
    ("EXPLAIN (ANALYZE, COSTS OFF) UPDATE {t} SET {x} = 'changed'", POSTGRESQL),
    ("ANALYZE DELETE FROM {t} {w}", MARIADB),
    ("ANALYZE FORMAT=JSON UPDATE {t} SET {x} = 'changed'", MARIADB),
    ("PREPARE family_p AS DELETE FROM {t}", ()),
    ("SET STATEMENT max_statement_time = 9 FOR DELETE FROM {t}", MARIADB),
    ("EXECUTE IMMEDIATE 'DELETE FROM {t}'", MARIADB),
    ("BEGIN NOT ATOMIC DELETE FROM {t}; END", MARIADB),
    ("IF 1 = 1 THEN DELETE FROM {t}; END IF", MARIADB),
    ("DO $$ BEGIN DELETE FROM {t}; END $$", POSTGRESQL),
    ("DO $$ BEGIN EXECUTE 'DEL' || 'ETE FROM {t}'; END $$", POSTGRESQL),
    ("/*! DELETE FROM {t} */", MARIADB),
    ("/*M!100100 DELETE FROM {t} */", MARIADB),
    ("SELECT 1 /*!; DELETE FROM {t} */", MARIADB),
    ("UPDATE topics SET name = 'x' /*! , */", MARIADB),
    ("UPDATE /*! {t}, */ topics SET /*! {x} = 'changed', */ name = 'x'", MARIADB),
    ("DELETE FROM /*!50000 {t} */", MARIADB),
    ("UPDATE letters_view SET text = 'changed'", SERVERS),
    ("DELETE FROM all_tickets", SERVERS),
    ("INSERT INTO letters_view (id, text, stars, writer_id) VALUES (700, 'new', 1, {bob_id})", SERVERS),
    ("SELECT 1; DELETE FROM {t}", ALL),
    ("UPDATE topics SET name = 'x'; UPDATE {t} SET {x} = 'changed'", ALL),
    (";DELETE FROM {t}", ALL),
    ("DELETE FROM {t};", ALL),
    ("DELETE FROM {t}; -- the end", ALL),
    ("SELECT * FROM {t}", ALL),
    ("SELECT 'UPDATE {t} SET x' AS s", ALL),
)

# Those that commit in MariaDB, and those of which nobody promises that they can be parsed, are spelled as they are.
AS_IT_IS = re.compile(r"^(COPY|LOAD|DO|EXECUTE|DROP SCHEMA|DROP DATABASE)")


def fill(template: str, shape: Shape, table: str, random: Random) -> str:
    where = random.choice(FULL_WHERE)
    owner = shape.key if shape.inherited else shape.owner
    words = {"t": table, "k": shape.key, "x": shape.text, "n": shape.number, "o": owner}
    words |= {"mine": str(shape.mine), "theirs": str(shape.theirs), "bob_id": str(BOB)}
    words |= {"ada": _quoted(shape.whose(7)), "bob": _quoted(shape.whose(BOB))}
    words |= _rows(shape, owner)
    words["w"] = where.format(**words)
    return template.format(**words).strip()


def _quoted(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def _rows(shape: Shape, owner: str) -> dict[str, str]:
    names = list(dict.fromkeys([shape.key, owner, shape.text, shape.number]))
    names += ["kind"] if shape.name == "vehicle" else []

    def row(key: object, person: int) -> list[str]:
        values = {shape.text: "'new'", shape.number: "1", "kind": "'vehicle'"}
        values |= {shape.key: str(key), owner: _quoted(shape.whose(person))}
        if shape.inherited:
            values[shape.key] = str(key)
        return [values[name] for name in names]

    bobs = row(1001 if shape.inherited else 700, BOB)
    return {
        "columns": ", ".join(names),
        "row_of_ada": ", ".join(row(1 if shape.inherited else 701, 7)),
        "row_of_bob": ", ".join(bobs),
        "csv_of_bob": ",".join(bobs).replace("'", ""),
        "theirs_as_adas": ", ".join(row(shape.theirs, 7)),
        "pk": ", ".join(column.name for column in shape.table.primary_key),
    }


def table_names(shape: Shape, database: str) -> dict[str, str]:
    """The spellings that the database takes for the same table."""
    name, schema = shape.table.name, SCHEMA[database]
    quote = "`" if database == "mariadb" else '"'
    names = {
        "plain": name,
        "quoted": f"{quote}{name}{quote}",
        "schema": f"{schema}.{name}",
        "spaced": f"{schema} . {name}",
        "all quoted": f"{quote}{schema}{quote}.{quote}{name}{quote}",
        "comment before": f"/* the table */ {name}",
        "comment in between": f"{schema}./* the table */{name}",
        "line comment": f"-- the table\n {name}",
    }
    if database != "mariadb":
        names |= {"capitals": name.upper(), "mixed": name.title()}
    if database == "sqlite":
        names |= {
            "brackets": f"[{name}]",
            "backquotes": f"`{name}`",
            "string": f"'{name}'",
            "loud": f'"{name.upper()}"',
        }
    if database == "postgresql":
        names |= {"unicode": f'U&"{name}"', "escaped": f'U&"\\{ord(name[0]):04x}{name[1:]}"'}
    return names


def _glued(sql: str) -> str:
    """Without the blanks that quotes make unnecessary."""
    return re.sub(r'(?<=[A-Z]) (?=["`\[])', "", sql)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda sql: sql,
    "lower": lambda sql: re.sub(r"\b[A-Z]{2,}\b", lambda word: word.group().lower(), sql),
    "mixed": lambda sql: re.sub(r"\b[A-Z]{2,}\b", lambda word: word.group().title(), sql),
    "line comment first": lambda sql: f"-- what to do\n{sql}",
    "comment first": lambda sql: f"/* what to do */{sql}",
    "nested comment first": lambda sql: f"/* what /* to */ do */ {sql}",
    "two comments first": lambda sql: f"/* a */ -- b\n /* c */\n{sql}",
    "hash comment first": lambda sql: f"# what to do\n{sql}",
    "comments for blanks": lambda sql: sql.replace(" ", "/**/"),
    "line comments for blanks": lambda sql: sql.replace(" ", "--\n"),
    "new lines": lambda sql: sql.replace(" ", "\n"),
    "tabs": lambda sql: "\t" + sql.replace(" ", "\t"),
    "form feeds": lambda sql: sql.replace(" ", "\f"),
    "glued": _glued,
    "semicolon": lambda sql: sql + ";",
    "comment at the end": lambda sql: sql + " -- the end",
    "open comment at the end": lambda sql: sql + " /* the end",
    "in parentheses": lambda sql: f"({sql})",
    "empty statement first": lambda sql: f";{sql}",
    "EXPLAIN": lambda sql: f"EXPLAIN {sql}",
    "two": lambda sql: f"SELECT 1; {sql}",
    "byte order mark": lambda sql: "\ufeff" + sql,
}


def spelled(sql: str, random: Random, database: str) -> tuple[str, str]:
    """In another spelling, often; a hash begins a comment on MariaDB only."""
    if AS_IT_IS.match(sql) or random.random() < 0.3:
        return "as it is", sql
    names = [name for name in SPELLINGS if not (name == "hash comment first" and database != "mariadb")]
    name = random.choice(names)
    return name, SPELLINGS[name](sql)


def _from(template: str) -> Callable[[Pick], str]:
    def build(pick: Pick) -> str:
        name, table = pick.random.choice(list(table_names(pick.shape, pick.database).items()))
        sql = fill(template, pick.shape, table, pick.random)
        how, sql = spelled(sql, pick.random, pick.database)
        pick.note(f"table {name}, {how}")
        return sql

    return build


TEXTS = tuple(
    Form(f"text {template}", _from(template), databases=databases) for template, databases in TEMPLATES if databases
)
