"""What every operation shares: paging by an opaque cursor, a choice of columns, and the forms of an answer."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from qinglan.core.errors import UnknownName, UsageError
from qinglan.flow import views
from qinglan.flow.views import api as tables
from qinglan.web.api.problems import NotAcceptable
from qinglan.web.site import Site

Form = Literal["rows", "columns", "csv", "parquet"]
JSON = "application/json"
MEDIA: Mapping[str, str] = {
    "rows": JSON,
    "columns": JSON,
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
#: Numpy arrays as they lie in memory, times as 2024-01-01T00:00:00Z.
DUMP = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
MOST = 10_000

Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of one page.")]
Cursor = Annotated[
    str | None, Query(description="Where to go on: `next` of the page before. Opaque.", max_length=400)
]
Fields = Annotated[
    str | None,
    Query(description="Columns to give, separated by commas; all by default.", examples=["station,name"],
          max_length=400),
]  # fmt: skip
FormatOf = Annotated[
    Form | None,
    Query(
        description="`rows` or `columns` of JSON, `csv` or `parquet`; by default what Accept asks, else `rows`."
    ),
]


def run_of(request: Request) -> views.Result:
    """The current run; the answer may be kept for all who may see it."""
    site: Site = request.app.state.site
    result = views.current(site.workspace)
    request.scope["qinglan.pure"] = True
    return result


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a table is asked for, and in which form."""

    limit: int
    cursor: str | None
    fields: str | None
    format: Form | None


def paging(limit: Limit = 1000, cursor: Cursor = None, fields: Fields = None, format: FormatOf = None) -> Page:  # noqa: A002
    """The parameters of a page (a FastAPI dependency)."""
    return Page(limit, cursor, fields, format)


def dump(value: Any) -> Response:
    """JSON."""
    return Response(orjson.dumps(value, default=str, option=DUMP | orjson.OPT_NON_STR_KEYS), media_type=JSON)


def form_of(request: Request, asked: Form | None) -> Form:
    """The form of an answer: what `format` says, else the first of Accept that we have; NotAcceptable if none."""
    if asked is not None:
        return asked
    accept = request.headers.get("accept", "")
    if not accept:
        return "rows"
    for part in accept.split(","):
        kind = part.split(";")[0].strip().lower()
        if kind in ("*/*", "application/*", JSON):
            return "rows"
        if kind in ("text/csv", "text/*"):
            return "csv"
        if kind == MEDIA["parquet"]:
            return "parquet"
    raise NotAcceptable(
        f"none of {accept!r} is offered.", remedy=f"Accept {JSON}, text/csv or {MEDIA['parquet']}."
    )


def cursor_of(key: Sequence[Any]) -> str:
    """A place in a table, as text that means nothing to the reader.

    >>> key_of(cursor_of(["630100", "2025-01-31"]), 2)
    ['630100', '2025-01-31']
    """
    return base64.urlsafe_b64encode(orjson.dumps(list(key), default=str, option=DUMP)).rstrip(b"=").decode()


def key_of(cursor: str, parts: int) -> list[Any]:
    """The place that a cursor names; UsageError for one that we did not make."""
    wrong = UsageError(f"cursor {cursor!r} is not one of this list.", remedy="Use `next` of the page before.")
    try:
        found = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise wrong from None
    if not isinstance(found, list) or len(found) != parts:
        raise wrong
    return found


def typed(key: Sequence[Any], kinds: Sequence[pa.DataType], cursor: str) -> list[Any]:
    """A cursor's key in the types of the columns that it is of."""
    try:
        return [pa.array([value], pa.string()).cast(kind)[0].as_py() if not isinstance(value, int | float | None)
                else pa.scalar(value, kind).as_py() for value, kind in zip(key, kinds, strict=True)]  # fmt: skip
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError):
        raise UsageError(f"cursor {cursor!r} is not one of this list.") from None


def chosen(fields: str | None, known: Sequence[str], key: Sequence[str] = ()) -> list[str]:
    """Columns to give in the order of the table, the key always; UnknownName for one that is not there."""
    if not fields:
        return list(known)
    asked = [name.strip() for name in fields.split(",") if name.strip()]
    for name in asked:
        if name not in known:
            raise UnknownName("field", name, known)
    return [name for name in known if name in asked or name in key]


def following(request: Request, cursor: str) -> str:
    """The address of the next page, relative to this host."""
    query = {k: v for k, v in request.query_params.items() if k != "cursor"} | {"cursor": cursor}
    return f"{request.url.path}?{urlencode(query)}"


def table_page(
    request: Request, result: views.Result, found: pa.Table, key: Sequence[str], page: Page, **said: Any
) -> Response:
    """One page of a table that is in the order of `key`, in the form that was asked for."""
    columns = chosen(page.fields, found.column_names, key)
    last = None
    if page.cursor:
        kinds = [found.schema.field(name).type for name in key]
        last = typed(key_of(page.cursor, len(key)), kinds, page.cursor)
    first = tables.after(found, key, last)
    part = found.slice(first, page.limit)
    more = None
    if first + page.limit < found.num_rows:
        tail = part.slice(part.num_rows - 1)
        more = cursor_of([tail[name][0].as_py() for name in key])
    return formed(request, part.select(columns), page.format, more, run=result.run_id, **said)


def formed(request: Request, part: pa.Table, asked: Form | None, more: str | None, **said: Any) -> Response:
    """A table as rows, columns, CSV or Parquet; where it goes on is said in the body (JSON) and in `Link`."""
    form = form_of(request, asked)
    headers = {"Link": f'<{following(request, more)}>; rel="next"'} if more else {}
    if form in ("rows", "columns"):
        body: dict[str, Any] = {**said, "next": more}
        if form == "rows":
            body["items"] = part.to_pylist()
        else:
            body["columns"] = {name: part[name].to_pylist() for name in part.column_names}
        return Response(orjson.dumps(body, default=str, option=DUMP), headers=headers, media_type=JSON)
    sink = io.BytesIO()
    if form == "csv":
        pyarrow.csv.write_csv(_flat(part), sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    else:
        pq.write_table(part, sink)
    name = request.url.path.removeprefix("/api/v1/").replace("/", "-")
    suffix = "csv" if form == "csv" else "parquet"
    headers["Content-Disposition"] = f'attachment; filename="{name}.{suffix}"'
    return Response(sink.getvalue(), headers=headers, media_type=MEDIA[form])


def _flat(part: pa.Table) -> pa.Table:
    """Lists as text, since CSV has none; times in ISO 8601."""
    for k, field in enumerate(part.schema):
        if pa.types.is_list(field.type):
            texts = [None if v is None else ";".join(map(str, v)) for v in part[field.name].to_pylist()]
            part = part.set_column(k, field.name, pa.array(texts, pa.string()))
        elif pa.types.is_timestamp(field.type):
            texts = pa.compute.strftime(part[field.name].cast(pa.timestamp("s", "UTC")), "%Y-%m-%dT%H:%M:%SZ")
            part = part.set_column(k, field.name, texts)
    return part


def rows_page(
    request: Request, result: views.Result, rows: Sequence[Mapping[str, Any]], key: str, page: Page
) -> Response:
    """One page of a list of flat records that is ordered by one key."""
    names = list(dict.fromkeys(name for row in rows for name in row)) or [key]
    found = pa.Table.from_pylist([{n: row.get(n) for n in names} for row in rows]) if rows else pa.table({key: []})
    return table_page(request, result, found, (key,), page)
