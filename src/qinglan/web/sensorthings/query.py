"""What a request asks: its system query options, read by the grammar of ``odata.lark``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import unquote_plus

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from qinglan.core.errors import UsageError

#: Entities of a page unless $top says less, and the most that a page gives (18-088 clause 9.3.3.8).
TOP, TOP_MOST = 100, 5000
#: Characters of an address's query, and how deep its parentheses may nest.
LONGEST, DEEPEST = 8000, 40
OPTIONS = ("$filter", "$expand", "$select", "$orderby", "$top", "$skip", "$count")


@dataclass(frozen=True, slots=True)
class Query:
    """Options of a collection or of an expanded one. `where` is a syntax tree of a filter.

    expand : name to the options of what it leads to. select : names, or None for all. texts : options as they were
    written, for the address of the next page.
    """

    where: Tree[Token] | None = None
    orders: tuple[tuple[Tree[Token] | Token, bool], ...] = ()
    select: tuple[str, ...] | None = None
    expand: Mapping[str, Query] = field(default_factory=dict)
    top: int | None = None
    skip: int = 0
    count: bool = False
    texts: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def page(self) -> int:
        """Entities of a page."""
        return TOP if self.top is None else min(self.top, TOP_MOST)


@cache
def _parser() -> Lark:
    """One table-driven parser for every option: its time is linear in the length of the text."""
    grammar = (files(__package__) / "odata.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", start=["filter", "orders", "names", "expand"], propagate_positions=True)


def pairs(query_string: str) -> dict[str, str]:
    """Options of an address, decoded. UsageError for one given twice, one unknown, or too much text."""
    if len(query_string) > LONGEST:
        raise UsageError(f"the query has {len(query_string)} characters, at most {LONGEST} are read.")
    found: dict[str, str] = {}
    for part in query_string.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        if name in found:
            raise UsageError(f"{name} is given twice.", remedy="Give each option once.")
        if name.startswith("$") and name not in OPTIONS:
            raise UsageError(f"{name} is not a query option here.", remedy=f"There are {', '.join(OPTIONS)}.")
        found[name] = unquote_plus(value)
    return found


def read(query_string: str) -> Query:
    """The options of an address; UsageError with the place and what was expected."""
    given = pairs(query_string)
    return replace(_options(given), texts={k: v for k, v in given.items() if k.startswith("$")})


def _options(given: Mapping[str, str]) -> Query:
    query = Query()
    if "$filter" in given:
        query = replace(query, where=parse(given["$filter"], "filter"))
    if "$orderby" in given:
        query = replace(query, orders=_orders(parse(given["$orderby"], "orders")))
    if "$select" in given:
        query = replace(query, select=_names(parse(given["$select"], "names")))
    if "$expand" in given:
        query = replace(query, expand=_expand(parse(given["$expand"], "expand"), given["$expand"]))
    for name, key in (("$top", "top"), ("$skip", "skip")):
        if name in given:
            query = replace(query, **{key: _whole(name, given[name])})  # type: ignore[arg-type]
    if "$count" in given:
        if given["$count"] not in ("true", "false"):
            raise UsageError(f"$count is {given['$count']!r}.", remedy="Write true or false.")
        query = replace(query, count=given["$count"] == "true")
    return query


def parse(text: str, start: str) -> Tree[Token]:
    """The syntax tree of an option; UsageError says where it stops making sense."""
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth > DEEPEST:
            raise UsageError(f"${start} nests deeper than {DEEPEST} parentheses.")
    try:
        return _parser().parse(text, start=start)
    except UnexpectedInput as error:
        where = getattr(error, "column", -1)
        rest = text[where - 1 : where + 29] if isinstance(where, int) and where > 0 else ""
        said = f"at {rest!r} (character {where})" if rest else "at its end"
        name = {"orders": "$orderby", "names": "$select"}.get(start, f"${start}")
        raise UsageError(f"{name} {text[:200]!r} is not understood {said}.",
                         remedy="See OGC 18-088 9.3.3; strings stand in single quotes.") from None  # fmt: skip


def _whole(name: str, text: str) -> int:
    """A number of entities, zero or more."""
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise UsageError(f"{name} is {text[:40]!r}.", remedy="Give a whole number, 0 or more.")
    return int(text)


def text_of(path: Tree[Token]) -> str:
    """A path as it is written: ``Thing/name``."""
    return "/".join(str(part) for part in path.children)


def _names(tree: Tree[Token]) -> tuple[str, ...]:
    return tuple(text_of(path) for path in tree.children if isinstance(path, Tree))


def _orders(tree: Tree[Token]) -> tuple[tuple[Any, bool], ...]:
    return tuple((order.children[0], str(order.children[1] or "asc").lower() == "desc")
                 for order in tree.children if isinstance(order, Tree))  # fmt: skip


def _expand(tree: Tree[Token], text: str) -> dict[str, Query]:
    """Expanded names; ``A/B`` is A with B expanded in it, and names given twice are taken together."""
    found: dict[str, Query] = {}
    for item in tree.children:
        assert isinstance(item, Tree)
        path, *options = item.children
        assert isinstance(path, Tree)
        query = _of((option for option in options if isinstance(option, Tree)), text)
        *outer, last = (str(part) for part in path.children)
        made = {last: query}
        for name in reversed(outer):
            made = {name: Query(expand=made)}
        found = _both(found, made)
    return found


def _both(left: Mapping[str, Query], right: Mapping[str, Query]) -> dict[str, Query]:
    made = dict(left)
    for name, query in right.items():
        if name in made:
            query = replace(made[name] if query == Query(expand=query.expand) else query,
                            expand=_both(made[name].expand, query.expand))  # fmt: skip
        made[name] = query
    return made


def _of(options: Iterator[Tree[Token]], text: str) -> Query:
    """Options inside the parentheses of an expanded name."""
    query, told = Query(), {}
    for option in options:
        name, _, written = text[option.meta.start_pos : option.meta.end_pos].partition("=")
        if name in told:
            raise UsageError(f"{name} is given twice in $expand.", remedy="Give each option once.")
        told[name.strip()] = written
        inner = option.children[0]
        if isinstance(inner, Token):
            value: Any = str(inner) == "true" if option.data == "count" else _whole(f"${option.data}", str(inner))
            query = replace(query, **{str(option.data): value})
        elif inner.data == "filter":
            query = replace(query, where=inner)
        elif inner.data == "expand":
            query = replace(query, expand=_expand(inner, text))
        elif inner.data == "names":
            query = replace(query, select=_names(inner))
        else:
            query = replace(query, orders=_orders(inner))
    return replace(query, texts=told)
