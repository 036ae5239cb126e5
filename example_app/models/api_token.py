"""What programs log in with. The token itself is known to its user alone."""

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from example_app.models.meta import Base
from pyramid_sessionkit.owned import owned_by


@owned_by("user_id")
class ApiToken(Base):
    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    # The first characters, by which its user recognizes it.
    prefix: Mapped[str] = mapped_column(String(12))
    # SHA-256. A slow hash is for passwords, which can be guessed; a token is random.
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # Seconds since 1970.
    created: Mapped[int] = mapped_column(BigInteger)
    last_used: Mapped[int | None] = mapped_column(BigInteger)
