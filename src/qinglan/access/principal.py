"""Principals: who asks, and what was granted to them."""

from __future__ import annotations

from dataclasses import dataclass

from qinglan.access.table import load_permissions
from qinglan.core.errors import QinglanError


class Forbidden(QinglanError):
    """The principal may not do this. `permission` names what was missing; `known` whether signing in may help."""

    def __init__(self, permission: str, *, signed_in: bool, place: str | None = None) -> None:
        self.permission, self.signed_in, self.place = permission, signed_in, place
        where = f" in {place}" if place else ""
        remedy = "Ask an administrator for the role." if signed_in else "Sign in."
        super().__init__(f"{permission} is not permitted{where}.", remedy=remedy)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, bound to a place (division code), a department or some sources, as the role's scope asks."""

    role: str
    place: str = ""
    department: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `id` is empty for a visitor; `via` is visitor, session or key.

    scopes : for a key, the permissions that it may use at all (a key never has more than its owner).
    """

    id: str
    name: str
    grants: tuple[Grant, ...]
    via: str = "visitor"
    scopes: frozenset[str] | None = None

    @property
    def signed_in(self) -> bool:
        """Whether this is somebody."""
        return bool(self.id)

    def places(self, permission: str) -> tuple[str, ...]:
        """Division codes under which a permission holds; ``("*",)`` when it holds everywhere."""
        rule = load_permissions().permission(permission)
        if self.scopes is not None and permission not in self.scopes:
            return ()
        held = [g for g in self.grants if g.role in rule.roles]
        roles = load_permissions().roles
        if any(rule.anywhere or roles[g.role].scope == "none" for g in held):
            return ("*",)
        return tuple(sorted({g.place for g in held if g.place}))

    def may(self, permission: str, place: str | None = None) -> bool:
        """Whether a permission holds: at a place (division code), or, without one, at least somewhere."""
        codes = self.places(permission)
        if place is None or codes == ("*",):
            return bool(codes)
        return any(within(place, code) for code in codes)

    def need(self, permission: str, place: str | None = None) -> None:
        """Forbidden unless :meth:`may`."""
        if not self.may(permission, place):
            raise Forbidden(permission, signed_in=self.signed_in, place=place)


def within(place: str, above: str) -> bool:
    """Whether a division code is another one or lies inside it (GB/T 2260: pairs of digits).

    >>> within("630105", "630100"), within("630100", "630000"), within("630200", "630100"), within("63", "630000")
    (True, True, False, False)
    """
    if place == above:
        return True
    stem = above[:2] if above.endswith("0000") else above[:4] if above.endswith("00") else above
    return len(place) == len(above) and place.startswith(stem) and len(stem) < len(above)


PUBLIC = Principal("", "", (Grant("public"),))
DEMO = Principal("", "", (Grant("demo"),))
