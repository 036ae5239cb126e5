"""What objects that ``owned`` loads must not show: what the session has loaded otherwise, of others."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import InstanceState, LoaderCriteriaOption, Mapper, RelationshipDirection, Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.base import SQL_OK
from sqlalchemy.orm.interfaces import UserDefinedOption

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.declaration import OWNED, Ownership


class LoadsOwned(UserDefinedOption):
    """Is in the options of each object that was loaded for a user, by relationships too; its payload is the userid."""

    propagate_to_loaders = True


def limit_relationships(mapper: Mapper[Any]) -> None:
    """A relationship may find objects that the session has loaded before, and nothing has limited: look at these.

    Only for objects with :class:`LoadsOwned`.
    """
    for moment in ("load", "refresh", "expire"):
        event.listen(mapper, moment, _limit_relationships, raw=True)


def _limit_relationships(state: Any, *rest: Any) -> None:
    for option in state.load_options:
        if isinstance(option, LoadsOwned):
            for relationship in _loading(state.mapper):
                _limit(state, relationship.key, option.payload)
                if _is_reference(relationship):
                    _hide(state, relationship, option.payload)


@lru_cache(1024)
def _loading(mapper: Mapper[Any]) -> list[Any]:
    return [each for each in mapper.relationships if each.lazy not in ("dynamic", "write_only", "noload")]


def _is_reference(relationship: Any) -> bool:
    is_to_one = relationship.direction is RelationshipDirection.MANYTOONE
    return is_to_one and OWNED.of_mapper(relationship.mapper) is not None


def _hide(state: Any, relationship: Any, userid: Any) -> None:
    """What ``immediateload`` would find: it does not ask for the attribute."""
    key = None if state.session is None else _identity(state, relationship)
    other = None if key is None else state.session.identity_map.get(key)
    if other is not None:
        owned, known = OWNED.of_mapper(relationship.mapper), inspect(other).dict
        assert owned is not None
        key = owned.ownership.key
        if key in known and not _equals_owner(known[key], owned.ownership, userid):
            set_committed_value(state.obj(), relationship.key, None)


def _identity(state: Any, relationship: Any) -> Any:
    """Under which key a session keeps the object that a relationship refers to by its primary key."""
    local = {theirs: own for own, theirs in relationship.local_remote_pairs}
    if not all(column in local for column in relationship.mapper.primary_key):
        return None
    keys = [state.mapper.get_property_by_column(local[column]).key for column in relationship.mapper.primary_key]
    return relationship.mapper.identity_key_from_primary_key([state.dict.get(key) for key in keys])


def _limit(state: Any, key: str, userid: Any) -> None:
    before = state.callables.get(key)
    if isinstance(before, _Limited):
        before.userid = userid
        return
    if "callables" not in state.__dict__:
        state.callables = {}
    state.callables[key] = _Limited(key, userid, before)


class _Limited:
    """Loads what an attribute refers to, as SQLAlchemy would, and gives only what is the user's."""

    def __init__(self, key: str, userid: Any, before: Any) -> None:
        self.key = key
        self.userid = userid
        self.before = before
        """What an option of the statement had put here."""

    def __call__(self, state: Any, passive: Any) -> Any:
        load = self.before or state.manager[self.key].impl.callable_
        found = load(state, passive)
        if isinstance(found, list):
            for each in found:
                _adopt(inspect(each), state.load_options)
            return found
        other = inspect(found, raiseerr=False)
        if not isinstance(other, InstanceState):
            return found
        owned = OWNED.of_mapper(other.mapper)
        if owned is not None and not _is_owners(found, owned.ownership, self.userid, passive):
            return None
        _adopt(other, state.load_options)
        return found


def _adopt(state: Any, options: Any) -> None:
    """Limit the relationships of an object that was loaded before, without ``owned``, and forget what they hold."""
    if any(isinstance(each, LoadsOwned) for each in state.load_options):
        return
    state.load_options = tuple(each for each in options if isinstance(each, (LoadsOwned, LoaderCriteriaOption)))
    state.load_path = state.mapper._path_registry
    held = [each.key for each in _loading(state.mapper) if each.key in state.dict]
    unchanged = [key for key in held if key not in state.committed_state]
    if unchanged and state.session is not None:
        state.session.expire(state.obj(), unchanged)
    _limit_relationships(state)


def _is_owners(instance: Any, ownership: Ownership, userid: Any, passive: Any) -> bool:
    known = inspect(instance).dict
    found = getattr(instance, ownership.key) if passive & SQL_OK else known.get(ownership.key)
    return _equals_owner(found, ownership, userid)


def _equals_owner(found: Any, ownership: Ownership, userid: Any) -> bool:
    try:
        return bool(found == ownership.owner_id(userid))
    except NotOwned:
        return False


def check_flushed(session: Session, sql: str) -> None:
    """Loading objects again would lose what was changed in them, and not yet written."""
    for instance in session.dirty:
        tables = inspect(instance).mapper.tables
        if any(table.name in sql for table in tables) and session.is_modified(instance):
            raise NotOwned(
                f"owned() loads objects again, and would lose the changes of a {type(instance).__name__}: flush first"
            )
