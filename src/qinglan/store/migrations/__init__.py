"""Alembic revisions of the registry, shipped with the package and run when an older registry is opened."""
