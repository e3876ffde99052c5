"""What every page shares: the workspace, the language and theme of the reader, templates and tables as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from qinglan import __version__
from qinglan.core.errors import UnknownName
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS, QUANTITIES
from qinglan.flow import views
from qinglan.web import svg, text
from qinglan.web.access import principal
from qinglan.web.assets import asset
from qinglan.web.frame import NAV
from qinglan.web.text import LANGUAGES, Text

THEMES = ("auto", "light", "dark")
COOKIE_DAYS = 365
CALM = "private, no-cache"
#: What an answer stands on: the run alone, or everything as it is now (:mod:`qinglan.web.keep`).
RUN, NOW = "run", "now"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks: language and theme, from the address first, then from the cookie."""

    language: str
    theme: str

    @classmethod
    def of(cls, request: Request) -> Reader:
        """Read the choices of a request; an unknown choice falls back to Chinese and the system's theme."""

        def choice(name: str, known: Sequence[str]) -> str:
            asked = request.query_params.get(name) or request.cookies.get(f"qinglan_{name}") or known[0]
            return asked if asked in known else known[0]

        return cls(choice("lang", LANGUAGES), choice("theme", THEMES))


@cache
def environment() -> Environment:
    """The template environment: autoescaped, strict about names."""
    made = Environment(
        loader=PackageLoader("qinglan.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        svg=svg, number=text.number, plain=text.plain, amount=text.amount, day_text=text.day_text,
        hour_text=text.hour_text, label_text=text.label_text, short=text.short,
        nothing=text.NOTHING, quantities=QUANTITIES, daily_items=DAILY_ITEMS, hourly_items=HOURLY_ITEMS,
        version=__version__, asset=asset, weeks=text.weeks, any_day=text.any_day,
    )  # fmt: skip
    made.filters["tuple_of"] = text.tuple_of
    return made


@dataclass(frozen=True, slots=True)
class Site:
    """One console over one workspace."""

    workspace: views.Workspace
    clock: Callable[[], datetime]

    def open(self, request: Request, *, tagged: bool = True) -> views.Result:
        """The current run, for an answer that may be kept while the run is the same.

        An answer that depends on the clock, the live registry or the lake passes `tagged=False`: it is kept for a
        minute at most, and only while nothing changes.
        """
        result = views.current(self.workspace)
        self.stands_on(request, RUN if tagged else NOW)
        return result

    @staticmethod
    def stands_on(request: Request, what: str) -> None:
        """Say what the answer to this request stands on; NOW outweighs RUN."""
        if getattr(request.state, "stands_on", "") != NOW:
            request.state.stands_on = what

    def page(
        self,
        request: Request,
        template: str,
        result: views.Result | None,
        *,
        status: int = 200,
        **context: Any,
    ) -> HTMLResponse:
        """Render a template in the reader's language; remembers a language or theme asked for in the address."""
        reader = Reader.of(request)
        words = Text(reader.language)

        def link(path: str | None = None, **changes: Any) -> str:
            """This address (or another path) with query values changed; None drops one."""
            kept = dict(request.query_params) if path is None else {}
            kept.pop("lang", None)
            kept.pop("theme", None)
            query = {k: v for k, v in (kept | changes).items() if v not in (None, "")}
            base = request.url.path if path is None else path
            return f"{base}?{urlencode(query)}" if query else base

        me = principal(request)
        html = environment().get_template(template).render(
            t=words, reader=reader, link=link, result=result, path=request.url.path, themes=THEMES,
            languages=LANGUAGES, me=me, may=me.may, nav=NAV, csrf_token=getattr(request.state, "csrf_token", ""),
            my_name=getattr(request.state, "my_name", "") or me.name or me.id,
            **context,
        )  # fmt: skip
        response = HTMLResponse(html, status_code=status, headers={"Cache-Control": CALM, "Vary": "Cookie"})
        response.headers["Content-Language"] = "zh-CN" if reader.language == "zh" else "en"
        for name, known in (("lang", LANGUAGES), ("theme", THEMES)):
            asked = request.query_params.get(name, "")
            if asked in known:
                response.set_cookie(
                    f"qinglan_{name}", asked, max_age=COOKIE_DAYS * 86400, httponly=True, samesite="lax"
                )
        return response

    def sheet(
        self,
        request: Request,
        name: str,
        heads: Mapping[str, str],
        rows: Iterable[Mapping[str, Any]],
        kind: str = "csv",
    ) -> Response:
        """A table as a file that spreadsheet programs open with Chinese intact.

        heads : column to heading. kind : ``csv`` (UTF-8 with a byte-order mark) or ``xlsx``. Text that a
        spreadsheet would run as a formula is quoted. UnknownName for another kind.
        """
        if kind not in _SHEETS:
            raise UnknownName("kind of table", kind, tuple(_SHEETS))
        table = [list(heads.values()), *([_cell(row.get(column)) for column in heads] for row in rows)]
        media, write = _SHEETS[kind]
        headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"', "Cache-Control": CALM}
        return Response(write(table), media_type=media, headers=headers)


def _csv(table: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(table)
    return ("\ufeff" + out.getvalue()).encode()


def _xlsx(table: Sequence[Sequence[Any]]) -> bytes:
    """A workbook with one sheet: headings bold and frozen, columns wide enough to read."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.freeze_panes = "A2"
    for k, head in enumerate(table[0]):
        longest = max((len(str(row[k])) for row in table[1:200]), default=0)
        wide = sum(2 if ord(c) > 0x2E7F else 1 for c in str(head))
        sheet.column_dimensions[get_column_letter(k + 1)].width = min(max(wide, longest, 6) + 2, 60)
    bold = [WriteOnlyCell(sheet, value=head) for head in table[0]]
    for cell in bold:
        cell.font = Font(bold=True)
    sheet.append(bold)
    for row in table[1:]:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


_SHEETS: Mapping[str, tuple[str, Callable[[Sequence[Sequence[Any]]], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _xlsx),
}


def _cell(value: Any) -> Any:
    """A CSV cell: nothing for a missing value, and no formula.

    >>> _cell(None), _cell("=1+1"), _cell(-3.5), _cell(True)
    ('', "'=1+1", -3.5, 1)
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        return text.hour_text(value)
    if isinstance(value, str) and value[:1] in "=+-@\t\r" and value:
        return f"'{value}"
    return value


def site(request: Request) -> Site:
    """The site of a request (a FastAPI dependency)."""
    found: Site = request.app.state.site
    return found


def words_of(request: Request) -> Text:
    """The reader's language, for what is not a template (CSV headings)."""
    return Text(Reader.of(request).language)
