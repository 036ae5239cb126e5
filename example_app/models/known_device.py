"""Browsers and systems that a user has logged in with before, such as "Firefox on Linux"."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from example_app.models.meta import Base
from pyramid_sessionkit.owned import owned_by


@owned_by("user_id")
class KnownDevice(Base):
    __tablename__ = "known_devices"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(80))
