"""Attempts that are counted: logins with a wrong password, and mails that somebody asked for."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from example_app.models.meta import Base


class LoginAttempt(Base):
    __tablename__ = "login_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    # SHA-256 of what it counts for, such as an e-mail address: people sometimes type their password into that field.
    key: Mapped[str] = mapped_column(String(64), index=True)
    # When it no longer counts, in seconds since 1970.
    expires: Mapped[int] = mapped_column(BigInteger, index=True)
