"""Routes: parse, one view, one template. Later capabilities add a router here."""

from fastapi import APIRouter

from qinglan.web.routes import board, data, making, now, places, plan

ROUTERS: tuple[APIRouter, ...] = (
    board.router,
    places.router,
    now.router,
    plan.router,
    data.router,
    making.router,
)
