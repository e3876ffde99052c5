"""Warnings of heavy pollution: what the air asks for, the room of one warning, its notices, and its orders."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.core.clock import wall
from qinglan.core.errors import UnknownName
from qinglan.flow import warnings as flow
from qinglan.flow.electricity import normal_days
from qinglan.flow.views import warnings as shown
from qinglan.web.access import needs
from qinglan.web.routes.ledgers import real, result_of
from qinglan.web.site import Reader, Site, site, words_of

router = APIRouter()
Viewer = Annotated[Principal, needs("warning.view")]
Drafter = Annotated[Principal, needs("warning.draft")]
Verifier = Annotated[Principal, needs("order.verify")]
Works = Annotated[Principal, needs("order.answer")]
Where = Annotated[Site, Depends(site)]
Field = Annotated[str, Form()]
PAGE = 50


def _page(where: Site, request: Request, template: str, **context: Any) -> Response:
    workspace = real(where)
    names = {p.place: {"place": p.place, "name": p.name, "name_en": p.name_en} for p in workspace.places}
    return where.page(
        request, template, result_of(where, request), names=names, words=flow.words(), moves=flow.moves(),
        species=flow.SPECIES, methods=flow.METHODS, **context,
    )  # fmt: skip


@router.get("/warnings")
def board(request: Request, site: Where, me: Viewer) -> Response:
    """What the air asks of each place now, the warnings that are open, and those that are closed."""
    found = shown.board(real(site), site.clock())
    drafts = [row["place"] for row in found["asked"] if me.may("warning.draft", row["place"])]
    return _page(site, request, "warnings.html", **found, drafts=drafts)


@router.post("/warnings")
def draft(
    site: Where, me: Drafter, place: Field, level: Field, reason: Field = "", starts: Field = ""
) -> Response:
    """Draft a warning of a place on the evidence of this moment."""
    made = flow.draft(
        real(site),
        place,
        level,
        starts_at=wall(starts) if starts.strip() else None,
        reason=reason,
        me=me,
        at=site.clock(),
    )
    return _to(made, "draft")


def _to(warning: str, name: str) -> Response:
    return RedirectResponse(f"/warnings/{warning}?done={name}", status_code=303)


@router.get("/warnings/{warning}")
def room(
    request: Request, site: Where, me: Viewer, warning: str, done: str = "", answer: str = "", page: int = 1
) -> Response:
    """One warning on one screen; its orders to be narrowed by their answer, fifty at a time."""
    found = shown.room(real(site), warning, site.clock(), me)
    orders = [o for o in found["orders"] if answer in ("", o["state"])]
    pages = max(1, -(-len(orders) // PAGE))
    page = min(max(page, 1), pages)
    found |= {"orders": orders[(page - 1) * PAGE : page * PAGE], "page": page, "pages": pages, "chosen": answer}
    verified = [o for o in found["orders"] if me.may("order.verify", o["place"])]
    return _page(
        site, request, "warning.html", **found, done=done, forms=flow.FORMS, verifies=[o["id"] for o in verified],
        normal_days=normal_days(real(site), [o["uscc"] for o in verified]),
    )  # fmt: skip


@router.post("/warnings/{warning}/moves")
def move(site: Where, me: Viewer, warning: str, move: Field, reason: Field = "", level: Field = "") -> Response:
    """Move a warning; who may, says the table of moves by the level that it touches."""
    flow.act(real(site), warning, move, me=me, at=site.clock(), reason=reason, level=level)
    return _to(warning, move)


@router.get("/warnings/{warning}/notices/{number}.{form}")
def notice(request: Request, site: Where, me: Viewer, warning: str, number: int, form: str) -> Response:
    """A frozen notice to take away, in the reader's language."""
    if form not in flow.FORMS:
        raise UnknownName("format", form, tuple(flow.FORMS))
    data, name = flow.export(real(site), warning, number, Reader.of(request).language, form)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-cache"}
    return Response(data, media_type=flow.FORMS[form], headers=headers)


@router.get("/warnings/{warning}/orders.{kind}")
def sheet(request: Request, site: Where, me: Viewer, warning: str, kind: str) -> Response:
    """The orders of a warning, a line a row."""
    rows = [
        {**{k: order[k] for k in ("uscc", "enterprise", "place", "level", "state")}, **line}
        for order in flow.orders_of(real(site), warning, site.clock())
        for line in order["lines"]
    ]
    words = words_of(request)
    columns = (
        "uscc", "enterprise", "place", "level", "state", "line_no", "line", "measure", "cut", "done",
        *flow.SPECIES,
    )  # fmt: skip
    return site.sheet(request, f"orders-{warning}", {c: words(f"order_column.{c}") for c in columns}, rows, kind)


@router.post("/warnings/{warning}/orders/{order}")
def verify(
    site: Where, me: Verifier, warning: str, order: int, line: Field, method: Field, cut: Field, note: Field = ""
) -> Response:
    """Write down what was found of a line."""
    flow.verify(real(site), order, line, method, _number(cut), note=note, me=me, at=site.clock())
    return RedirectResponse(f"/warnings/{warning}?done=verified#order-{order}", status_code=303)


def _number(text: str) -> float:
    """A number of a form; what is none becomes one that no rule takes."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


@router.get("/orders")
def orders(request: Request, site: Where, me: Works, done: str = "") -> Response:
    """Orders to the enterprises of who asks."""
    rows = flow.orders_to(real(site), me, site.clock())
    return _page(site, request, "orders.html", orders=rows, done=done)


@router.post("/orders/{order}")
def answer(site: Where, me: Works, order: int, kind: Field, note: Field = "") -> Response:
    """Acknowledge an order, or refuse it saying why."""
    flow.answer(real(site), order, kind, note=note, me=me, at=site.clock())
    return RedirectResponse(f"/orders?done={kind}#order-{order}", status_code=303)
