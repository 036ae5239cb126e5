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
    """Is in the options of each object that was loaded for a user, by relationships too.

    ``criteria`` limit what the relationships of such an object load.
    """

    propagate_to_loaders = True

    def __init__(self, userid: Any, criteria: tuple[Any, ...]) -> None:
        super().__init__()
        self.userid = userid
        self.criteria = criteria


@event.listens_for(Mapper, "load", raw=True)
def _load(state: Any, context: Any) -> None:
    """A relationship to one object finds it among those of the session, where nothing limits it."""
    option = _option_of(state)
    if option is not None:
        _limit_references(state, context.session, option)


@event.listens_for(Mapper, "refresh", raw=True)
def _refresh(state: Any, context: Any, attributes: Any) -> None:
    _load(state, context)


def _option_of(state: Any) -> LoadsOwned | None:
    return next((option for option in state.load_options if isinstance(option, LoadsOwned)), None)


def _limit_references(state: Any, session: Session, option: LoadsOwned) -> None:
    """Let the relationships to one object find none of others, and limit what the objects have that they find."""
    for relationship in state.mapper.relationships:
        if relationship.direction is RelationshipDirection.MANYTOONE:
            found = session.identity_map.get(_identity(state, relationship))
            owned = None if found is None else OWNED.of_mapper(relationship.mapper)
            if owned is not None and not _is_owners(found, owned.ownership, option.userid):
                set_committed_value(state.obj(), relationship.key, None)
            elif found is not None:
                _limit_known(inspect(found), session, option)


def _limit_known(state: Any, session: Session, option: LoadsOwned) -> None:
    """An object that was loaded before, without limits: it forgets the rows of others that it has loaded."""
    if _option_of(state) is not None:
        return
    state.load_options += (*option.criteria, option)
    for relationship in state.mapper.relationships:
        if relationship.direction is RelationshipDirection.MANYTOONE or relationship.key not in state.dict:
            continue
        if OWNED.of_mapper(relationship.mapper) is None:
            for known in _related(state, relationship):
                _limit_known(inspect(known), session, option)
        elif relationship.key not in state.committed_state:
            session.expire(state.obj(), [relationship.key])
    _limit_references(state, session, option)


def _related(state: Any, relationship: Any) -> list[Any]:
    value = state.dict[relationship.key]
    if not relationship.uselist:
        return [] if value is None else [value]
    return list(value.values() if isinstance(value, dict) else value)


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
        if session.is_modified(instance):
            raise NotOwned(
                f"owned() loads objects again, and would lose the changes of a {type(instance).__name__}: flush first"
            )
