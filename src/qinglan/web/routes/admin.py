"""Administration: users, roles, audit log."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from qinglan.access import Grant, Principal, load_permissions
from qinglan.core.clock import midnight
from qinglan.core.errors import UsageError
from qinglan.flow import accounts, audit_log
from qinglan.plan.places import load_places
from qinglan.web.access import needs
from qinglan.web.routes.account import done, page, people
from qinglan.web.site import site

router = APIRouter()

Users = Annotated[Principal, needs("admin.users")]
Audit = Annotated[Principal, needs("admin.audit")]
Field = Annotated[str, Form()]

#: Rows of a page of the log.
ROWS = 50


def _roles() -> list[Any]:
    return [role for role in load_permissions().roles.values() if role.name not in ("public", "demo", "member")]


def _places(request: Request) -> list[Any]:
    """Places that a grant may be bound to: the office's province with all inside it."""
    home = getattr(getattr(site(request).workspace, "settings", None), "place", "630000")
    known, province = load_places(), home[:2] + "0000"
    return [place for place in known if known.is_within(place.place, province)]


def _grant(role: str, place: str, department: str, sources: str) -> Grant:
    listed = tuple(part.strip() for part in sources.replace("，", ",").split(",") if part.strip())
    return Grant(role, place, department.strip(), listed)


@router.get("/admin/users")
def users(request: Request, me: Users) -> Response:
    """Everybody, with what was granted."""
    return page(
        request, "admin_users.html", users=accounts.users(people(request).registry), table=load_permissions(),
        roles=_roles(), places=_places(request), named=load_places(), now=site(request).clock(),
    )  # fmt: skip


@router.post("/admin/users")
def add_user(
    request: Request, me: Users, user: Field = "", name: Field = "", role: Field = "", place: Field = "",
    department: Field = "", sources: Field = "",
) -> Response:  # fmt: skip
    """Enter somebody; shows the drawn password, once."""
    grants = [_grant(role, place, department, sources)] if role else []
    registry, now = people(request).registry, site(request).clock()
    drawn = accounts.add_user(registry, user, name, grants, who=me.id, now=now)
    return page(request, "account_shown.html", kind="password", shown=[drawn])


@router.get("/admin/users/{user_id}")
def user(request: Request, me: Users, user_id: str, done: str = "") -> Response:
    """One user: grants, state, sessions and keys."""
    registry, now = people(request).registry, site(request).clock()
    return page(
        request, "admin_user.html", user=accounts.user(registry, user_id), table=load_permissions(),
        roles=_roles(), places=_places(request), named=load_places(),
        sessions=accounts.sessions(registry, user_id, now=now),
        keys=accounts.keys(registry, user_id), done=done, now=now, provider=people(request).provider,
    )  # fmt: skip


@router.post("/admin/users/{user_id}/grants")
def add_grant(
    request: Request, me: Users, user_id: str, role: Field = "", place: Field = "", department: Field = "",
    sources: Field = "",
) -> Response:  # fmt: skip
    """Grant a role."""
    grant = _grant(role, place, department, sources)
    accounts.grant_role(people(request).registry, user_id, grant, who=me.id, now=site(request).clock())
    return done(f"/admin/users/{user_id}", "granted")


@router.post("/admin/users/{user_id}/grants/{number}/revoke")
def revoke_grant(request: Request, me: Users, user_id: str, number: int) -> Response:
    """End a grant."""
    accounts.revoke_grant(people(request).registry, user_id, number, who=me.id, now=site(request).clock())
    return done(f"/admin/users/{user_id}", "revoked")


@router.post("/admin/users/{user_id}/lock")
def lock(request: Request, me: Users, user_id: str, locked: Annotated[bool, Form()] = False) -> Response:
    """Close an account or open it again."""
    accounts.set_locked(people(request).registry, user_id, locked, who=me.id, now=site(request).clock())
    return done(f"/admin/users/{user_id}", "locked" if locked else "unlocked")


@router.post("/admin/users/{user_id}/reset")
def reset(request: Request, me: Users, user_id: str, second: Annotated[bool, Form()] = False) -> Response:
    """A drawn password for somebody who forgot his, and no second factor for one who lost it; shown once."""
    drawn = accounts.reset_password(
        people(request).registry, user_id, who=me.id, now=site(request).clock(), second_too=second
    )
    return page(request, "account_shown.html", kind="password", shown=[drawn])


@router.post("/admin/users/{user_id}/keys/{number}/revoke")
def revoke_key(request: Request, me: Users, user_id: str, number: int) -> Response:
    """End somebody's key."""
    accounts.revoke_key(people(request).registry, user_id, number, who=me.id, now=site(request).clock())
    return done(f"/admin/users/{user_id}", "key_revoked")


@router.get("/admin/roles")
def roles(request: Request, me: Users) -> Response:
    """The permission table: who may do what."""
    return page(request, "admin_roles.html", table=load_permissions())


def _day(text: str, name: str) -> datetime | None:
    """Beginning of a day of official time; None for an empty field."""
    if not text:
        return None
    try:
        return midnight(date.fromisoformat(text))
    except ValueError as cause:
        raise UsageError(f"{name}: {text!r} is not a date.", remedy="Write YYYY-MM-DD.") from cause


@router.get("/admin/audit")
def audit(
    request: Request, me: Audit, who: str = "", what: str = "", subject: str = "", first: str = "", last: str = "",
    before: int | None = None, verify: bool = False,
) -> Response:  # fmt: skip
    """The log, newest first; on request its chain is walked."""
    registry = people(request).registry
    end = _day(last, "last")
    asked = {
        "who": who, "what": what, "subject": subject, "first": _day(first, "first"),
        "last": end + timedelta(days=1) if end else None,
    }  # fmt: skip
    rows, after = audit_log.page(registry, asked, before=before, limit=ROWS)
    told = {"who": who, "what": what, "subject": subject, "first": first, "last": last}
    chain = audit_log.verify(registry) if verify else None
    return page(request, "admin_audit.html", rows=rows, after=after, asked=told, before=before, chain=chain)
