"""Routes: parse, one view, one template. Later capabilities add a router here."""

from fastapi import APIRouter

from qinglan.web.routes import (
    account,
    admin,
    board,
    complaints,
    data,
    disclosure,
    evaluation,
    making,
    now,
    operations,
    places,
    plan,
    public,
    public_data,
    public_report,
    publications,
    review,
    stations,
    today,
)

ROUTERS: tuple[APIRouter, ...] = (
    today.router,
    stations.router,
    places.router,
    evaluation.router,
    board.router,
    now.router,
    plan.router,
    data.router,
    making.router,
    review.router,
    disclosure.router,
    publications.router,
    admin.router,
    account.router,
    public.router,
    public_data.router,
    public_report.router,
    complaints.router,
    operations.router,
)
