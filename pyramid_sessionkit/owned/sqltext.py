"""SQL as text, made into a tree by sqlglot."""

from __future__ import annotations

import re
from collections.abc import Callable
from logging import ERROR, getLogger
from secrets import token_hex
from typing import Any, NamedTuple

from sqlalchemy.sql.compiler import SQLCompiler
from sqlglot import TokenType, exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from pyramid_sessionkit.exceptions import NotOwned

# What it does not understand it logs as a warning. Here it is refused, which says it better.
getLogger("sqlglot").setLevel(ERROR)

DIALECTS = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "cockroachdb": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "oracle": "oracle",
    "mssql": "tsql",
}
"""SQLAlchemy's names, and sqlglot's."""

MARKER = f"b{token_hex(4)}_"
"""What the names of parameters begin with in the text that is parsed. No text of an application has it."""


class Text(NamedTuple):
    """SQL in which each parameter is ``:<MARKER><number>``, and what SQLAlchemy calls them."""

    sql: str
    names: tuple[str, ...]
    dialect: str


_select = re.compile(r"\s*(explain(\s+query\s+plan|\s+analyze|\s*\([\w\s,]*\))?\s+)?select\b", re.IGNORECASE)
_may_write = re.compile(
    r"\b(insert|update|delete|merge|replace|truncate|into|call|do|exec|execute|copy|load|drop|alter|create|rename|with"
    r"|set|grant|lock)\b|/\*M?!|;|sessionkit\.",
    re.IGNORECASE,
)
_harmless_command = re.compile(
    r"\s*((savepoint|release savepoint|rollback to savepoint)\s+[\w\"`]+|show\s+[\w.]+|(un)?listen\s+\w+"
    r"|notify\s+\w+(\s*,\s*'[^'\\]*')?"
    r"|(xa\s+(begin|start|end|prepare|commit|rollback)|prepare transaction|(commit|rollback) prepared)\s+('\w+'|:\w+)"
    r"(\s+one\s+phase)?)\s*",
    re.IGNORECASE,
)


def only_reads(sql: str) -> bool:
    """Whether it is seen without parsing that a statement writes no rows.

    Each statement that writes has one of these words in it, which cannot be spelled in another way. So reading works
    also where sqlglot does not know the syntax.
    """
    if _select.match(sql) is not None:
        return _may_write.search(sql) is None
    return _harmless_command.fullmatch(sql) is not None


_late = re.compile(r"__\[POSTCOMPILE_(\S+?)(~~.+?~~)?\]")
_schema = re.compile(r"__\[SCHEMA_([^\]]+)\]\.?")
_percent = re.compile(r"%(?:\((?P<name>[^)]*)\))?(?P<kind>[sbt%]?)")
"""Parameters, as text or binary where it is psycopg."""
_written = {"qmark": "?", "format": "%s", "pyformat": "%({})s", "named": ":{}"}
"""How a parameter is written in each ``paramstyle``."""

AS_IT_IS = "none"
"""The style of text that the driver does not look into."""


def text_of(context: Any) -> Text:
    """The compiled statement that is about to be executed.

    It is taken as it was before lists were expanded and schemas translated, so that it is one text for all lengths.
    """
    compiled, style = context.compiled, style_of(context)
    # Which schema it will be is not known, so the table of any is meant.
    sql = _schema.sub("", str(compiled))
    if not isinstance(compiled, SQLCompiler):  # it is DDL
        return text_of_sql(sql, style, context.dialect.name)
    sql = _late.sub(lambda found: _written.get(style, "").format(found[1]), sql)
    text = text_of_sql(sql, style, context.dialect.name)
    order = compiled.positiontup
    if order is None:
        escaped = {written: name for name, written in compiled.escaped_bind_names.items()}
        return text._replace(names=tuple(escaped.get(name, name) for name in text.names))
    if len(order) != len(text.names):
        raise NotOwned("This statement has a parameter in its text that SQLAlchemy does not know of")
    return text._replace(names=tuple(order))


def style_of(context: Any) -> str:
    """How parameters are written; nothing is one where the driver gets none."""
    rows = context.parameters
    return AS_IT_IS if context.no_parameters and len(rows) == 1 and not rows[0] else context.dialect.paramstyle


def text_of_sql(sql: str, style: str, dialect_name: str) -> Text:
    """Text as it is, for a ``paramstyle`` and a dialect of SQLAlchemy."""
    dialect = DIALECTS.get(dialect_name, "")
    if style == AS_IT_IS:
        return Text(sql, (), dialect)
    if style not in _written:
        raise NotOwned(f"The guard does not know the paramstyle {style!r}; use a driver with one of {list(_written)}")
    names: list[str] = []

    def mark(name: str) -> str:
        names.append(name)
        return f":{MARKER}{len(names) - 1} "

    if style in ("format", "pyformat"):
        # The drivers replace these without a look at quotes and comments.
        marked = _percent.sub(lambda found: _unpercent(found, mark), sql)
    else:
        marked = _mark_tokens(sql, dialect, mark)
    return Text(marked, tuple(names), dialect)


def _unpercent(found: re.Match[str], mark: Callable[[str], str]) -> str:
    if not found["kind"]:
        raise unreadable(Text(found.string, (), ""), "it has a % that is no parameter; write %%")
    return "%" if found["kind"] == "%" else mark(found["name"] or "")


def _mark_tokens(sql: str, dialect: str, mark: Callable[[str], str]) -> str:
    parts: list[str] = []
    end = 0
    tokens = _tokens(sql, dialect)
    for number, token in enumerate(tokens):
        last = token
        if token.token_type is TokenType.COLON and number + 1 < len(tokens):
            last = tokens[number + 1]
        elif token.token_type is not TokenType.PLACEHOLDER:
            continue
        if last.start <= token.end + 1:
            parts += [sql[end : token.start], mark(last.text)]
            end = last.end + 1
    return "".join((*parts, sql[end:]))


def tree_of(text: Text) -> exp.Expr:
    """The one statement in it; :class:`NotOwned` if there is not exactly one that can be understood."""
    tokens = _tokens(text.sql, text.dialect)
    if text.dialect == "mysql" and any(
        comment.startswith(("!", "M!")) for token in tokens for comment in token.comments
    ):
        raise unreadable(text, "it has a comment that the server executes")
    try:
        trees = Dialect.get_or_raise(text.dialect).parser().parse(tokens, text.sql)
    except (SqlglotError, RecursionError):
        raise unreadable(text, "it cannot be parsed") from None
    if len(trees) != 1 or trees[0] is None:
        raise unreadable(text, "it is not one statement")
    return trees[0]


def _tokens(sql: str, dialect: str) -> list[Any]:
    try:
        return Dialect.get_or_raise(dialect).tokenize(sql)
    except SqlglotError:
        raise unreadable(Text(sql, (), dialect), "it cannot be parsed") from None


def unreadable(text: Text, why: str) -> NotOwned:
    # Without what is written in quotes, and in comments: it may be a secret.
    start = " ".join(re.sub(rf":{MARKER}[0-9]+ |['\"`$].*|--.*|/\*.*", "? ", text.sql, flags=re.DOTALL).split())[:60]
    return NotOwned(
        f"SQL that begins with {start!r} was refused: {why}, so nobody can say whose rows it writes. Write it in "
        "another way; for what is not on behalf of the logged-in user, use unowned(dbsession, reason=...)"
    )
