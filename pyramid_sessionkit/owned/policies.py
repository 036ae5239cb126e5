"""Row-level security of PostgreSQL for what ``@owned_by`` declares: the database itself keeps others' rows.

``owned_policies`` gives the DDL, and ``check_role`` refuses a role to which policies do not apply. How it works: https://www.postgresql.org/docs/current/ddl-rowsecurity.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import closing
from typing import Any
from uuid import UUID

from pyramid.exceptions import ConfigurationError
from sqlalchemy import Column, Connection, MetaData, Table

from pyramid_sessionkit.owned.declaration import OWNED, OwnedTable

POLICY = "sessionkit_owner"

# A setting that was made for an earlier transaction of the connection is an empty text, and not NULL. Each is a
# subquery, so that it is read once for a statement and not once for a row.
USER = "NULLIF(current_setting('sessionkit.userid', true), '')"
UNOWNED = "(SELECT NULLIF(current_setting('sessionkit.unowned', true), '')) = 'on'"

REVOKE_TRUNCATE = """DO $$ DECLARE each record; BEGIN
FOR each IN SELECT oid, grantee FROM pg_class, aclexplode(COALESCE(relacl, acldefault('r', relowner)))
    WHERE oid IN ({tables}) AND privilege_type = 'TRUNCATE'
LOOP EXECUTE 'REVOKE TRUNCATE ON ' || CAST(CAST(each.oid AS regclass) AS text) || ' FROM '
    || CASE each.grantee WHEN 0 THEN 'PUBLIC' ELSE CAST(CAST(each.grantee AS regrole) AS text) END || ' CASCADE';
END LOOP; END $$"""

# A view reads its tables as its owner. One whose options name security_invoker, be it as false, was thought about.
OPEN_VIEWS = """WITH RECURSIVE dependent (oid) AS (
    SELECT oid FROM pg_class WHERE oid IN ({tables})
    UNION SELECT ev_class FROM dependent, pg_depend, pg_rewrite WHERE refobjid = dependent.oid
        AND refclassid = CAST('pg_class' AS regclass) AND classid = CAST('pg_rewrite' AS regclass)
        AND objid = pg_rewrite.oid
) SELECT CAST(CAST(pg_class.oid AS regclass) AS text) AS view FROM dependent JOIN pg_class USING (oid)
JOIN pg_roles ON pg_roles.oid = relowner WHERE relkind = 'v' AND (rolsuper OR rolbypassrls)
AND NOT EXISTS (SELECT 1 FROM pg_options_to_table(reloptions) WHERE option_name = 'security_invoker')"""

# PostgreSQL 14 and older have no security_invoker. There check_role names the views.
CLOSE_VIEWS = f"""DO $$ DECLARE each record; BEGIN
IF CAST(current_setting('server_version_num') AS int) >= 150000 THEN
FOR each IN {OPEN_VIEWS}
LOOP EXECUTE 'ALTER VIEW ' || each.view || ' SET (security_invoker = true)'; END LOOP; END IF; END $$"""

# row_security_active() is false for superusers, BYPASSRLS, and tables without policies in force.
TABLES = f"""SELECT CAST(CAST(pg_class.oid AS regclass) AS text), row_security_active(pg_class.oid),
relforcerowsecurity AND EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = pg_class.oid AND polname = '{POLICY}'),
has_table_privilege(pg_class.oid, 'TRUNCATE'), (SELECT string_agg(quote_ident(polname), ', ') FROM pg_policy
    WHERE polrelid = pg_class.oid AND polpermissive AND polname <> '{POLICY}' AND EXISTS (
        SELECT 1 FROM unnest(polroles) AS granted WHERE granted = 0 OR pg_has_role(granted, 'USAGE')))
