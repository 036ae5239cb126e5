"""What objects that ``owned`` loads must not show: what the session has loaded before, of others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import Mapper, RelationshipDirection, Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.interfaces import UserDefinedOption

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.declaration import OWNED


class LoadsOwned(UserDefinedOption):
    """Is in the options of each object that was loaded for a user, by relationships too; its payload is the userid."""

    propagate_to_loaders = True


@event.listens_for(Mapper, "load", raw=True)
def _load(state: Any, context: Any) -> None:
    """A relationship to one object finds it among those of the session, where nothing limits it: let it find none."""
    for option in state.load_options:
        if isinstance(option, LoadsOwned):
            _hide_others(state, context.session, option.payload)


@event.listens_for(Mapper, "refresh", raw=True)
def _refresh(state: Any, context: Any, attributes: Any) -> None:
    _load(state, context)


def _hide_others(state: Any, session: Session, userid: Any) -> None:
    for relationship in state.mapper.relationships:
        owned = OWNED.of_mapper(relationship.mapper)
        if owned is not None and relationship.direction is RelationshipDirection.MANYTOONE:
            other = session.identity_map.get(_identity(state, relationship))
            if other is not None and not _is_owners(other, owned.ownership, userid):
                set_committed_value(state.obj(), relationship.key, None)


def _identity(state: Any, relationship: Any) -> Any:
    """Under which key a session keeps the object that a relationship refers to by its primary key."""
    local = {theirs: own for own, theirs in relationship.local_remote_pairs}
    if not all(column in local for column in relationship.mapper.primary_key):
        return None
    keys = [state.mapper.get_property_by_column(local[column]).key for column in relationship.mapper.primary_key]
    return relationship.mapper.identity_key_from_primary_key([state.dict.get(key) for key in keys])


def _is_owners(instance: Any, ownership: Any, userid: Any) -> bool:
    try:
        return bool(inspect(instance).dict.get(ownership.key) == ownership.owner_id(userid))
    except NotOwned:
        return False


def check_flushed(session: Session) -> None:
    """Loading objects again would lose what was changed in them."""
    for instance in session.dirty:
        if OWNED.of_mapper(inspect(instance).mapper) is not None and session.is_modified(instance):
            raise NotOwned(
                f"owned() loads objects again, and would lose the changes of a {type(instance).__name__}: flush first"
            )
