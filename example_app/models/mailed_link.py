"""Links that were sent by mail: to choose a new password, or to confirm an e-mail address."""

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from example_app.models.meta import Base


class MailedLink(Base):
    """Has no owner for ``owned``: whoever has the token may use it, logged in or not."""

    __tablename__ = "mailed_links"

    # SHA-256 of the token, so that people who can read the database cannot use the links.
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    # None: it opens nothing. It is made so that an address without an account takes as long as any other.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    # That of the user when the link was made: after a change of password the link does not work.
    password_id: Mapped[str | None] = mapped_column(String(32))
    # Where it was sent to.
    email: Mapped[str] = mapped_column(String(254))
    # In seconds since 1970.
    expires: Mapped[int] = mapped_column(BigInteger, index=True)
