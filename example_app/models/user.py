"""Who can log in."""

import secrets

from argon2 import PasswordHasher
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from example_app.models.meta import Base
from pyramid_sessionkit.owned import owned_by

hasher = PasswordHasher()


def new_password_id() -> str:
    return secrets.token_hex(16)


@owned_by("id")
class User(Base):
    __tablename__ = "users"
    # Without this SQLite gives the id of a deleted user to the next new one.
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    # In lower case, since people do not remember how they wrote it.
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    location: Mapped[str] = mapped_column(String(100), default="")
    role: Mapped[str] = mapped_column(String(20), default="user")
    password_hash: Mapped[str] = mapped_column(String(128))
    # Changes with the password and with nothing else. Logins depend on it and not on the hash, so that a new hash of
    # the same password ends no session.
    password_id: Mapped[str] = mapped_column(String(32), default=new_password_id)

    def set_password(self, password: str) -> None:
        self.password_hash = hasher.hash(password)
        self.password_id = new_password_id()