FROM pg_class WHERE oid IN ({{tables}}) ORDER BY 1"""  # noqa: S608

ROLE = "SELECT quote_ident(rolname), rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"


def owned_policies(metadata: MetaData) -> list[str]:
    """The DDL of row-level security for all tables of a MetaData that have owners; an empty list if there are none.

    Execute the statements in this order, as the owner of the tables, and again whenever the models have changed. They
    may be given to ``op.execute()``, to ``text()`` or to the driver. The tables must exist. Afterwards a row is visible
    and may be written only for its owner, also for the owner of the table; nobody but superusers may TRUNCATE; and
    views over these tables that a superuser owns check who reads them, unless they say ``security_invoker = false``
    (PostgreSQL 15 and later).
    """
    tables = OWNED.of_metadata(metadata)
    if not tables:
        return []
    statements = [statement for each in tables for statement in _policy(each)]
    return [*statements, _over(REVOKE_TRUNCATE, tables), _over(CLOSE_VIEWS, tables)]


def check_role(connection: Connection, tables: Iterable[OwnedTable]) -> None:
    """Check that policies keep the rows of others from the role of a connection, in all of these tables that exist.

    Raises :exc:`~pyramid.exceptions.ConfigurationError`, which says what to do, if the role is a superuser or has
    BYPASSRLS, may TRUNCATE, if a table has no policy of ours, not by force, or has others that open it to the role, or
    if a view of theirs is read as a superuser. On other databases than PostgreSQL it always does.
    """
    require_postgresql(connection)
    tables = list(tables)
    # By a cursor of the driver, since the guard looks at what comes by the connection.
    with closing(connection.connection.cursor()) as cursor:
        faults = list(_faults(cursor, tables)) if tables else []
    if faults:
        raise ConfigurationError("Row-level security would not keep the rows of others: " + "; ".join(faults))


def require_postgresql(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        raise ConfigurationError(f"policies=True needs PostgreSQL, and this is {connection.dialect.name}: leave it out")


def _policy(owned: OwnedTable) -> list[str]:
    table = _name(owned.table)
    condition = f"{UNOWNED} OR {_is_users(owned, table)}"
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS {POLICY} ON {table}",
        f"CREATE POLICY {POLICY} ON {table} FOR ALL USING ({condition}) WITH CHECK ({condition})",
    ]


def _is_users(owned: OwnedTable, row: str, level: int = 1) -> str:
    """Whether a row, which the query calls ``row``, belongs to the user."""
    if owned.parent is None:
        return _equals_user(owned.ownership.column, row)
    parent = f"sessionkit_parent_{level}"
    links = " AND ".join(f"{parent}.{_quote(theirs.name)} = {row}.{_quote(own.name)}" for own, theirs in owned.link)
    is_users = _is_users(owned.parent, parent, level + 1)
    return f"EXISTS (SELECT 1 FROM {_name(owned.parent.table)} AS {parent} WHERE {links} AND {is_users})"  # noqa: S608


def _equals_user(column: Column[Any], row: str) -> str:
    """As text, byte by byte: a userid that is no number is equal to none, where a cast would be an error."""
    value = f"CAST({row}.{_quote(column.name)} AS text)"
    if column.type.python_type is UUID:
        return f"replace({value}, '-', '') = (SELECT replace(lower({USER}), '-', ''))"
    return f'{value} COLLATE "C" = (SELECT {USER})'


def _faults(cursor: Any, tables: list[OwnedTable]) -> Iterable[str]:
    cursor.execute(ROLE)
    role, bypasses = cursor.fetchone()
    if bypasses:
        yield f"{role} is a superuser or has BYPASSRLS; connect as a role without either"
    cursor.execute(_over(TABLES, tables))
    for table, active, has_policy, may_truncate, others in cursor.fetchall():
        if not has_policy or not (active or bypasses):
            yield f"{table} has no policy; execute the statements of owned_policies()"
        if may_truncate and not bypasses:
            yield f"{role} may empty {table}; execute REVOKE TRUNCATE ON {table} FROM {role} (or from PUBLIC)"
        if others:
            yield f"{table} is opened by other policies ({others}); make them RESTRICTIVE, or for other roles"
    cursor.execute(_over(OPEN_VIEWS, tables))
    for (view,) in cursor.fetchall():
        yield (
            f"the view {view} is read as its owner, who bypasses policies; execute ALTER VIEW {view} SET "
            "(security_invoker = true), or before PostgreSQL 15 give it to another role"
        )


def _over(statement: str, tables: list[OwnedTable]) -> str:
    names = (_literal(_plain_name(each.table)) for each in tables)
    return statement.replace("{tables}", ", ".join(f"to_regclass({name})" for name in names))


def _name(table: Table) -> str:
    return ".".join(map(_quote, filter(None, (table.schema, table.name))))


def _plain_name(table: Table) -> str:
    """As to_regclass() reads it, which knows no escapes."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in (table.schema, table.name) if name)


def _quote(name: str) -> str:
    return _escaped(name, '"')


def _literal(value: str) -> str:
    return _escaped(value, "'")


def _escaped(value: str, quote: str) -> str:
    """In quotes, without what text() or a driver would take for a parameter."""
    doubled = value.replace(quote, quote * 2)
    escaped = re.sub(r"[:%\\]", lambda found: f"\\{ord(found[0]):04x}", doubled)
    return f"{quote}{doubled}{quote}" if escaped == doubled else f"U&{quote}{escaped}{quote}"
