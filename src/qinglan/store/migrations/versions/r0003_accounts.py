"""The event log becomes a chain that refuses changes; tables of people, their grants, sessions and keys."""

import sqlalchemy as sa
from alembic import op

from qinglan.store.chain import GENESIS, event_hash
from qinglan.store.schema import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LOG = sa.table(
    "events",
    sa.column("id", sa.Integer),
    sa.column("at", Instant),
    *(sa.column(name, sa.Text) for name in ("who", "what", "subject", "prev_hash", "hash")),
    sa.column("detail", sa.JSON),
)


def upgrade() -> None:
    """Chain what is there, forbid changes, make the tables."""
    with op.batch_alter_table("events") as batch:
        batch.add_column(sa.Column("prev_hash", sa.String(64)))
        batch.add_column(sa.Column("hash", sa.String(64)))
    _chain()
    with op.batch_alter_table("events") as batch:
        batch.alter_column("prev_hash", existing_type=sa.String(64), nullable=False)
        batch.alter_column("hash", existing_type=sa.String(64), nullable=False)
    op.create_index("ix_events_prev_hash", "events", ["prev_hash"], unique=True)
    for statement in _forbid(op.get_bind().dialect.name):
        op.execute(statement)
    _people()
    _doors()


def _chain() -> None:
    """Hashes of the rows that were written before there was a chain."""
    con, before = op.get_bind(), GENESIS
    for row in con.execute(sa.select(_LOG).order_by(_LOG.c.id)).mappings().all():
        made = event_hash(before, dict(row))
        con.execute(sa.update(_LOG).where(_LOG.c.id == row["id"]).values(prev_hash=before, hash=made))
        before = made


def _forbid(dialect: str) -> list[str]:
    """Triggers under which a row of the log can be neither changed nor taken away."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER events_no_{word.lower()} BEFORE {word} ON events "
            "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
            for word in ("UPDATE", "DELETE")
        ]
    return [
        "CREATE FUNCTION events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$",
        "CREATE TRIGGER events_no_change BEFORE UPDATE OR DELETE ON events "
        "FOR EACH ROW EXECUTE FUNCTION events_refuse()",
        "CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()",
    ]


def _allow(dialect: str) -> list[str]:
    if dialect == "sqlite":
        return ["DROP TRIGGER events_no_update", "DROP TRIGGER events_no_delete"]
    return [
        "DROP TRIGGER events_no_change ON events",
        "DROP TRIGGER events_no_truncate ON events",
        "DROP FUNCTION events_refuse()",
    ]


def _owner(table: str) -> sa.Column[str]:
    """The user whose row it is."""
    key = sa.ForeignKey("users.id", name=f"fk_{table}_user_id")
    return sa.Column("user_id", sa.String(60), key, nullable=False)


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(60), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("must_change", sa.Boolean, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("blocked_until", Instant),
        sa.Column("totp_secret", sa.String(64), nullable=False),
        sa.Column("totp_step", sa.BigInteger, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("issuer_subject", sa.Text, nullable=False),
        sa.Column("seen_at", Instant),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_users_issuer_issuer_subject", "users", ["issuer", "issuer_subject"])
    op.create_table(
        "grants",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _owner("grants"),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("department", sa.String(120), nullable=False),
        sa.Column("sources", sa.JSON, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("revoked_at", Instant),
    )
    op.create_index("ix_grants_user_id", "grants", ["user_id"])


def _doors() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("token_hash", sa.String(64), nullable=False),
        _owner("sessions"),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("via", sa.String(20), nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("made_at", Instant, nullable=False),
        sa.Column("seen_at", Instant, nullable=False),
        sa.Column("ended_at", Instant),
    )
    op.create_index("ix_sessions_token_hash", "sessions", ["token_hash"], unique=True)
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _owner("recovery_codes"),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("used_at", Instant),
    )
    op.create_index("ix_recovery_codes_user_id", "recovery_codes", ["user_id"])
    op.create_table(
        "keys",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("start", sa.String(16), nullable=False),
        _owner("keys"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("expires_at", Instant),
        sa.Column("seen_at", Instant),
        sa.Column("revoked_at", Instant),
    )
    op.create_index("ix_keys_key_hash", "keys", ["key_hash"], unique=True)
    op.create_index("ix_keys_user_id", "keys", ["user_id"])
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )


def downgrade() -> None:
    """Drop them; the log loses its hashes and keeps its rows."""
    for name in ("secrets", "keys", "recovery_codes", "sessions", "grants", "users"):
        op.drop_table(name)
    for statement in _allow(op.get_bind().dialect.name):
        op.execute(statement)
    op.drop_index("ix_events_prev_hash", "events")
    with op.batch_alter_table("events") as batch:
        batch.drop_column("hash")
        batch.drop_column("prev_hash")
