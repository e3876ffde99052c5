"""Who may do what: the permission table, and principals with their grants. Pure: no session, no database."""

from qinglan.access.principal import DEMO, PUBLIC, Forbidden, Grant, Principal
from qinglan.access.table import Permission, PermissionTable, Role, load_permissions

__all__ = [
    "DEMO",
    "PUBLIC",
    "Forbidden",
    "Grant",
    "Permission",
    "PermissionTable",
    "Principal",
    "Role",
    "load_permissions",
]
