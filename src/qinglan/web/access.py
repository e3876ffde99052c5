"""Permissions at the door: every route names one, and an application with a route that does not will not start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import Request

from qinglan.access import PUBLIC, Principal, load_permissions
from qinglan.core.errors import UsageError
from qinglan.web.csrf import check_form


def principal(request: Request) -> Principal:
    """Who asks; the public when nobody said."""
    found: Principal = getattr(request.state, "principal", PUBLIC)
    return found


def needs(permission: str) -> Any:
    """A dependency that admits only those who hold a permission, and hands over who asks. Forms must be our own.

    Where the permission asks about a place the route itself calls ``me.need(permission, place)`` once it knows it;
    here somebody who holds it nowhere is already refused.
    """
    load_permissions().permission(permission)

    async def admitted(request: Request) -> Principal:
        me = principal(request)
        me.need(permission)
        await check_form(request)
        return me

    admitted.permission = permission  # type: ignore[attr-defined]
    return Depends(admitted)


def permission_of(route: APIRoute) -> str | None:
    """The permission that a route names; None when it names none."""
    named = [getattr(d.call, "permission", None) for d in route.dependant.dependencies]
    return next((name for name in named if name), None)


@dataclass(frozen=True, slots=True)
class Door:
    """One route as it is served: its whole path, its methods and the permission it names (None: it names none)."""

    path: str
    methods: frozenset[str]
    permission: str | None


def doors(app: FastAPI) -> list[Door]:
    """Every route of an application, those of included routers too."""
    found = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            found.append(Door(str(context.path), frozenset(context.methods or ()), permission_of(route)))
    return found


def check_routes(app: FastAPI) -> None:
    """UsageError listing every route without a permission."""
    bare = [door.path for door in doors(app) if door.permission is None]
    if bare:
        raise UsageError(f"routes without a permission: {', '.join(bare)}.", remedy="Declare needs(...).")
