"""Why a statement is refused, and what to write instead: the texts of the guard's errors."""

from __future__ import annotations

from typing import NamedTuple

from pyramid_sessionkit.exceptions import NotOwned
from pyramid_sessionkit.owned.declaration import OwnedTable

UNOWNED = "unowned(dbsession, reason=...)"


class Why(NamedTuple):
    reason: str
    cure: str


NOT_OWNED = Why(
    "it was not made with owned()",
    f"Use owned(request, statement) or objects of the logged-in user; for what is not on their behalf, {UNOWNED}",
)
NOT_LIMITED = Why(
    "owned() could not limit it",
    "Give owned() the whole statement, with each class in select_from() or join(), and one row instead of a list",
)
NO_OWNER = Why("nobody can say whose rows it adds", "Give owned() an insert() of the class, with values()")
OTHER_OWNER = Why("it sets the owner to something else", "Leave that column out: owned() sets it, and it stays")
OTHER_USER = Why(
    "it was made for another user than the one who is logged in now, or its parameter was replaced",
    "Make it with owned() for this request, and give execute() no parameter of that name",
)
REPLACES = Why(
    "where there is such a row already, it may be somebody else's",
    "Read the row with owned() and add or change it, or use on_conflict_do_update()",
)
EVERYBODY = Why("it reaches the rows of everybody", f"Use {UNOWNED}")
UNDECLARED = Why(
    "no MetaData of a class with an owner has a table of this name, which may be a view of such rows",
    f"Add the table to the MetaData of your models, or use {UNOWNED}",
)


class Refused(Exception):
    """A statement must not be executed. ``owned`` is the table that it would write or read, or its name."""

    def __init__(self, verb: str, owned: OwnedTable | str, why: Why) -> None:
        self.verb = verb
        self.owned = owned
        self.why = why
        super().__init__(why.reason)

    def as_statement(self, is_owned: bool) -> NotOwned:
        """The error for a statement that ``owned`` made, or did not make."""
        why = self.why if is_owned or self.why not in (NOT_LIMITED, NO_OWNER, OTHER_OWNER) else NOT_OWNED
        if isinstance(self.owned, str):
            what = repr(self.owned)
        else:
            what = f"{self.owned.table.name!r}, whose rows have owners,"
        return NotOwned(f"{self.verb} of {what} was refused: {why.reason}. {why.cure}")

    def in_flush(self) -> NotOwned:
        """The error for what the objects of a flush say of their owner."""
        if isinstance(self.owned, str) or self.why is NOT_LIMITED:
            return self.as_statement(False)
        name = self.owned.ownership.name
        if self.verb == "INSERT":
            return flush_refused("add", self.owned, f"set {name} to the id of the logged-in user")
        return flush_refused("give away", self.owned, f"{name} must stay what it is")


def flush_refused(verb: str, owned: OwnedTable, cure: str) -> NotOwned:
    return NotOwned(f"This flush would {verb} a {owned.class_name} that is not the logged-in user's: {cure}")
