"""Runs migrations on the connection (and in the transaction) that the program hands over."""

from alembic import context

from bridge.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # also on SQLite, which can: half a migration must not stay
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
