"""The permission table, read from ``content/access/permissions.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from qinglan.core.errors import ContentError, UnknownName
from qinglan.plan import content

SCOPES = ("none", "place", "department", "sources")
FILE = "access/permissions.yaml"


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of user. `scope` says what a grant of it is bound to."""

    name: str
    zh: str
    en: str
    scope: str


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing that may be done. `anywhere`: the place does not matter."""

    name: str
    zh: str
    en: str
    anywhere: bool
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class PermissionTable:
    """All roles and permissions."""

    roles: Mapping[str, Role]
    permissions: Mapping[str, Permission]

    def role(self, name: str) -> Role:
        """One role; UnknownName with the known ones."""
        if name not in self.roles:
            raise UnknownName("role", name, tuple(self.roles))
        return self.roles[name]

    def permission(self, name: str) -> Permission:
        """One permission; UnknownName with the known ones."""
        if name not in self.permissions:
            raise UnknownName("permission", name, tuple(self.permissions))
        return self.permissions[name]


@cache
def load_permissions() -> PermissionTable:
    """The table that ships; ContentError lists every fault of it."""
    raw = content.read("access", "permissions")
    roles: dict[str, Role] = {}
    permissions: dict[str, Permission] = {}
    faults: list[str] = []
    for name, row in raw.get("roles", {}).items():
        if row.get("scope") not in SCOPES:
            faults.append(f"roles.{name}.scope is {row.get('scope')!r}, not one of {', '.join(SCOPES)}")
        roles[name] = Role(name, row.get("zh", ""), row.get("en", ""), row.get("scope", ""))
    for name, row in raw.get("permissions", {}).items():
        given = row.get("roles", [])
        faults += [f"permissions.{name}.roles: {role!r} is no role" for role in given if role not in roles]
        anywhere = bool(row.get("anywhere", False))
        permissions[name] = Permission(name, row.get("zh", ""), row.get("en", ""), anywhere, frozenset(given))
    named: list[Role | Permission] = [*roles.values(), *permissions.values()]
    faults += [f"{kind.name} lacks a name in both languages" for kind in named if not (kind.zh and kind.en)]
    if faults:
        raise ContentError(FILE, faults)
    return PermissionTable(roles, permissions)
