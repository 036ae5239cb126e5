"""Rows that belong to a user, and statements that can only touch those of the logged-in one."""

try:
    import sqlalchemy  # noqa: F401
except ImportError as error:
    raise ImportError('pyramid_sessionkit.owned needs SQLAlchemy: pip install "pyramid_sessionkit[sql]"') from error

from pyramid_sessionkit.exceptions import NotLoggedIn, NotOwned
from pyramid_sessionkit.owned.declaring import owned_by
from pyramid_sessionkit.owned.guarding import guard
from pyramid_sessionkit.owned.lifting import unowned
from pyramid_sessionkit.owned.statements import owned

__all__ = ["NotLoggedIn", "NotOwned", "guard", "owned", "owned_by", "unowned"]
