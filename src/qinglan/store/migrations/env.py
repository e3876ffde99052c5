"""Alembic's entry: runs the revisions on the connection that :mod:`qinglan.store.registry` hands over."""

from alembic import context

from qinglan.store.schema import metadata


def run() -> None:
    """Run the revisions that the command asked for."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if hasattr(context, "config"):  # absent when the module is only looked at
    run()
