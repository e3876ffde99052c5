"""Which rows of a ledger somebody sees and may change. Pages, API and commands all ask here.

An office sees and keeps the rows of its place and of all inside it; an enterprise its own; a department sees all
and keeps the ledgers that the plan gives it. The declaration's `editors` says which kinds of office may write at
all. The province's office keeps what has no place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_

import polars as pl

from qinglan.access import Forbidden, Grant, Principal, load_permissions
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import Ledger

VIEW, EDIT, IMPORT = "ledger.view", "ledger.edit", "ledger.import"
MERGE, WITHDRAW = "ledger.merge", "ledger.withdraw"
#: Acts that write: the declaration's editors bound them.
_WRITING = (EDIT, IMPORT, MERGE, WITHDRAW)


@dataclass(frozen=True, slots=True)
class Scope:
    """Rows of a ledger that a permission reaches: all of them, those of some places, those of some sources."""

    everything: bool = False
    places: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.everything or self.places or self.sources)

    def of(self, ledger: Ledger) -> pl.Expr:
        """Whether a row of the ledger's frame is within it (never null)."""
        if self.everything:
            return pl.lit(True)
        parts = [pl.lit(False)]
        if ledger.place:
            parts += [_inside(pl.col(ledger.place), code) for code in self.places]
        elif any(code.endswith("0000") for code in self.places):
            parts.append(pl.lit(True))  # a ledger without places is the province's
        if self.sources:
            owned = [c for c in dict.fromkeys((ledger.enterprise, ledger.source)) if c]
            parts += [pl.col(c).is_in(list(self.sources)) for c in owned]
        return reduce(or_, parts).fill_null(False)


def _inside(place: pl.Expr, code: str) -> pl.Expr:
    """`access.principal.within`, for a column: GB/T 2260 codes nest by pairs of digits, a zone in its area."""
    stem = code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code
    return place.str.starts_with(stem) if len(stem) < 6 else (place == code) | place.str.starts_with(f"{code}-")


def scope(me: Principal, ledger: Ledger, permission: str) -> Scope:
    """What of a ledger a permission reaches for somebody; an empty scope when nothing."""
    table = load_permissions()
    if me.scopes is not None and permission not in me.scopes:
        return Scope()
    writing = permission in _WRITING
    places: list[str] = []
    sources: list[str] = []
    for grant in me.grants:
        if grant.role not in table.permission(permission).roles:
            continue
        bound = table.role(grant.role).scope
        if bound == "department":
            if not writing or grant.department == ledger.keeper:
                return Scope(everything=True)
        elif writing and grant.role not in ledger.editors:
            continue
        elif bound == "none":
            return Scope(everything=True)
        elif bound == "place":
            places.append(grant.place)
        else:
            sources += grant.sources
    return Scope(False, tuple(sorted(set(places))), tuple(sorted(set(sources))))


def need(me: Principal, ledger: Ledger, permission: str) -> Scope:
    """The scope; Forbidden when it is empty."""
    found = scope(me, ledger, permission)
    if not found:
        raise Forbidden(permission, signed_in=me.signed_in)
    return found


def sees_personal(me: Principal, ledger: Ledger) -> bool:
    """Whether somebody may read the columns marked personal: those who may edit the ledger."""
    return bool(scope(me, ledger, EDIT))


def local_office(workspace: Workspace, who: str) -> Principal:
    """Who acts on this machine's command line: the office whose workspace it is, under the name of the account."""
    code = workspace.settings.place
    role = "province" if code.endswith("0000") else "prefecture" if code.endswith("00") else "county"
    return Principal(who, who, (Grant(role, place=code),), via="command")
