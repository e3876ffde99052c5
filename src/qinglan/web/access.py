"""Permissions at the door: every route names one, and an application with a route that does not will not start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request

from qinglan.access import PUBLIC, Principal, load_permissions
from qinglan.core.errors import UsageError


def principal(request: Request) -> Principal:
    """Who asks; the public when nobody said."""
    found: Principal = getattr(request.state, "principal", PUBLIC)
    return found


def needs(permission: str) -> Any:
    """A dependency that admits only those who hold a permission, and hands over who asks.

    Where the permission asks about a place the route itself calls ``me.need(permission, place)`` once it knows it;
    here somebody who holds it nowhere is already refused.
    """
    load_permissions().permission(permission)

    def admitted(request: Request) -> Principal:
        me = principal(request)
        me.need(permission)
        return me

    admitted.permission = permission  # type: ignore[attr-defined]
    return Depends(admitted)


def permission_of(route: APIRoute) -> str | None:
    """The permission that a route names; None when it names none."""
    calls: list[Callable[..., Any] | None] = [d.call for d in route.dependant.dependencies]
    named = [getattr(call, "permission", None) for call in calls]
    return next((name for name in named if name), None)


def check_routes(app: FastAPI) -> None:
    """UsageError listing every route without a permission."""
    bare = [r.path for r in app.routes if isinstance(r, APIRoute) and permission_of(r) is None]
    if bare:
        raise UsageError(f"routes without a permission: {', '.join(bare)}.", remedy="Declare needs(...).")
