"""init

Revision ID: 000000000001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "000000000001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "models",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
    )
    op.create_index("my_index", "models", ["name"], unique=True, mysql_length=255)


def downgrade():
    op.drop_index("my_index", table_name="models", mysql_length=255)
    op.drop_table("models")
