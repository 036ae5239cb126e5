"""Rows that belong to a user, and statements that can only touch those of the logged-in one."""

try:
    import sqlalchemy  # noqa: F401
    import sqlglot  # noqa: F401
except ImportError as error:
    raise ImportError(
        f'pyramid_sessionkit.owned needs {error.name}: pip install "pyramid_sessionkit[owned]"', name=error.name
    ) from error

from pyramid_sessionkit.exceptions import NotLoggedIn, NotOwned
from pyramid_sessionkit.owned import listeners  # noqa: F401  # they judge from now on
from pyramid_sessionkit.owned.declaration import owned_by
from pyramid_sessionkit.owned.guard import guard
from pyramid_sessionkit.owned.policies import owned_policies
from pyramid_sessionkit.owned.statements import owned
from pyramid_sessionkit.owned.unowned import unowned

__all__ = ["NotLoggedIn", "NotOwned", "guard", "owned", "owned_by", "owned_policies", "unowned"]
