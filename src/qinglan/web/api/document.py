"""The OpenAPI document, and a page that shows it without asking anything of another host."""

from __future__ import annotations

import html
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, Response

from qinglan import __version__
from qinglan.web.access import needs
from qinglan.web.api.models import Problem
from qinglan.web.api.problems import TITLES
from qinglan.web.assets import asset

PREFIX = "/api/v1"
router = APIRouter()

DESCRIPTION = """\
Read access to what Qinglan computed: hours after control, daily values, indices, evaluation, ranking, the plan.

Concentrations are µg/m³ (CO mg/m³) at the reference state of GB 3095. `time` is the **end** of an hour in UTC;
`day` is the statistical day of HJ 663. Lists are paged: hand `next` back as `cursor`. Errors are problems
of RFC 9457.

读取 Qinglan 的计算结果：审核后的小时值、日值、指数、评价、排名与方案。浓度单位 µg/m³（CO 为 mg/m³）；
`time` 为小时末（UTC），`day` 为统计日。列表分页，把 `next` 作为 `cursor` 交回即可。错误为 RFC 9457 格式。
"""


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an application."""
    if app.openapi_schema is None:
        made = get_openapi(
            title="Qinglan API",
            version=__version__,
            openapi_version="3.1.0",
            description=DESCRIPTION,
            routes=app.routes,
            servers=[{"url": PREFIX}],
        )
        parts = made.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer",
                                            "description": "An API key, made under /account."}}  # fmt: skip
        made["security"] = [{}, {"key": []}]
        made["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        app.openapi_schema = made
    return app.openapi_schema


@router.get("/openapi.json", include_in_schema=False, dependencies=[needs("api.read")])
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return Response(orjson.dumps(document(request.app)), media_type="application/json")


@router.get("/docs", include_in_schema=False, dependencies=[needs("api.read")])
async def docs(request: Request) -> Response:
    """All operations on one page."""
    return HTMLResponse(page(document(request.app)))


def page(made: dict[str, Any]) -> str:
    """The document as HTML: operations with their parameters and answers, then the problems."""
    said = html.escape
    body = [f"<h1>{said(made['info']['title'])} {said(made['info']['version'])}</h1>"]
    body += [f"<p>{said(text)}</p>" for text in made["info"]["description"].split("\n\n")]
    body.append(f'<p><a href="{PREFIX}/openapi.json">OpenAPI 3.1 (JSON)</a></p><ul>')
    operations = [(path, offered["get"]) for path, offered in made["paths"].items() if "get" in offered]
    body += [
        f'<li><a href="#{said(o["operationId"])}">GET {PREFIX}{said(path)}</a></li>' for path, o in operations
    ]
    body.append("</ul>")
    for path, operation in operations:
        body += _operation(path, operation)
    body.append("<h2>Problems</h2><dl>")
    for status, title in TITLES.items():
        name = title.lower().replace(" ", "-")
        body.append(f'<dt id="{name}">{status}</dt><dd>{said(title)}</dd>')
    body.append("</dl>")
    head = f'<title>Qinglan API</title><link rel="stylesheet" href="{asset("qinglan.css")}">'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{view}{head}</head>'
        f"<body><main>{''.join(body)}</main></body></html>"
    )


def _operation(path: str, operation: dict[str, Any]) -> list[str]:
    said = html.escape
    lines = [f'<h2 id="{said(operation["operationId"])}">GET {PREFIX}{said(path)}</h2>',
             f"<p>{said(operation.get('description', ''))}</p>"]  # fmt: skip
    if operation.get("parameters"):
        lines.append('<table><thead><tr><th scope="col">Parameter</th><th scope="col">In</th>'
                     '<th scope="col">Meaning</th></tr></thead><tbody>')  # fmt: skip
        for given in operation["parameters"]:
            star = " *" if given.get("required") else ""
            lines.append(f"<tr><td><code>{said(given['name'])}</code>{star}</td><td>{said(given['in'])}</td>"
                         f"<td>{said(given.get('description', ''))}</td></tr>")  # fmt: skip
        lines.append("</tbody></table>")
    answers = ", ".join(f"{status} {said(r['description'])}" for status, r in operation["responses"].items())
    return [*lines, f"<p>{answers}</p>"]
