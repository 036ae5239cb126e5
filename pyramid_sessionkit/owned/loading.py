"""What objects that ``owned`` loads must not show: what the session has loaded otherwise, of others."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import Mapper, RelationshipDirection, Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.base import SQL_OK
from sqlalchemy.orm.interfaces import UserDefinedOption

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.declaration import OWNED, Ownership


class LoadsOwned(UserDefinedOption):
    """Is in the options of each object that was loaded for a user, by relationships too.

    ``criteria`` limit what the relationships of such an object load.
    """

    propagate_to_loaders = True

    def __init__(self, userid: Any, criteria: tuple[Any, ...]) -> None:
        super().__init__()
        self.userid = userid
        self.criteria = criteria


def limit_relationships(mapper: Mapper[Any]) -> None:
    """A relationship may find objects that the session has loaded before, and nothing has limited: look at these.

    Only for objects with :class:`LoadsOwned`.
    """
    for moment in ("load", "refresh", "expire"):
        event.listen(mapper, moment, _when_loaded, raw=True)


def _when_loaded(state: Any, *rest: Any) -> None:
    option = _option_of(state)
    if option is not None:
        _limit_relationships(state, option)


def _option_of(state: Any) -> LoadsOwned | None:
    return next((option for option in state.load_options if isinstance(option, LoadsOwned)), None)


def _limit_relationships(state: Any, option: LoadsOwned) -> None:
    session = state.session
    for relationship in _loading(state.mapper):
        _limit(state, relationship.key, option)
        # Some ways to load do not ask for the attribute.
        known = None if session is None else session.identity_map.get(_identity(state, relationship))
        if known is not None and not _may_show(known, option, 0):
            set_committed_value(state.obj(), relationship.key, None)


@lru_cache(1024)
def _loading(mapper: Mapper[Any]) -> list[Any]:
    return [each for each in mapper.relationships if each.lazy not in ("dynamic", "write_only", "noload")]


def _identity(state: Any, relationship: Any) -> Any:
    """Under which key a session keeps the one object that a relationship refers to by its primary key."""
    if relationship.direction is not RelationshipDirection.MANYTOONE:
        return None
    local = {theirs: own for own, theirs in relationship.local_remote_pairs}
    if not all(column in local for column in relationship.mapper.primary_key):
        return None
    keys = [state.mapper.get_property_by_column(local[column]).key for column in relationship.mapper.primary_key]
    return relationship.mapper.identity_key_from_primary_key([state.dict.get(key) for key in keys])


def _limit(state: Any, key: str, option: LoadsOwned) -> None:
    before = state.callables.get(key)
    if isinstance(before, _Limited):
        before.option = option
        return
    if "callables" not in state.__dict__:
        state.callables = {}
    state.callables[key] = _Limited(key, option, before)


class _Limited:
    """Loads what an attribute holds, as SQLAlchemy would, and gives it only if it is the user's or nobody's."""

    def __init__(self, key: str, option: LoadsOwned, before: Any) -> None:
        self.key = key
        self.option = option
        self.before = before
        """What an option of the statement had put here."""

    def __call__(self, state: Any, passive: Any) -> Any:
        load = self.before or state.manager[self.key].impl.callable_
        found = load(state, passive)
        if isinstance(found, list):  # which a query has limited
            for each in found:
                _limit_known(inspect(each), self.option)
            return found
        return found if _may_show(found, self.option, passive) else None


def _may_show(found: Any, option: LoadsOwned, passive: Any) -> bool:
    """Whether an object is nobody's or the user's; if it is, it is limited itself."""
    state = inspect(found, raiseerr=False)
    if getattr(state, "mapper", None) is None:
        return True  # None, or a word of SQLAlchemy's for nothing
    owned = OWNED.of_mapper(state.mapper)
    if owned is not None and not _is_owners(state, owned.ownership, option.userid, passive):
        return False
    _limit_known(state, option)
    return True


def _is_owners(state: Any, ownership: Ownership, userid: Any, passive: Any) -> bool:
    known = state.dict
    if not passive & SQL_OK and ownership.key not in known:
        return True  # it is asked again when it is loaded
    try:
        return bool(getattr(state.obj(), ownership.key) == ownership.owner_id(userid))
    except NotOwned:
        return False


def _limit_known(state: Any, option: LoadsOwned) -> None:
    """An object that was loaded without limits forgets the rows of others that its relationships have loaded."""
    session = state.session
    if _option_of(state) is not None or session is None:
        return
    state.load_options += (*option.criteria, option)
    for relationship in _loading(state.mapper):
        if relationship.key in state.dict and relationship.key not in state.committed_state:
            session.expire(state.obj(), [relationship.key])
    _limit_relationships(state, option)


def check_flushed(session: Session, sql: str) -> None:
    """Loading objects again would lose what was changed in them, and not yet written."""
    for instance in session.dirty:
        tables = inspect(instance).mapper.tables
        if any(table.name in sql for table in tables) and session.is_modified(instance):
            raise NotOwned(
                f"owned() loads objects again, and would lose the changes of a {type(instance).__name__}: flush first"
            )
